"""Missed trades from Binance's REST interface, by id.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints
https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Old-Trades-Lookup
Pages ascend by id from ``fromId``. An id that a page jumps over is no market trade (insurance fund, ADL):
it will never come.
"""

from collections.abc import Mapping, Sequence

import attrs
import msgspec

from wadm.exchanges.base import Event, PageError, PageTrade, Request
from wadm.exchanges.contiguity import Missing, Positions
from wadm.exchanges.intake import UNREADABLE, Intake, reason_of
from wadm.ledger import Ledger
from wadm.market import IdKind, Instrument

LIMIT = {IdKind.TRADE: 500, IdKind.AGG_TRADE: 1_000}
#: What a request weighs.
SPOT_WEIGHT = {IdKind.TRADE: 25, IdKind.AGG_TRADE: 4}
FUTURES_WEIGHT = 20


class Trade(msgspec.Struct, rename={"quantity": "qty", "buyer_is_maker": "isBuyerMaker"}, gc=False):
    """A trade as ``historicalTrades`` writes it."""

    id: int
    price: str
    quantity: str
    time: int
    buyer_is_maker: bool

    @property
    def count(self) -> int:
        """One trade."""
        return 1


class Aggregate(
    msgspec.Struct,
    rename={
        "id": "a",
        "price": "p",
        "quantity": "q",
        "first": "f",
        "last": "l",
        "time": "T",
        "buyer_is_maker": "m",
    },
    gc=False,
):
    """An aggregate trade as ``aggTrades`` writes it."""

    id: int
    price: str
    quantity: str
    first: int
    last: int
    time: int
    buyer_is_maker: bool

    @property
    def count(self) -> int:
        """How many fills it stands for."""
        return self.last - self.first + 1


_decode_trades = msgspec.json.Decoder(list[Trade]).decode
_decode_aggregates = msgspec.json.Decoder(list[Aggregate]).decode
_PATHS = {IdKind.TRADE: "historicalTrades", IdKind.AGG_TRADE: "aggTrades"}


@attrs.define(eq=False)
class BinanceHistory:
    """Asks for missed trades and reads the answers; ``prefix`` is ``/api/v3`` or ``/fapi/v1``."""

    exchange: str
    prefix: str
    instruments: Mapping[str, Instrument]
    positions: Positions
    ledger: Ledger

    def request(self, symbol: str, id_kind: IdKind, first: int) -> Request:
        """Return the request for the trades from id ``first`` on."""
        query = {"symbol": symbol, "fromId": str(first), "limit": str(LIMIT[id_kind])}
        futures = self.prefix.startswith("/fapi")
        key = "X-MBX-APIKEY" if futures and id_kind is IdKind.TRADE else None
        weight = FUTURES_WEIGHT if futures else SPOT_WEIGHT[id_kind]
        return Request(f"{self.prefix}/{_PATHS[id_kind]}", query, key, weight)

    def page(self, id_kind: IdKind, body: bytes) -> Sequence[PageTrade]:
        """Return the trades of an answer, ascending by id. Raises PageError for one that cannot be read."""
        try:
            found = _decode_trades(body) if id_kind is IdKind.TRADE else _decode_aggregates(body)
        except UNREADABLE as error:
            text = f"{self.exchange} sent a page of {_PATHS[id_kind]} that is {reason_of(error)}"
            raise PageError(text) from error
        return sorted(found, key=lambda trade: trade.id)

    def take(
        self, symbol: str, id_kind: IdKind, wanted: Missing, page: Sequence[PageTrade], at: int
    ) -> list[Event]:
        """Take the trades of ``wanted`` out of a page; ids between two of its trades are no market trades."""
        intake = Intake(self.exchange, self.instruments, self.positions, self.ledger)
        run = intake.run(symbol, id_kind)
        if run is None:
            return []
        before = None
        for trade in page:
            if before is not None and trade.id > before + 1:
                run.close(Missing(before + 1, trade.id - 1))
            before = trade.id
            if wanted.first <= trade.id <= wanted.last:
                run.offer(trade, b"", not trade.buyer_is_maker, trade.count)
        return intake.events(at)
