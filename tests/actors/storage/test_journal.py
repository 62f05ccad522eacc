import threading
from itertools import pairwise

import pytest
from storage_samples import (
    EXCHANGE,
    FOREVER,
    NAME,
    START,
    SYMBOL,
    bar,
    bar_record,
    batch,
    gap_record,
    one_of_each,
    order_flow_record,
    plain,
    plainly,
    profile_record,
    trades_at,
)

from actors.messages import Kind, TradeBatch
from actors.storage.errors import StorageError
from actors.storage.journal import SEGMENT, Journal
from wadm.market import MINUTE

SECOND = 1_000_000


def entries_of(journal):
    return [entry for _, entry in journal.read(0, 100_000)[0]]


def test_every_kind_of_entry_comes_back_as_it_was_in_order(journal):
    entries = one_of_each()
    assert journal.append(entries) == 7
    found = journal.read(0, 100)[0]
    assert [seq for seq, _ in found] == [1, 2, 3, 4, 5, 6, 7]
    assert plainly(entry for _, entry in found) == plainly(entries)


def test_windows_without_trades_come_back(journal):
    entries = [profile_record(empty=True), order_flow_record(empty=True), bar_record(count=0)]
    journal.append(entries)
    assert plainly(entries_of(journal)) == plainly(entries)


def test_the_clock_of_another_process_is_not_kept(journal):
    journal.append([batch(1)])
    assert entries_of(journal)[0].clock == 0.0


def test_a_batch_without_trades_comes_back(journal):
    empty = TradeBatch(trades_at(), 1, 1, START, 0.0, START)
    journal.append([empty])
    assert plainly(entries_of(journal)) == plainly([empty])


def test_what_was_committed_before_is_left_out_and_takes_no_number(journal):
    journal.append(one_of_each())
    assert journal.append(one_of_each()) == 7
    assert journal.append([batch(1), batch(2), bar_record(), bar_record(revision=1)]) == 9
    assert [seq for seq, _ in journal.read(7, 100)[0]] == [8, 9]


def test_batches_are_told_apart_by_incarnation_symbol_and_number(journal):
    batches = [batch(1), batch(2), batch(1, incarnation=2), batch(1, symbol="ETHUSDT")]
    assert journal.append(batches) == 4
    assert plainly(entries_of(journal)) == plainly(batches)


def test_records_are_told_apart_by_natural_key_and_revision(journal):
    records = [
        bar_record(), bar_record(revision=1), bar_record(START + MINUTE), bar_record(symbol="ETHUSDT"),
        gap_record(10, 19), gap_record(10, 12), gap_record(10, 12, "filled"),
    ]  # fmt: skip
    assert journal.append(records) == len(records)


def test_an_empty_append_changes_nothing(journal):
    journal.append([batch(1)])
    assert journal.append([]) == 1


def test_reading_goes_on_after_a_number_and_stops_at_the_limit(journal):
    journal.append([batch(1), bar_record(), batch(2), gap_record(), batch(3)])
    assert [seq for seq, _ in journal.read(1, 3)[0]] == [2, 3, 4]
    assert journal.read(5, 10)[0] == []


def test_records_can_be_read_without_the_trades_between_them(journal):
    journal.append([batch(1), bar_record(), batch(2), gap_record(), batch(3)])
    records, reached = journal.read(0, 1, frozenset(Kind) - {Kind.TRADES})
    assert (plainly(entry for _, entry in records), reached) == (plainly([bar_record()]), 2)
    records, reached = journal.read(2, 10, frozenset(Kind) - {Kind.TRADES})
    assert ([seq for seq, _ in records], reached) == ([4], 5)
    assert journal.read(5, 10, frozenset(Kind) - {Kind.TRADES}) == ([], 5)


def test_trades_are_cut_to_the_range_by_exchange_time(journal):
    journal.append([batch(1), batch(2), batch(3), batch(2, symbol="ETHUSDT")])
    first, last = START + SECOND + 2_000, START + 3 * SECOND + 1_000
    runs = list(journal.trades(*NAME, first, last))
    assert [list(run.times) for run in runs] == [
        [START + SECOND + 2_000, START + SECOND + 3_000],
        [START + 2 * SECOND + offset for offset in (0, 1_000, 2_000, 3_000)],
        [START + 3 * SECOND],
    ]
    assert runs[0].ids == [SECOND + 2_000, SECOND + 3_000]
    assert {run.symbol for run in runs} == {SYMBOL}


def test_trades_come_in_the_order_of_the_journal(journal):
    late = batch(2, START + 5, START + 1)
    journal.append([batch(1, START + 10), late, batch(3, START + 20)])
    assert [list(run.times) for run in journal.trades(*NAME, START, START + 11)] == [
        [START + 10], [START + 5, START + 1],
    ]  # fmt: skip


