"""What the codec tests share: recorded frames, codecs of known symbols, and the balance of the ledger."""

import gzip
import json
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path

import attrs

from wadm.exchanges.base import Codec, Event, Gap, Positions
from wadm.exchanges.column import LIMIT
from wadm.exchanges.contiguity import MAX_ID
from wadm.exchanges.registry import find
from wadm.exchanges.run import EARLIEST_MS, LATEST_MS
from wadm.ledger import Ledger
from wadm.market import (
    MILLISECOND,
    BestQuote,
    BookRun,
    BookUpdate,
    Candle,
    Instrument,
    Liquidation,
    Ticker,
    TradeId,
    Trades,
)
from wadm.numbers import MAX_DECIMALS, parse

CAPTURES = Path(__file__).parents[2] / "captures" / "codec"
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SUSHIUSDT", "AKROUSDT", "KEEPUSDT", "CTKUSDT")
#: 2027-01-01T00:00:00Z, after every recording: when the frames are taken to be received (µs)
AT = 1_798_761_600_000_000
EARLIEST, LATEST = EARLIEST_MS * MILLISECOND, LATEST_MS * MILLISECOND

#: from https://bybit-exchange.github.io/docs/v5/websocket/public/kline
KLINE_OF_BYBIT = (
    b'{"topic":"kline.5.BTCUSDT","data":[{"start":1672324800000,"end":1672325099999,"interval":"5",'
    b'"open":"16649.5","close":"16677","high":"16677","low":"16608","volume":"2.081",'
    b'"turnover":"34666.4005","confirm":false,"timestamp":1672324988882}],"ts":1672324988882,'
    b'"type":"snapshot"}'
)


def recorded(name: str) -> list[bytes]:
    """The frames of a recording, without the receive times before them."""
    path = CAPTURES / name
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [re.sub(rb"^[0-9.]+:? (?=\{)", b"", line) for line in data.splitlines() if line.strip()]


def examples(name: str) -> list[bytes]:
    """The answer and the update of a subscription that was written down as an example."""
    answer, _, update = (CAPTURES / "jkorf" / name).read_text().partition("\n=")
    return [
        answer.partition("<")[2].strip().replace("|1|", "1").encode(),
        json.dumps(json.loads(update), separators=(",", ":")).encode(),
    ]


def every_kind(exchange: str) -> list[bytes]:
    """A recorded frame or two of every kind that an exchange sends, none very long."""
    if exchange == "binance":
        return [
            *recorded("fastmm/binance_raw_md_stream.jsonl")[:6],
            *examples("binance_partial_book.txt"),
            recorded("cryptofeed/binance_futures_aggtrade_kline.txt")[0],
        ]
    if exchange == "binance_usdm":
        return [
            *recorded("hftbacktest/usdm_btcusdt_20240718_head.gz")[:6],
            *recorded("cryptofeed/binance_futures_aggtrade_kline.txt")[:2],
            recorded("fastmm/binance_usdm_mark_price_stream.jsonl")[0],
            *examples("binance_usdm_liquidations.txt"),
            *examples("binance_usdm_partial_book.txt"),
        ]
    return [
        *recorded("fastmm/bybit_spot_raw_md_stream.jsonl")[:8],
        *(frame[frame.index(b"{") :] for frame in recorded("fastmm/bybit_tickers_head.jsonl")[:2]),
        *recorded("fastmm/bybit_subscribe_error.json"),
        *examples("bybit_linear_liquidations.txt"),
        *examples("bybit_spot_ticker.txt"),
        KLINE_OF_BYBIT,
    ]


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

    def check_events(self) -> None:
        """What came out is of known symbols, and its numbers and times are such as others rely on."""
        for event in self.events:
            match event:
                case BookRun():
                    assert event.symbol in SYMBOLS
                    assert event.steps
                    for step in event.steps:
                        check_step(step)
                case Candle():
                    assert event.symbol in SYMBOLS
                    assert EARLIEST <= event.start < event.end <= LATEST
                    assert min(event.open, event.high, event.low, event.close) > 0
                    assert min(event.volume, event.turnover, event.buy_volume or 0, event.count or 0) >= 0
                case Ticker():
                    assert event.symbol in SYMBOLS
                    assert EARLIEST <= event.at <= LATEST
                    for number in (event.last_price, event.mark_price, event.index_price):
                        assert number is None or 0 < number < 10**18
                    assert event.funding_rate is None or event.funding_rate.is_finite()
                    assert event.next_funding_at is None or EARLIEST <= event.next_funding_at <= LATEST
                case Liquidation():
                    assert event.symbol in SYMBOLS
                    assert EARLIEST <= event.at <= LATEST
                    assert event.price > 0
                    assert event.quantity >= 0


