import pytest
from storage_samples import (
    EXCHANGE,
    FOREVER,
    NAME,
    START,
    bar,
    bar_record,
    batch,
    gap_record,
    suspected_record,
    trades_at,
)

from actors.messages import BarRecord
from actors.storage import engines
from actors.storage.errors import StorageError
from actors.storage.journal import Journal
from actors.storage.reader import DataReader
from actors.storage.sql import SqlStore
from actors.storage.tier_log import Loss
from wadm.bar import Bar, Digest, decode, merge
from wadm.market import MINUTE

SECOND = 1_000_000


@pytest.fixture
def store(tmp_path, journal):
    made = SqlStore(engines.embedded_url(tmp_path), journal.identity())
    yield made
    made.close()


@pytest.fixture
def reader(journal, store):
    return DataReader(journal, store)


def closed(*times, start=START, revision=0):
    """Return the record of a minute's bar made of trades at these times."""
    made = Bar(start, start + MINUTE, revision=revision)
    made.fold(trades_at(*times))
    return BarRecord(*NAME, made)


def test_bars_of_the_journal_lie_over_those_of_the_store(journal, store, reader):
    entries = [bar_record(), bar_record(START + MINUTE)]
    store.apply(entries, journal.append(entries))
    journal.append([bar_record(START + MINUTE, revision=1, quantity=9), bar_record(START + 2 * MINUTE)])
    assert reader.bars(*NAME, START, FOREVER) == [
        bar(), bar(START + MINUTE, revision=1, quantity=9), bar(START + 2 * MINUTE),
    ]  # fmt: skip
    assert reader.bars(*NAME, START + MINUTE, START + 2 * MINUTE) == [
        bar(START + MINUTE, revision=1, quantity=9)
    ]
    assert reader.extent(*NAME) == (START, START + 3 * MINUTE)
    packed = reader.packed_bars(*NAME, START, FOREVER)
    assert [(decode(data), digest) for digest, data in packed] == [
        (one, Digest.of(one)) for one in reader.bars(*NAME, START, FOREVER)
    ]


def test_what_the_store_lost_is_told_of_those_times_only(journal, store, reader):
    name = f"sqlite at {store.address}"
    first, last, counts = START + 5 * MINUTE, START + 9 * MINUTE, (7, 3)
    journal.note_loss(Loss(name, 1, 9, first, last, *counts, last))
    journal.note_loss(Loss(name, 20, 29, None, last, None, None, last))
    journal.note_loss(Loss("redis at elsewhere", 1, 9, START, last, *counts, last))
    (part,) = reader.unreadable(*NAME, START, START + 8 * MINUTE)
    assert (part.start, part.end) == (first - 2 * MINUTE, START + 8 * MINUTE)
    assert part.reason.startswith(f"{name} lost what was received then")
    assert reader.unreadable(*NAME, START, first - 2 * MINUTE) == []
    assert reader.unreadable(*NAME, last + MINUTE, last + 9 * MINUTE) == []
    assert reader.alone.unreadable(*NAME, START, last) == []


def test_a_lower_revision_in_the_journal_does_not_hide_the_stores(journal, store, reader):
    store.apply([bar_record(revision=2, quantity=9)], 0)
    journal.append([bar_record(revision=1)])
    assert reader.bars(*NAME, 0, FOREVER) == [bar(revision=2, quantity=9)]


def test_bars_that_only_the_store_has_are_found(journal, store, reader):
    store.apply([bar_record()], 0)
    assert (reader.bars(*NAME, 0, FOREVER), reader.extent(*NAME)) == ([bar()], (START, START + MINUTE))
    assert reader.symbols() == [NAME]


def test_without_a_store_the_journal_serves_alone(journal):
    journal.append([bar_record(), batch(1, symbol="ETHUSDT")])
    reader = DataReader(journal, None)
    assert reader.bars(*NAME, 0, FOREVER) == [bar()]
    assert reader.symbols() == [NAME, (EXCHANGE, "ETHUSDT")]
    assert reader.gaps(*NAME, 0, FOREVER) == []


def test_nothing_is_known_of_a_symbol_never_seen(reader):
    assert reader.extent(*NAME) is None
    assert reader.span(*NAME) is None
    assert reader.merged(*NAME, START, START + 90 * SECOND) == Bar(START, START + 90 * SECOND)


def test_minutes_that_never_closed_are_made_from_raw_trades(journal, reader):
    times = [START + 10, START + MINUTE + 10, START + 3 * MINUTE, START + 3 * MINUTE + 1]
    journal.append([batch(1, times[0]), closed(times[0]), batch(2, *times[1:])])
    tail = reader.unclosed(*NAME)
    assert [(one.start, one.partial, one.buy_trades + one.sell_trades) for one in tail] == [
        (START + MINUTE, True, 1), (START + 3 * MINUTE, True, 2 + 3),
    ]  # fmt: skip
    assert reader.span(*NAME) == (START, START + 4 * MINUTE)
    everything = reader.merged(*NAME, *reader.span(*NAME))
    assert everything.buy_trades + everything.sell_trades == 1 + 1 + 2 + 3
    assert everything.partial


def test_a_symbol_with_raw_trades_only_has_a_span(journal, reader):
    journal.append([batch(1, START + 10)])
    assert reader.span(*NAME) == (START, START + MINUTE)


