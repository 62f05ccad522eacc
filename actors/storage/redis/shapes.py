"""What stands behind the keys of the hot tier: its shapes in MessagePack, from entries and back to them.

``keys`` shows each by an example.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, TypeVar

import msgspec

from actors.messages import BookRecord, GapRecord, OrderFlowRecord, ProfileRecord, TradeBatch
from actors.storage.runs import within
from wadm.coverage import SuspectedGap
from wadm.exchanges.base import Gap
from wadm.exchanges.contiguity import MAX_ID
from wadm.market import MINUTE, IdKind, Trades
from wadm.numbers import MAX_DECIMALS, plain, plain_or_none, plain_scaled

#: Levels of a book on each side.
DEPTH = 50


Decimals = Annotated[int, msgspec.Meta(ge=0, le=MAX_DECIMALS)]
Id = Annotated[int, msgspec.Meta(ge=0, le=MAX_ID)] | Annotated[str, msgspec.Meta(min_length=1)]
Scaled = int | Annotated[str, msgspec.Meta(pattern="^-?[0-9]{1,40}$")]


class Run(msgspec.Struct, frozen=True):
    """A run of raw trades of one minute."""

    id_kind: IdKind
    price_decimals: Decimals
    quantity_decimals: Decimals
    received_at: int
    market_time: int
    ids: Annotated[Sequence[Id], msgspec.Meta(min_length=1)]
    times: Sequence[int]
    prices: Sequence[Scaled]
    quantities: Sequence[Scaled]
    counts: Sequence[int]

    def __post_init__(self) -> None:
        columns = (self.ids, self.times, self.prices, self.quantities, self.counts)
        if len({*map(len, columns)}) != 1:
            raise ValueError("its columns are of different lengths")

    def trades(self, exchange: str, symbol: str) -> Trades:
        """Return the trades."""
        return Trades(
            exchange, symbol, self.id_kind, self.price_decimals, self.quantity_decimals,
            self.ids, self.times, [*map(int, self.prices)], [*map(int, self.quantities)], self.counts,
        )  # fmt: skip


class GapShape(msgspec.Struct, frozen=True):
    """A gap; ids where ``id_kind`` is given, else times (µs)."""

    id_kind: IdKind | None
    first: int
    last: int
    at: int
    state: str
    reason: str

    def record(self, exchange: str, symbol: str) -> GapRecord:
        """Return the record of the gap."""
        if self.id_kind is None:
            return GapRecord(SuspectedGap(exchange, symbol, self.first, self.last), self.state, self.reason)
        gap = Gap(exchange, symbol, self.id_kind, self.first, self.last, self.at)
        return GapRecord(gap, self.state, self.reason)


class BookShape(msgspec.Struct, frozen=True):
    """The top of an order book: (price, quantity), best first."""

    at: int
    sequence: int
    bids: Sequence[tuple[str, str]]
    asks: Sequence[tuple[str, str]]

    @property
    def rank(self) -> tuple[int, int]:
        """What is higher of a newer one."""
        return self.at, self.sequence


class Window(msgspec.Struct, frozen=True):
    """What is known of a window ``[start, end)`` that has ended."""

    start: int
    end: int
    revision: int
    partial: bool

    @property
    def rank(self) -> tuple[int, int]:
        """What is higher of a newer one."""
        return self.start, self.revision


class ProfileShape(Window, frozen=True):
    """A volume profile; rows are (lower edge, bought, sold, trades that bought, that sold)."""

    row_size: str
    poc: str | None
    vah: str | None
    val: str | None
    value_area: str
    value_area_volume: str
    method: str
    rows: Sequence[tuple[str, str, str, int, int]]


class OrderFlowShape(Window, frozen=True):
    """An order flow."""

    buy_volume: str
    sell_volume: str
    buy_trades: int
    sell_trades: int
    delta: str
    delta_high: str
    delta_low: str
    cvd: str
    session_start: int
    imbalance_ratio: str | None
    exact_path: bool
    large_trades: int | None
    absorption_events: int | None


Latest = BookShape | ProfileShape | OrderFlowShape

pack = msgspec.msgpack.Encoder().encode

Shape = TypeVar("Shape", Run, GapShape, BookShape, ProfileShape, OrderFlowShape)


def unpacker(shape: type[Shape]) -> Callable[[bytes], Shape]:
    """Return what reads a shape. It raises msgspec.MsgspecError for bytes that are something else."""
    return msgspec.msgpack.Decoder(shape).decode


def runs(batch: TradeBatch) -> Iterator[tuple[int, bytes]]:
    """Yield a batch's trades, packed, by the minute in which they were made."""
    trades = batch.trades
    first, last = min(trades.times, default=0), max(trades.times, default=-1)
    for minute in range(first - first % MINUTE, last + 1, MINUTE):
        cut = within(trades, minute, minute + MINUTE)
        if len(cut):
            yield minute, _run(batch, cut)


def _run(batch: TradeBatch, trades: Trades) -> bytes:
    columns = (trades.prices, trades.signed_quantities)
    try:
        return _packed(batch, trades, *map(list, columns))
    except OverflowError:  # more than 64 bits
        return _packed(batch, trades, *([*map(str, column)] for column in columns))


def _packed(
    batch: TradeBatch, trades: Trades, prices: Sequence[Scaled], quantities: Sequence[Scaled]
) -> bytes:
    return pack(
        Run(
            trades.id_kind, trades.price_decimals, trades.quantity_decimals,
            batch.received_at, batch.market_time,
            list(trades.ids), list(trades.times), prices, quantities, list(trades.counts),
        )
    )  # fmt: skip


def gap_shape(record: GapRecord) -> GapShape:
    """Return the shape of a gap."""
    gap = record.gap
    return GapShape(gap.id_kind, gap.first, gap.last, gap.at, record.state, record.reason)


def book_shape(record: BookRecord) -> BookShape:
    """Return the shape of a book."""

    def side(levels: Sequence[tuple[int, int]]) -> list[tuple[str, str]]:
        return [
            (plain_scaled(price, record.price_decimals), plain_scaled(quantity, record.quantity_decimals))
            for price, quantity in levels[:DEPTH]
        ]

    return BookShape(record.at, record.sequence, side(record.bids), side(record.asks))


def profile_shape(record: ProfileRecord) -> ProfileShape:
    """Return the shape of a profile."""
    made = record.profile

    def edge(row: int | None) -> str | None:
        return None if row is None else made.price(row)

    return ProfileShape(
        record.start, record.end, record.revision, record.partial,
        plain(made.row_size), edge(made.poc), edge(made.vah), edge(made.val),
        plain(made.value_area), made.volume(made.value_area_volume), str(made.method),
        [
            (made.price(number), made.volume(buy), made.volume(sell), buys, sells)
            for number, (buy, sell, buys, sells) in sorted(made.rows.items())
        ],
    )  # fmt: skip


def order_flow_shape(record: OrderFlowRecord) -> OrderFlowShape:
    """Return the shape of an order flow."""
    flow = record.order_flow

    def volume(scaled: int) -> str:
        return plain_scaled(scaled, flow.quantity_decimals)

    return OrderFlowShape(
        record.start, record.end, record.revision, record.partial,
        volume(flow.buy_volume), volume(flow.sell_volume), flow.buy_trades, flow.sell_trades,
        volume(flow.delta), volume(flow.delta_high), volume(flow.delta_low), volume(flow.cvd),
        flow.session_start, plain_or_none(flow.imbalance_ratio), flow.exact_path,
        record.large_trades, record.absorption_events,
    )  # fmt: skip
