"""Bybit's newest trades, from its REST interface: all that it gives of what was missed.

https://bybit-exchange.github.io/docs/v5/market/recent-trade
At most 1,000 trades (60 on spot), newest first, and none behind them.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

import attrs
import msgspec
from msgspec import Meta

from wadm.exchanges.base import Event, Query, RecentTrade, Request
from wadm.exchanges.bybit_endpoints import check
from wadm.exchanges.contiguity import Positions
from wadm.exchanges.intake import Intake
from wadm.exchanges.page import decoded
from wadm.ledger import Ledger
from wadm.market import MILLISECOND, IdKind, Instrument

LIMIT = {"linear": 1_000, "spot": 60}
_BOUGHT = {"Buy": True, "Sell": False}


class Trade(msgspec.Struct, rename={"id": "execId", "quantity": "size", "written_time": "time"}, gc=False):
    """A trade as ``recent-trade`` writes it; ``side`` is the taker's."""

    id: str
    symbol: str
    price: str
    quantity: str
    side: str
    written_time: Annotated[str, Meta(pattern="^[0-9]{1,19}$")]

    @property
    def time(self) -> int:
        """Exchange time in ms."""
        return int(self.written_time)


class _Rows(msgspec.Struct):
    list: list[Trade]


class _Answer(msgspec.Struct):
    result: _Rows


_decode = msgspec.json.Decoder(_Answer).decode


@attrs.define(eq=False)
class BybitRecent:
    """Asks for the newest trades and reads the answers; ``category`` is ``linear`` or ``spot``."""

    exchange: str
    category: str
    instruments: Mapping[str, Instrument]
    positions: Positions
    ledger: Ledger

    def newest(self, symbol: str) -> Query[Sequence[RecentTrade]]:
        """Ask for a symbol's newest trades, which come oldest first."""
        what = f"{self.exchange}'s newest trades of {symbol}"

        def read(body: bytes) -> Sequence[RecentTrade]:
            check(body, what)
            found = decoded(_decode, body, what).result.list
            # The page has the newest first: turned round, trades of one millisecond keep their order.
            found.reverse()
            return sorted(found, key=lambda trade: trade.time)

        query = {"category": self.category, "symbol": symbol, "limit": str(LIMIT[self.category])}
        return Query(Request("/v5/market/recent-trade", query), read)

    def take(self, symbol: str, first: int, last: int, page: Sequence[RecentTrade], at: int) -> list[Event]:
        """Take the trades of ``first``..``last`` (µs) out of a page; those known are duplicates."""
        intake = Intake(self.exchange, self.instruments, self.positions, self.ledger)
        run = intake.run(symbol, IdKind.TRADE)
        if run is None:
            return []
        for trade in page:
            if first <= trade.time * MILLISECOND <= last:
                bought = _BOUGHT.get(trade.side)
                if bought is None:
                    run.reject("unknown_side", b"")
                else:
                    run.offer(trade, b"", bought)
        return intake.events(at)
