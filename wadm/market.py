"""The market's own words: instruments and runs of trades.

Times are integers: microseconds since 1970-01-01 UTC, by the exchange's clock unless a name says otherwise.
"""

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum

import attrs

MILLISECOND = 1_000
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

#: Binance counts trades with integers, Bybit names them with strings.
TradeId = int | str


class IdKind(StrEnum):
    """What an exchange's trade id counts: single trades, or aggregates of one taker's fills."""

    TRADE = "trade"
    AGG_TRADE = "agg_trade"


@attrs.frozen
class Instrument:
    """One symbol on one exchange. ``tick`` and ``step`` are None while the exchange has not told them."""

    exchange: str
    symbol: str
    tick: Decimal | None = None
    step: Decimal | None = None

    @property
    def key(self) -> str:
        """``exchange:SYMBOL``, the name used in answers, mailboxes and stores."""
        return f"{self.exchange}:{self.symbol}"


@attrs.frozen(eq=False)
class Trades:
    """A run of trades of one symbol from one stream, in columns of equal length.

    ``prices`` are scaled by ``10**price_decimals``; ``signed_quantities`` by ``10**quantity_decimals``,
    positive where the taker (the aggressor) bought and negative where it sold; ``counts`` is how many
    trades a record stands for (an aggregate trade counts for all its fills). Once made, never changed.
    """

    exchange: str
    symbol: str
    id_kind: IdKind
    price_decimals: int
    quantity_decimals: int
    ids: Sequence[TradeId]
    times: Sequence[int]
    prices: Sequence[int]
    signed_quantities: Sequence[int]
    counts: Sequence[int]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def key(self) -> str:
        """``exchange:SYMBOL``."""
        return f"{self.exchange}:{self.symbol}"