def check_step(step: BookUpdate | BestQuote) -> None:
    """A step's ids and numbers fit 64 bits."""
    if isinstance(step, BestQuote):
        assert 0 <= step.update_id <= MAX_ID
        for text in (step.bid, step.bid_quantity, step.ask, step.ask_quantity):
            assert parse(text)[0] >= 0
        return
    assert 0 <= step.first <= step.last <= MAX_ID
    assert step.previous is None or 0 <= step.previous <= MAX_ID
    assert step.at == 0 or EARLIEST <= step.at <= LATEST
    assert min(step.price_decimals, step.quantity_decimals) >= 0
    assert max(step.price_decimals, step.quantity_decimals) <= MAX_DECIMALS
    for price, quantity in (*step.bids, *step.asks):
        assert 0 < price < LIMIT
        assert 0 <= quantity < LIMIT


def bench(
    exchange: str, symbols: Iterable[str] = SYMBOLS, tick: str | None = None, step: str | None = None
) -> Bench:
    described = find(exchange)
    ledger, positions = Ledger(), described.positions()
    sizes = [None if size is None else Decimal(size) for size in (tick, step)]
    instruments = {symbol: Instrument(exchange, symbol, *sizes) for symbol in symbols}
    return Bench(described.codec(instruments, positions, ledger), ledger, positions)


def apart(exchange: str, tick: str | None = None, step: str | None = None) -> Bench:
    """A codec on a bench that reads each frame by itself, whatever is beside it."""
    found = bench(exchange, tick=tick, step=step)
    reader_of = found.codec._reader
    found.codec._reader = lambda stream: reader_of(stream)._replace(take_all=None)
    return found


def check_alike(one: Bench, other: Bench) -> None:
    """Two codecs told the same, counted the same and stand at the same place."""
    assert list(map(str, one.events)) == list(map(str, other.events))
    assert one.ledger == other.ledger
    assert one.codec.heard == other.codec.heard
    places = [
        {key: (place.expected, place.missing) for key, place in found.positions._positions.items()}
        for found in (one, other)
    ]
    assert places[0] == places[1]


def row_of_trades(exchange: str, count: int = 16) -> list[bytes]:
    """Frames of one stream with ordinary trades in a row."""
    if exchange == "binance":
        first = recorded("fastmm/binance_raw_md_stream.jsonl")[0]
        return [changed(first, t=388_510 + number) for number in range(count)]
    if exchange == "binance_usdm":
        first = recorded("fastmm/binance_usdm_agg_trade.json")[0]
        return [changed(first, a=309_896_910 + number, q=f"{1 + number % 3}.5") for number in range(count)]
    frames = recorded("fastmm/bybit_spot_raw_md_stream.jsonl")
    first = next(frame for frame in frames if b'"publicTrade.' in frame)
    return [changed(first, i=str(10**18 + number)) for number in range(count)]


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


def steps(events: Sequence[Event]) -> list[BookUpdate | BestQuote]:
    """All steps of order books."""
    return [step for event in events if isinstance(event, BookRun) for step in event.steps]


def changed(frame: bytes, drop: str | None = None, **fields: object) -> bytes:
    """A recorded frame with fields of its trade replaced, or one dropped."""
    frame_object = json.loads(frame)
    data = frame_object.get("data", frame_object)
    trade = data[0] if isinstance(data, list) else data
    trade.update(fields)
    if drop:
        del trade[drop]
    return json.dumps(frame_object, separators=(",", ":")).encode()
