"""The market's own words: instruments and runs of trades.

Times are integers: microseconds since 1970-01-01 UTC, by the exchange's clock unless a name says otherwise.
"""

from collections.abc import Sequence
from decimal import Decimal
from enum import Enum, StrEnum, auto

import attrs
import msgspec

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


class Trades(msgspec.Struct, frozen=True, eq=False, gc=False):
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


class BookChange(Enum):
    """What an update does to an order book."""

    #: It replaces the book: what it does not name is gone.
    SNAPSHOT = auto()
    #: It changes the levels it names.
    DIFF = auto()
    #: It shows the best levels only: a view beside the book, never folded into it.
    PARTIAL = auto()


class BookUpdate(msgspec.Struct, frozen=True, eq=False, gc=False):
    """One update of an order book.

    ``bids`` and ``asks`` are (price, quantity), scaled by ``10**price_decimals`` and
    ``10**quantity_decimals``; a quantity of 0 takes the level away. ``first``..``last`` are the update ids it
    stands for, ``previous`` the last id of the update before it, where the exchange says so. ``at`` (µs) is
    the exchange's time, 0 where it does not tell.
    """

    change: BookChange
    first: int
    last: int
    previous: int | None
    at: int
    price_decimals: int
    quantity_decimals: int
    bids: Sequence[tuple[int, int]]
    asks: Sequence[tuple[int, int]]


class BestQuote(msgspec.Struct, gc=False):
    """The best bid and ask after update ``update_id``, numbers as they were written; 0 where there is none.

    ``update_id`` is 0 where the exchange counts these apart from the book's updates.
    """

    update_id: int
    bid: str
    bid_quantity: str
    ask: str
    ask_quantity: str


class BookRun(msgspec.Struct, frozen=True, eq=False, gc=False):
    """What one read of a connection brought of one symbol's order book, in the order it came."""

    exchange: str
    symbol: str
    steps: Sequence[BookUpdate | BestQuote]

    @property
    def key(self) -> str:
        """``exchange:SYMBOL``."""
        return f"{self.exchange}:{self.symbol}"


@attrs.frozen
class Candle:
    """A candle ``[start, end)`` (µs) as the exchange itself counts it; ``closed`` once it will not change.

    ``volume`` and ``buy_volume`` (takers' buying) are in base units, ``turnover`` in quote units.
    ``buy_volume`` and ``count`` are None where the exchange does not tell them.
    """

    exchange: str
    symbol: str
    interval: str
    start: int
    end: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    turnover: Decimal
    buy_volume: Decimal | None
    count: int | None
    closed: bool


@attrs.frozen
class Ticker:
    """What an exchange tells of a contract beside its trades; None where a message leaves it unchanged.

    ``at`` and ``next_funding_at`` in µs; ``open_interest`` in base units.
    """

    exchange: str
    symbol: str
    at: int
    last_price: Decimal | None = None
    mark_price: Decimal | None = None
    index_price: Decimal | None = None
    funding_rate: Decimal | None = None
    next_funding_at: int | None = None
    open_interest: Decimal | None = None


class PositionSide(StrEnum):
    """Which side of the market someone held."""

    LONG = "long"
    SHORT = "short"


@attrs.frozen
class Liquidation:
    """A position that the exchange closed by force, at ``at`` (µs).

    ``price`` is the one it was ordered to be closed at (bankruptcy price), not what it was filled at;
    ``quantity`` is in base units.
    """

    exchange: str
    symbol: str
    at: int
    position: PositionSide
    price: Decimal
    quantity: Decimal