def test_overlapping_batches_come_whole_with_their_numbers(journal):
    journal.append([batch(1), batch(2), batch(3)])
    found = list(journal.overlapping(*NAME, START + 2 * SECOND + 1, START + 2 * SECOND + 2))
    assert plainly(found) == plainly([batch(2)])


def test_a_long_read_goes_through_many_short_transactions(journal):
    journal.append([batch(number, size=1) for number in range(1, 1_001)])
    assert [found.number for found in journal.overlapping(*NAME, 0, FOREVER)] == list(range(1, 1_001))


def test_ids_alone_are_those_of_the_batches(journal, monkeypatch):
    monkeypatch.setattr("actors.storage.journal_view.PAGE_OF_IDS", 3)
    journal.append([batch(number) for number in range(1, 8)])
    whole = list(journal.overlapping(*NAME, 0, FOREVER))
    kept = list(journal.ids(*NAME))
    assert [list(one.ids) for one in kept] == [list(one.trades.ids) for one in whole]
    assert [(one.incarnation, one.number, one.market_time, one.id_kind, one.last_time) for one in kept] == [
        (one.incarnation, one.number, one.market_time, one.trades.id_kind, max(one.trades.times))
        for one in whole
    ]


def test_ids_of_all_streams_are_joined_where_they_go_on(journal, monkeypatch):
    monkeypatch.setattr("actors.storage.journal_view.PAGE_OF_IDS", 3)
    journal.append([one for number in range(1, 8) for one in (batch(number), batch(number, symbol="X"))])
    journal.append([batch(1, symbol="NAMED", ids="abcd")])
    joined = journal.joined_ids()
    assert sorted(joined) == [NAME, (NAME[0], "X")]
    for name, found in joined.items():
        kept = list(journal.ids(*name))
        assert [i for one in found for i in one.ids] == [i for one in kept for i in one.ids]
        assert (found[0].number, found[-1].last_time) == (1, kept[-1].last_time)
        assert all(later.ids[0] != one.ids[-1] + 1 for one, later in pairwise(found))


def test_batches_after_a_number_come_by_number(journal):
    journal.append([batch(3), batch(2), batch(1), batch(4, incarnation=2), batch(4, symbol="ETHUSDT")])
    assert [found.number for found in journal.batches(*NAME, 1, 1)] == [2, 3]
    assert [found.number for found in journal.batches(*NAME, 1, 0, limit=1)] == [1]
    assert journal.batches(*NAME, 9, 0) == []


def test_of_each_bar_the_highest_revision_is_read(journal):
    later = bar_record(START + MINUTE)
    journal.append([bar_record(revision=1, quantity=9), later, bar_record()])
    assert journal.bars(*NAME, START, FOREVER) == [bar(revision=1, quantity=9), later.bar]
    assert journal.bars(*NAME, START, START + MINUTE) == [bar(revision=1, quantity=9)]
    assert journal.bars(*NAME, 0, FOREVER, after=2) == [bar()]
    assert journal.bar_extent(*NAME) == (START, START + 2 * MINUTE)


def test_gaps_are_read_as_they_were_journalled(journal):
    journal.append([gap_record(), gap_record(10, 12, "filled"), gap_record(13, 19, "unfillable", "too old")])
    assert journal.gaps(*NAME, after=1) == [
        gap_record(10, 12, "filled"), gap_record(13, 19, "unfillable", "too old"),
    ]  # fmt: skip


def test_unknown_symbols_have_nothing(journal):
    nobody = ("binance", "NOPE")
    assert list(journal.trades(*nobody, 0, FOREVER)) == []
    assert journal.bars(*nobody, 0, FOREVER) == []
    assert journal.bar_extent(*nobody) is None
    assert journal.trades_extent(*nobody) is None
    assert journal.symbols() == []


def test_symbols_and_extents(journal):
    journal.append([batch(1), batch(2), batch(1, symbol="ETHUSDT")])
    assert journal.symbols() == [(EXCHANGE, "BTCUSDT"), (EXCHANGE, "ETHUSDT")]
    assert journal.trades_extent(*NAME) == (START + SECOND, START + 2 * SECOND + 3_000)


def test_numbers_epoch_and_identity_go_on_after_a_restart(tmp_path):
    journal = Journal(tmp_path)
    journal.append([batch(1), batch(2)])
    before = journal.identity()
    assert (journal.next_epoch(), journal.next_epoch()) == (1, 2)
    journal.close()
    again = Journal(tmp_path)
    assert again.last_seq() == 2
    assert again.append([batch(2), batch(3)]) == 3
    assert again.next_epoch() == 3
    assert again.identity() == before
    again.close()


