from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from storage_samples import batch, plain

from actors.messages import TradeBatch
from actors.storage import payload
from actors.storage.errors import StorageError
from actors.storage.journal import Journal
from wadm.market import IdKind, Trades

whole = st.integers(-(1 << 70), 1 << 70)
stamp = st.integers(0, (1 << 63) - 1)


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
        found = [plain(entry) for _, entry in journal.read(0, 100)]
        journal.close()
    assert found == [plain(original) for original in originals]


def test_a_later_format_is_refused():
    data = payload.encode_batch(batch(1))
    later = data.replace(data[:2], data[:1] + b"\x02", 1)
    with pytest.raises(StorageError, match="format 2, this version reads 1"):
        payload.decode_batch("binance", "BTCUSDT", 1, 1, later)
