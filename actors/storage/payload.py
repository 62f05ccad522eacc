"""Journal entries as bytes: MessagePack around packed columns of integers. Exact in both directions."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import attrs
import msgspec

from actors.messages import (
    BarRecord,
    BookRecord,
    GapRecord,
    Kind,
    LevelsRecord,
    OrderFlowRecord,
    ProfileRecord,
    TradeBatch,
)
from actors.storage import window_payload as windows
from actors.storage.errors import StorageError
from actors.storage.formats import check_format
from wadm import bar as bars
from wadm import columns
from wadm.coverage import AnyGap, SuspectedGap
from wadm.exchanges.base import Gap
from wadm.market import MINUTE, IdKind, TradeId, Trades

FORMAT = 1

#: Stands where a gap's ids say what they count: it is one that is suspected, and its ids are times (µs).
TIMES = "time"

#: A gap's states, weakest first: a stronger one replaces a weaker one, as a higher revision does.
GAP_STATES = ("open", "unfillable", "filled")

#: How often levels are recorded: the timeframe that they are filed under.
LEVELS_EVERY = "1h"

Record = BarRecord | BookRecord | ProfileRecord | OrderFlowRecord | LevelsRecord | GapRecord


class RecordRow(NamedTuple):
    """A record's natural key, its revision and the rest of it as bytes. One table holds every kind."""

    kind: str
    timeframe: str
    start: int
    end: int
    revision: int
    payload: bytes