def test_threads_read_while_another_appends(journal):
    seen, errors = [], []
    done = threading.Event()

    def read():
        try:
            while not done.is_set():
                found = [number for number, _ in journal.read(0, 10_000)[0]]
                assert found == list(range(1, len(found) + 1))
                seen.append(len(found))
        except Exception as error:
            errors.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(100):
        journal.append([batch(2 * number), batch(2 * number + 1)])
    done.set()
    for reader in readers:
        reader.join()
    assert not errors
    assert all(count % 2 == 0 for count in seen)
    assert journal.last_seq() == 200


def test_an_entry_that_cannot_be_written_leaves_nothing_of_its_run(journal):
    with pytest.raises(ValueError, match="not in tuple"):
        journal.append([batch(1), gap_record(state="lost in the post")])
    assert journal.read(0, 10)[0] == []
    with pytest.raises(OverflowError):
        journal.append([batch(1, symbol="NEW"), batch(1 << 64, symbol="NEW")])
    assert journal.append([batch(1, symbol="NEW")]) == 1
    assert plain(entries_of(journal)[0]) == plain(batch(1, symbol="NEW"))


def test_an_entry_that_cannot_be_read_names_the_file(journal):
    journal.append([batch(1)])
    journal._db.execute("UPDATE batches SET payload = x'00'")
    with pytest.raises(StorageError, match=r"journal\.sqlite3 holds an entry that cannot be read"):
        journal.read(0, 10)[0]


class Ticking:
    """A wall clock that tests move."""

    def __init__(self, now=0):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Ticking(1_000 * SEGMENT)


@pytest.fixture
def timed(tmp_path, clock):
    journal = Journal(tmp_path, clock=clock)
    yield journal
    journal.close()


def test_whole_segments_go_once_they_are_old_and_passed(timed, clock):
    timed.append([batch(1), bar_record()])
    clock.now += SEGMENT - 1
    timed.append([batch(2)])
    clock.now += 1
    timed.append([batch(3)])
    assert timed.trim(1_001 * SEGMENT - 1, 100) == 0  # the segment has not ended by then
    assert timed.trim(1_001 * SEGMENT, 2) == 0  # not all of it was passed
    assert timed.trim(1_001 * SEGMENT, 3) == 3
    assert [seq for seq, _ in timed.read(0, 10)[0]] == [4]
    assert next(iter(timed.batches(*NAME, 1, 0))).number == 3


def test_numbers_go_on_when_everything_was_trimmed(timed, clock, tmp_path):
    timed.append([batch(1), batch(2)])
    assert timed.trim(FOREVER, 2) == 2
    assert (timed.read(0, 10)[0], timed.last_seq()) == ([], 2)
    timed.close()
    again = Journal(tmp_path, clock=clock)
    assert again.append([batch(3)]) == 3
    assert again.trim(FOREVER, 3) == 1
    again.close()


def test_a_clock_set_back_opens_no_older_segment(timed, clock):
    timed.append([batch(1)])
    clock.now -= 5 * SEGMENT
    timed.append([batch(2)])
    assert timed.trim(1_000 * SEGMENT, 2) == 0
    assert timed.trim(1_001 * SEGMENT, 2) == 2


def test_what_came_while_the_clock_was_years_ahead_grows_old_all_the_same(timed, clock, tmp_path):
    now = clock.now
    clock.now += 100_000 * SEGMENT
    timed.append([batch(1)])
    clock.now = now
    for number in range(2, 9):
        timed.append([batch(number)])
        clock.now += SEGMENT
    assert timed.trim(clock.now, FOREVER) == 0  # from when that was noticed on
    timed.append([batch(9)])
    clock.now += SEGMENT
    timed.append([batch(10)])
    assert timed.trim(clock.now, FOREVER) == 9
    assert timed.last_seq() == 10


def test_the_file_stays_at_the_size_of_what_is_kept(timed, clock):
    sizes = []
    for segment in range(8):
        timed.append([batch(100 * segment + number, size=200) for number in range(100)])
        clock.now += SEGMENT
        timed.trim(clock.now - SEGMENT, FOREVER)
        timed._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        sizes.append(timed.path.stat().st_size)
    assert max(sizes[3:]) <= sizes[2]


def test_appends_take_their_turn_while_trimming(timed, clock):
    timed.append([batch(number, size=1) for number in range(3_000)])
    clock.now += SEGMENT
    trimmed = []
    trimmer = threading.Thread(target=lambda: trimmed.append(timed.trim(clock.now, FOREVER)))
    trimmer.start()
    for number in range(20):
        timed.append([batch(10_000 + number)])
    trimmer.join()
    assert trimmed == [3_000]
    assert len(timed.read(0, 100)[0]) == 20
