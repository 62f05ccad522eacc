"""What the codec tests share: recorded frames, codecs of known symbols, and the balance of the ledger."""

import gzip
import json
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path

import attrs

from wadm.exchanges.base import Codec, Event, Gap, Positions
from wadm.exchanges.registry import find
from wadm.ledger import Ledger
from wadm.market import Instrument, TradeId, Trades

CAPTURES = Path(__file__).parents[2] / "captures" / "codec"
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SUSHIUSDT", "AKROUSDT", "KEEPUSDT", "CTKUSDT")
#: 2027-01-01T00:00:00Z, after every recording: when the frames are taken to be received (µs)
AT = 1_798_761_600_000_000


def recorded(name: str) -> list[bytes]:
    """The frames of a recording, without the receive times before them."""
    path = CAPTURES / name
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [re.sub(rb"^[0-9.]+:? (?=\{)", b"", line) for line in data.splitlines() if line.strip()]


@attrs.define
class Bench:
    """A codec on a bench: its ledger, positions, and all its events."""

    codec: Codec
    ledger: Ledger
    positions: Positions
    events: list[Event] = attrs.field(factory=list)

    def feed(self, *frames: bytes) -> list[Event]:
        events = self.codec.receive(frames, AT)
        self.events += events
        return events

    @property
    def trades(self) -> list[tuple[TradeId, int, Decimal, Decimal, int]]:
        return rows(self.events)

    @property
    def gaps(self) -> list[tuple[int, int]]:
        return [(event.first, event.last) for event in self.events if isinstance(event, Gap)]

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]

    def rejected(self) -> dict[str, int]:
        return dict(self.ledger.total().rejected)

    def check_balance(self) -> None:
        """Every trade received went out or was settled; columns are of one length and fit 64 bits."""
        out = 0
        for event in self.of(Trades):
            out += len(event)
            columns = (event.ids, event.times, event.prices, event.signed_quantities, event.counts)
            assert {len(column) for column in columns} == {len(event)}
            assert all(0 < price < 10**18 for price in event.prices)
            assert all(0 < abs(quantity) < 10**18 for quantity in event.signed_quantities)
        assert self.ledger.statement(out)["balanced"]


def bench(
    exchange: str, symbols: Iterable[str] = SYMBOLS, tick: str | None = None, step: str | None = None
) -> Bench:
    described = find(exchange)
    ledger, positions = Ledger(), described.positions()
    sizes = [None if size is None else Decimal(size) for size in (tick, step)]
    instruments = {symbol: Instrument(exchange, symbol, *sizes) for symbol in symbols}
    return Bench(described.codec(instruments, positions, ledger), ledger, positions)


def rows(events: Sequence[Event]) -> list[tuple[TradeId, int, Decimal, Decimal, int]]:
    """All trades as (id, time, price, signed quantity, count), exact."""
    return [
        (
            trade_id,
            time,
            Decimal(price).scaleb(-event.price_decimals).normalize(),
            Decimal(quantity).scaleb(-event.quantity_decimals).normalize(),
            count,
        )
        for event in events
        if isinstance(event, Trades)
        for trade_id, time, price, quantity, count in zip(
            event.ids, event.times, event.prices, event.signed_quantities, event.counts, strict=True
        )
    ]


def changed(frame: bytes, drop: str | None = None, **fields: object) -> bytes:
    """A recorded frame with fields of its trade replaced, or one dropped."""
    frame_object = json.loads(frame)
    data = frame_object.get("data", frame_object)
    trade = data[0] if isinstance(data, list) else data
    trade.update(fields)
    if drop:
        del trade[drop]
    return json.dumps(frame_object, separators=(",", ":")).encode()