class _Ids(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The beginning of a ``_Batch``, up to its ids: what follows is passed over."""

    format: int
    id_kind: IdKind
    price_decimals: int
    quantity_decimals: int
    received_at: int
    market_time: int
    ids: bytes | list[int | str]


class _Batch(_Ids, array_like=True, frozen=True, gc=False):
    times: bytes
    prices: bytes
    quantities: bytes
    counts: bytes


@attrs.define
class KeptIds:
    """The ids of a journalled batch, a range where they count up by one; times in µs."""

    incarnation: int
    number: int
    last_time: int
    market_time: int
    id_kind: IdKind
    ids: Sequence[TradeId]

    @property
    def in_time(self) -> bool:
        """Whether its trades came in their own time, and not long after, to fill a gap."""
        return self.last_time + MINUTE >= self.market_time


class _Side(msgspec.Struct, array_like=True, frozen=True):
    """One side of a book. The best price stands apart: the steps from it on fit fewer bytes each."""

    best: bytes
    steps: bytes
    quantities: bytes


class _Book(msgspec.Struct, array_like=True, frozen=True):
    format: int
    sequence: int
    price_decimals: int
    quantity_decimals: int
    bids: _Side
    asks: _Side


class _Gap(msgspec.Struct, array_like=True, frozen=True):
    format: int
    at: int
    state: str
    reason: str


_encode = msgspec.msgpack.Encoder().encode
_batches = msgspec.msgpack.Decoder(_Batch)
_ids = msgspec.msgpack.Decoder(_Ids)
_many_ids = msgspec.msgpack.Decoder(list[_Ids])

#: What MessagePack begins an array of any length with; its length follows.
_LONG_ARRAY = b"\xdd"
_books = msgspec.msgpack.Decoder(_Book)
_gaps = msgspec.msgpack.Decoder(_Gap)


def encode_batch(batch: TradeBatch) -> bytes:
    """Return a batch of trades as bytes, but for its names and numbers, which the journal keeps beside it."""
    trades = batch.trades
    return _encode(
        _Batch(
            FORMAT, trades.id_kind, trades.price_decimals, trades.quantity_decimals,
            batch.received_at, batch.market_time,
            _pack_ids(trades.ids),
            columns.pack_rising(trades.times),
            columns.pack_rising(trades.prices),
            columns.pack(trades.signed_quantities),
            columns.pack(trades.counts),
        )
    )  # fmt: skip


def _pack_ids(ids: Sequence[TradeId]) -> bytes | list[int | str]:
    numbers = [trade_id for trade_id in ids if isinstance(trade_id, int)]
    return columns.pack_rising(numbers) if len(numbers) == len(ids) else list(ids)


def decode_batch(exchange: str, symbol: str, incarnation: int, number: int, payload: bytes) -> TradeBatch:
    """Return the batch. ``clock`` is 0.0: a monotonic clock means nothing to a later process."""
    stored = _batches.decode(payload)
    check_format(stored.format, FORMAT)
    trades = Trades(
        exchange, symbol, stored.id_kind, stored.price_decimals, stored.quantity_decimals,
        stored.ids if isinstance(stored.ids, list) else columns.unpack_rising(stored.ids),
        columns.unpack_rising(stored.times),
        columns.unpack_rising(stored.prices),
        columns.unpack(stored.quantities),
        columns.unpack(stored.counts),
    )  # fmt: skip
    return TradeBatch(trades, incarnation, number, stored.received_at, 0.0, stored.market_time)


def decode_ids(incarnation: int, number: int, last_time: int, payload: bytes) -> KeptIds:
    """Return a batch's ids alone, at a tenth of what the whole batch costs."""
    stored = _ids.decode(payload)
    check_format(stored.format, FORMAT)
    return KeptIds(
        incarnation, number, last_time, stored.market_time, stored.id_kind, _unpack_ids(stored.ids)
    )


@attrs.define
class JoinedIds:
    """The ids of many streams, by the stream's number: batches that go on where the one before ended are one.

    Such a one has the name of its first batch. What came late is never joined: it says nothing of what else
    is kept of its time. Streams of names are left out: nothing of them could be joined.
    """

    streams: dict[int, list[KeptIds]] = attrs.field(factory=dict)
    _last: dict[int, KeptIds] = attrs.field(factory=dict)
    _named: set[int] = attrs.field(factory=set)

    def add(self, rows: Sequence[tuple[int, int, int, int, bytes]]) -> None:
        """Add batches in their order: stream, incarnation, number, last time (µs) and payload of each."""
        # All at once: a call for each would take as long as all the rest.
        payloads = _LONG_ARRAY + len(rows).to_bytes(4, "big") + b"".join([row[-1] for row in rows])
        for (stream, incarnation, number, last_time, _), stored in zip(
            rows, _many_ids.decode(payloads), strict=True
        ):
            ids, last = _unpack_ids(stored.ids), self._last.get(stream)
            in_time = last_time + MINUTE >= stored.market_time
            if (
                last is not None
                and isinstance(ids, range) and isinstance(last.ids, range) and ids.start == last.ids.stop
                and in_time and stored.id_kind is last.id_kind and stored.format == FORMAT
            ):  # fmt: skip
                last.ids = range(last.ids.start, ids.stop)
                if last_time > last.last_time:  # noqa: PLR1730 -- max() costs more, a million times
                    last.last_time = last_time
                continue
            check_format(stored.format, FORMAT)
            if isinstance(stored.ids, list):
                self._named.add(stream)
                self.streams.pop(stream, None)
            if stream in self._named:
                continue
            one = KeptIds(incarnation, number, last_time, stored.market_time, stored.id_kind, ids)
            self.streams.setdefault(stream, []).append(one)
            if in_time:
                self._last[stream] = one
            else:
                self._last.pop(stream, None)


def _unpack_ids(packed: bytes | list[int | str]) -> Sequence[TradeId]:
    if isinstance(packed, list):
        return packed
    return columns.counting_up(packed) or columns.unpack_rising(packed)


def count_trades(payload: bytes) -> int:
    """Return how many trades a batch has, 0 for one that cannot be read."""
    try:
        return len(columns.unpack(_batches.decode(payload).counts))
    except (msgspec.MsgspecError, columns.ColumnError):
        return 0


def encode_record(record: Record) -> RecordRow:
    """Return a record as its row. A book is known by its time: there is one of each instant."""
    match record:
        case BarRecord(bar=bar, packed=packed):
            return RecordRow(Kind.BAR, "1m", bar.start, bar.end, bar.revision, packed)
        case BookRecord(at=at):
            return RecordRow(Kind.BOOK, "", at, at, 0, _book_bytes(record))
        case ProfileRecord(timeframe=timeframe, start=start, end=end, revision=revision):
            payload = windows.encode_profile(record)
            return RecordRow(Kind.PROFILE, timeframe, start, end, revision, payload)
        case OrderFlowRecord(timeframe=timeframe, start=start, end=end, revision=revision):
            payload = windows.encode_order_flow(record)
            return RecordRow(Kind.ORDER_FLOW, timeframe, start, end, revision, payload)
        case LevelsRecord(start=start, end=end, revision=revision):
            payload = windows.encode_levels(record)
            return RecordRow(Kind.LEVELS, LEVELS_EVERY, start, end, revision, payload)
        case GapRecord(gap=gap, state=state):
            payload = _encode(_Gap(FORMAT, gap.at, state, record.reason))
            kind = gap.id_kind or TIMES
            return RecordRow(Kind.GAP, kind, gap.first, gap.last, GAP_STATES.index(state), payload)


def _book_bytes(record: BookRecord) -> bytes:
    return _encode(
        _Book(
            FORMAT, record.sequence, record.price_decimals, record.quantity_decimals,
            _pack_side(record.bids), _pack_side(record.asks),
        )
    )  # fmt: skip


def _pack_side(levels: Sequence[tuple[int, int]]) -> _Side:
    prices = [price for price, _ in levels]
    steps = [after - before for before, after in pairwise(prices)]
    return _Side(columns.pack(prices[:1]), columns.pack(steps), columns.pack([size for _, size in levels]))


def decode_record(exchange: str, symbol: str, row: RecordRow) -> Record:
    """Return the record of a row. Raises StorageError for a format or a kind of a later version."""
    name, span = (exchange, symbol), (row.start, row.end, row.revision)
    match row.kind:
        case Kind.BAR:
            return BarRecord(*name, bars.decode(row.payload), row.payload)
        case Kind.BOOK:
            return _book_record(exchange, symbol, row)
        case Kind.PROFILE:
            return windows.decode_profile((*name, row.timeframe, *span), row.payload)
        case Kind.ORDER_FLOW:
            return windows.decode_order_flow((*name, row.timeframe, *span), row.payload)
        case Kind.LEVELS:
            return windows.decode_levels(*name, span, row.payload)
        case Kind.GAP:
            return _gap_record(exchange, symbol, row)
        case _:
            raise StorageError(
                f"a journal entry is of a kind unknown to this version ({row.kind}): upgrade to read it"
            )


def _book_record(exchange: str, symbol: str, row: RecordRow) -> BookRecord:
    stored = _books.decode(row.payload)
    check_format(stored.format, FORMAT)
    return BookRecord(
        exchange, symbol, row.start, stored.sequence, stored.price_decimals, stored.quantity_decimals,
        _unpack_side(stored.bids), _unpack_side(stored.asks),
    )  # fmt: skip


def _unpack_side(side: _Side) -> list[tuple[int, int]]:
    prices = accumulate([*columns.unpack(side.best), *columns.unpack(side.steps)])
    return list(zip(prices, columns.unpack(side.quantities), strict=True))


def _gap_record(exchange: str, symbol: str, row: RecordRow) -> GapRecord:
    stored = _gaps.decode(row.payload)
    check_format(stored.format, FORMAT)
    gap = gap_of(exchange, symbol, row.timeframe, (row.start, row.end), stored.at)
    return GapRecord(gap, stored.state, stored.reason)


def gap_of(exchange: str, symbol: str, id_kind: str, span: tuple[int, int], at: int) -> AnyGap:
    """Return a gap of what was stored of it."""
    if id_kind == TIMES:
        return SuspectedGap(exchange, symbol, *span)
    return Gap(exchange, symbol, IdKind(id_kind), *span, at)
