"""Missed trades from Binance's REST interface, by id.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints
https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Old-Trades-Lookup
Pages ascend by id from ``fromId``. An id that a page jumps over is no market trade (insurance fund, ADL):
it will never come.
"""

from collections.abc import Mapping, Sequence

import attrs
import msgspec

from wadm.exchanges.base import Event, PageError, Request
from wadm.exchanges.contiguity import Missing, Positions
from wadm.exchanges.intake import UNREADABLE, Intake, reason_of
from wadm.ledger import Ledger
from wadm.market import IdKind, Instrument

LIMIT = {IdKind.TRADE: 500, IdKind.AGG_TRADE: 1_000}


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
    rename={"id": "a", "price": "p", "quantity": "q", "first": "f", "last": "l", "time": "T", "buyer_is_maker": "m"},
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
        keyed = id_kind is IdKind.TRADE and self.prefix.startswith("/fapi")
        return Request(f"{self.prefix}/{_PATHS[id_kind]}", query, "X-MBX-APIKEY" if keyed else None)

    def read(self, symbol: str, id_kind: IdKind, wanted: Missing, body: bytes, at: int) -> tuple[list[Event], int]:
        """Take the trades of ``wanted`` out of a page received at ``at`` (µs).

        Returns the events and the first id that is still to be asked for: past ``wanted.last`` when all is
        settled, unmoved when the page holds nothing more. Raises PageError for a page that cannot be read.
        """
        try:
            page = self._decode(id_kind, body)
        except UNREADABLE as error:
            raise PageError(f"{self.exchange} sent a page of {_PATHS[id_kind]} that is {reason_of(error)}") from error
        intake = Intake(self.exchange, self.instruments, self.positions, self.ledger)
        run = intake.run(symbol, id_kind)
        if run is None or not page:
            return [], wanted.first
        for trade in sorted(page, key=lambda one: one.id):
            if wanted.first <= trade.id <= wanted.last:
                reason = run.offer(trade, not trade.buyer_is_maker, trade.count)
                if reason is not None:
                    intake.note(reason, b"")
        through = min(max(trade.id for trade in page), wanted.last)
        # Whatever the page had between its ends and did not show is no market trade.
        run.close(Missing(wanted.first, through))
        return list(intake.events(at)), through + 1

    @staticmethod
    def _decode(id_kind: IdKind, body: bytes) -> Sequence[Trade | Aggregate]:
        return _decode_trades(body) if id_kind is IdKind.TRADE else _decode_aggregates(body)
