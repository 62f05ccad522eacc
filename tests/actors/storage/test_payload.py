from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from storage_samples import batch, book_record, order_flow_record, plain

from actors.messages import BookRecord, LevelMark, LevelsRecord, OrderFlowRecord, ProfileRecord, TradeBatch
from actors.storage import payload
from actors.storage.errors import StorageError
from actors.storage.journal import Journal
from wadm.analytics.levels import LiquidityType
from wadm.analytics.order_flow import OrderFlow
from wadm.analytics.profile import Profile, ValueAreaMethod
from wadm.market import IdKind, Trades
from wadm.timeframes import TIMEFRAMES

whole = st.integers(-(1 << 70), 1 << 70)
stamp = st.integers(0, (1 << 63) - 1)
count = st.integers(0, 1 << 40)
amount = st.decimals(allow_nan=False, allow_infinity=False)
name = st.tuples(st.sampled_from(["binance", "bybit"]), st.sampled_from(["BTCUSDT", "币安人生USDT"]))
span = st.tuples(stamp, stamp, st.integers(0, 1 << 30))
timeframe = st.sampled_from(list(TIMEFRAMES))
level = st.tuples(whole, whole)


@st.composite
def batches(draw):
    size = draw(st.integers(0, 12))
    ids = draw(st.sampled_from([whole, st.text(max_size=40)]))

    def column(numbers):
        return draw(st.lists(numbers, min_size=size, max_size=size))

    trades = Trades(
        draw(st.text(min_size=1, max_size=12).filter(lambda text: "\0" not in text)),
        draw(st.sampled_from(["BTCUSDT", "币安人生USDT"])),
        draw(st.sampled_from(IdKind)),
        draw(st.integers(0, 18)), draw(st.integers(0, 18)),
        column(ids), column(stamp), column(whole), column(whole), column(st.integers(1, 1 << 40)),
    )  # fmt: skip
    return TradeBatch(trades, draw(stamp), draw(stamp), draw(stamp), 0.0, draw(stamp))


@st.composite
def books(draw):
    return BookRecord(
        *draw(name), draw(stamp), draw(stamp), draw(st.integers(0, 18)), draw(st.integers(0, 18)),
        draw(st.lists(level, max_size=50)), draw(st.lists(level, max_size=50)),
    )  # fmt: skip


@st.composite
def profiles(draw):
    edge = st.none() | whole
    made = Profile(
        draw(amount), draw(st.integers(0, 18)),
        draw(st.dictionaries(whole, st.tuples(whole, whole, whole, whole), max_size=8)),
        draw(edge), draw(edge), draw(edge), draw(whole), draw(amount), draw(st.sampled_from(ValueAreaMethod)),
    )  # fmt: skip
    return ProfileRecord(*draw(name), draw(timeframe), *draw(span), draw(st.booleans()), made)


@st.composite
def order_flows(draw):
    figures = draw(st.lists(whole, min_size=9, max_size=9))
    flow = OrderFlow(
        draw(st.integers(0, 18)), *figures, imbalance_ratio=draw(st.none() | amount),
        exact_path=draw(st.booleans()),
    )  # fmt: skip
    counts = draw(st.none() | count), draw(st.none() | count)
    return OrderFlowRecord(*draw(name), draw(timeframe), *draw(span), draw(st.booleans()), flow, *counts)


@st.composite
def levels(draw):
    mark = st.builds(
        LevelMark, st.sampled_from(LiquidityType), amount, amount, amount, count, st.none() | stamp
    )
    return LevelsRecord(*draw(name), *draw(span), tuple(draw(st.lists(mark, max_size=6))))


@given(st.one_of(books(), profiles(), order_flows(), levels()))
def test_any_record_comes_back_as_it_was(original):
    row = payload.encode_record(original)
    found = payload.decode_record(original.exchange, original.symbol, row)
    assert plain(found) == plain(original)


def test_a_book_of_fifty_levels_a_side_is_packed_small():
    row = payload.encode_record(book_record(levels=50))
    assert (row.start, row.end, row.revision) == (row.start, row.start, 0)
    assert len(row.payload) < 250


def test_an_order_flow_from_before_its_counts_still_comes_back():
    row = payload.encode_record(order_flow_record())
    stored = msgspec.msgpack.decode(row.payload)
    before = row._replace(payload=msgspec.msgpack.encode([1, *stored[1:6]]))
    found = payload.decode_record("binance_usdm", "BTCUSDT", before)
    assert plain(found) == plain(order_flow_record(counts=(None, None)))


def test_a_kind_of_a_later_version_is_refused():
    row = payload.encode_record(book_record())._replace(kind="sentiment")
    with pytest.raises(StorageError, match=r"unknown to this version \(sentiment\)"):
        payload.decode_record("binance", "BTCUSDT", row)


@given(batches())
def test_any_batch_comes_back_as_it_was(original):
    trades = original.trades
    data = payload.encode_batch(original)
    found = payload.decode_batch(trades.exchange, trades.symbol, original.incarnation, original.number, data)
    assert plain(found) == plain(original)


@settings(max_examples=10, deadline=None)
@given(st.lists(batches(), max_size=8, unique_by=lambda one: (one.trades.key, one.incarnation, one.number)))
def test_any_batches_come_back_from_the_file(originals):
    with TemporaryDirectory() as directory:
        journal = Journal(Path(directory))
        journal.append(originals)
        found = [plain(entry) for _, entry in journal.read(0, 100)[0]]
        journal.close()
    assert found == [plain(original) for original in originals]


def test_a_later_format_is_refused():
    data = payload.encode_batch(batch(1))
    later = data.replace(data[:2], data[:1] + b"\x02", 1)
    with pytest.raises(StorageError, match="format 2, this version reads 1"):
        payload.decode_batch("binance", "BTCUSDT", 1, 1, later)