def test_a_trade_that_came_over_two_connections_counts_once(journal, reader):
    journal.append([batch(1, START + 1, START + 2), batch(1, START + 2, START + 3, incarnation=2)])
    (only,) = reader.unclosed(*NAME)
    assert only.buy_trades + only.sell_trades == 1 + 2 + 2


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (30 * SECOND, 2 * MINUTE),
        (0, 2 * MINUTE + 30 * SECOND),
        (59 * SECOND, MINUTE + SECOND),
        (10 * SECOND, 20 * SECOND),
        (MINUTE, MINUTE + 1),
        (MINUTE, 2 * MINUTE),
        (45 * SECOND, 2 * MINUTE + 45 * SECOND),
    ],
)
def test_any_range_is_exact_to_the_microsecond(journal, reader, start, end):
    times = [START + second * SECOND for second in range(0, 180, 5)]
    run = trades_at(*times)
    journal.append([batch(1, *times)])
    for minute in range(2):  # the third minute never closed
        journal.append([closed_of(run, START + minute * MINUTE)])
    found = reader.merged(*NAME, START + start, START + end)
    wanted = expected(run, START + start, START + end)
    assert found.rows == wanted.rows
    assert (found.open, found.close, found.delta) == (wanted.open, wanted.close, wanted.delta)
    assert (found.start, found.end) == (START + start, START + end)


def expected(run, start, end):
    folded = Bar(start, end)
    for index, time in enumerate(run.times):
        if start <= time < end:
            folded.fold(run, index, index + 1)
    return folded


def closed_of(run, start):
    return BarRecord(*NAME, merge([expected(run, start, start + MINUTE)], start, start + MINUTE))


def test_a_part_of_a_minute_whose_trades_are_gone_is_refused(journal, reader):
    journal.append([closed(START + 1, START + 2), batch(1, START + 2)])
    with pytest.raises(
        StorageError, match=r"minute of 2024-08-08T23:55:00.* are no longer kept: ask for whole minutes"
    ):
        reader.merged(*NAME, START + 2, START + MINUTE)
    assert reader.merged(*NAME, START, START + MINUTE).sell_trades == 2


def test_late_trades_of_a_closed_minute_count_in_its_parts(journal, reader):
    journal.append([batch(1, START + 1), closed(START + 1), batch(2, START + 2)])
    assert reader.merged(*NAME, START, START + 3).buy_trades == 2


def test_what_is_missing_is_what_no_record_fills(journal, store, reader):
    entries = [gap_record(10, 19), gap_record(10, 12, "filled"), gap_record(30, 35, at=START + MINUTE)]
    store.apply(entries, journal.append(entries))
    journal.append([gap_record(15, 16, "filled"), gap_record(17, 19, "unfillable", "too old")])
    assert reader.gaps(*NAME, START, FOREVER) == [
        gap_record(13, 14),
        gap_record(17, 19, "unfillable", "too old"),
        gap_record(30, 35, at=START + MINUTE),
    ]
    assert reader.gaps(*NAME, START, START + 1) == [
        gap_record(13, 14), gap_record(17, 19, "unfillable", "too old"),
    ]  # fmt: skip
    journal.append([gap_record(13, 19, "filled")])
    assert reader.gaps(*NAME, START, START + 1) == []


def test_a_directory_is_read_without_its_daemon(tmp_path):
    journal = Journal(tmp_path)
    store = SqlStore(engines.embedded_url(tmp_path), journal.identity())
    store.apply([bar_record()], journal.append([bar_record()]))
    journal.append([batch(1, START + MINUTE)])
    store.close()
    journal.close()
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    reader = DataReader.open(tmp_path)
    assert reader.span(*NAME) == (START, START + 2 * MINUTE)
    reader.close()
    assert {path: path.read_bytes() for path in before} == before


def test_a_directory_is_read_beside_its_daemon(tmp_path, journal, store):
    store.apply([bar_record()], journal.append([bar_record()]))
    reader = DataReader.open(tmp_path)
    journal.append([bar_record(START + MINUTE)])
    assert len(reader.bars(*NAME, 0, FOREVER)) == 2
    reader.close()


def test_a_directory_whose_store_was_never_made_is_read_from_its_journal(tmp_path, journal):
    journal.append([bar_record()])
    reader = DataReader.open(tmp_path)
    assert (reader.store, reader.bars(*NAME, 0, FOREVER)) == (None, [bar()])
    reader.close()


def test_a_directory_without_data_is_refused_and_stays_empty(tmp_path):
    with pytest.raises(StorageError, match=f"{tmp_path} holds no data of wadm"):
        DataReader.open(tmp_path)
    with pytest.raises(StorageError, match="holds no data of wadm"):
        DataReader.open(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_directory_is_refused(tmp_path):
    (tmp_path / "journal.sqlite3").write_bytes(b"xyz" * 1000)
    with pytest.raises(StorageError, match="is damaged"):
        DataReader.open(tmp_path)


def test_of_a_suspected_gap_what_was_covered_is_left_out(journal, reader):
    journal.append([gap_record(START, START + 9), suspected_record(START, START + 9)])
    journal.append([suspected_record(START + 4, START + 9, "filled", "")])
    assert reader.gaps(*NAME, 0, FOREVER) == [
        suspected_record(START, START + 3), gap_record(START, START + 9)
    ]  # fmt: skip
    journal.append([suspected_record(START, START + 3, "unfillable", "no older trades")])
    assert reader.gaps(*NAME, 0, FOREVER)[0] == suspected_record(
        START, START + 3, "unfillable", "no older trades"
    )
    assert reader.gaps(*NAME, START + 1, START + 2) == [
        suspected_record(START, START + 3, "unfillable", "no older trades")
    ]
    assert reader.gaps(*NAME, START + 4, START + 5) == []
