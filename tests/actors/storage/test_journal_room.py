"""What the journal lets go of when it has no room, and what it remembers of those who needed it."""

import contextlib
import subprocess
import threading
from pathlib import Path

import pytest
from storage_samples import START, bar_record, batch, gap_record, one_of_each

from actors.messages import Kind
from actors.storage import files, journal_file
from actors.storage import journal as module
from actors.storage.errors import DiskFull, StorageError
from actors.storage.journal import SEGMENT, SLICE, Journal
from actors.storage.journal_file import LEAP
from actors.storage.letting_go import Follower
from actors.storage.tier_log import Loss
from wadm.market import MINUTE, SECOND

EVERYTHING = frozenset(Kind)
RECORDS = EVERYTHING - {Kind.TRADES}
FOREVER = 1 << 62


class Ticking:
    """A wall clock that tests move."""

    now = 1_000 * SEGMENT

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Ticking()


@pytest.fixture
def timed(tmp_path, clock):
    journal = Journal(tmp_path, clock=clock)
    yield journal
    journal.close()


def seqs(journal):
    return [seq for seq, _ in journal.read(0, 1_000_000)[0]]


def fill(journal, clock, seconds, per_second=SLICE):
    """Append batches, so many each second; return when the last were appended."""
    for second in range(seconds):
        journal.append([batch(1_000 * second + index, size=40) for index in range(per_second)])
        clock.now += SECOND
    return clock.now - SECOND


def test_what_came_while_the_clock_was_years_ahead_is_no_reason_to_keep_the_rest(timed, clock):
    now = clock.now
    clock.now += 100_000 * SEGMENT
    timed.append([batch(9_999)])
    clock.now = now
    fill(timed, clock, 1)
    assert timed.shed(0, clock.now, ()) == 0  # from when that was noticed on
    clock.now += MINUTE
    assert timed.shed(0, clock.now, ()) == 1 + SLICE


def test_numbers_that_were_left_out_cost_nothing_when_they_are_let_go(timed, clock, monkeypatch):
    monkeypatch.setattr(module, "REST", 0)
    timed.append([batch(1)])
    timed.leap(1 << 40)
    timed.append([batch(2), bar_record()])
    clock.now += SEGMENT
    assert timed.trim(clock.now, FOREVER) == 3
    assert timed.first_seq() == (1 << 40) + 3


# --- what the time is known of ---


def test_it_knows_when_an_entry_was_committed_to_the_second(timed, clock):
    first = clock.now
    timed.append([batch(1)])
    clock.now += SECOND // 2
    timed.append([batch(2)])
    clock.now += SECOND // 2
    timed.append([batch(3)])
    assert [timed.written_at(seq) for seq in (1, 2, 3)] == [first, first, first + SECOND]


def test_of_what_was_let_go_the_time_is_that_of_the_oldest_left(timed, clock):
    fill(timed, clock, 3, per_second=2)
    timed._forget(1, 4)
    assert timed.written_at(1) == timed.written_at(5)
    assert timed.first_seq() == 5


def test_an_empty_journal_knows_no_time(timed):
    assert timed.written_at(1) is None
    assert timed.first_seq() == 1


# --- reading by weight ---


def test_a_read_ends_with_the_entry_that_makes_it_heavy(timed):
    timed.append([batch(1, size=30), batch(2, size=30), bar_record(), batch(3, size=30)])
    assert [seq for seq, _ in timed.read(0, 100, weight=60)[0]] == [1, 2]
    found, place = timed.read(0, 100, weight=65)
    assert ([seq for seq, _ in found], place) == ([1, 2, 3], 3)
    assert timed.read(0, 100, weight=1_000)[1] == 4


# --- the quota ---


def test_over_its_quota_the_oldest_go_and_who_has_not_passed_them_loses_them(timed, clock):
    begun = clock.now
    fill(timed, clock, 10)
    timed.append([bar_record()])
    room = timed.taken() // 2
    followers = [
        Follower("slow", 10, EVERYTHING), Follower("bars", 0, RECORDS), Follower("done", FOREVER, EVERYTHING),
    ]  # fmt: skip
    gone = timed.shed(room, FOREVER, followers)
    left = seqs(timed)
    assert gone == 10 * SLICE + 1 - len(left)
    assert timed.taken() <= room
    assert left[0] == gone + 1
    (loss,) = timed.losses()
    at = begun + (gone - 1) // SLICE * SECOND
    assert loss == Loss("slow", 11, gone, begun, at, 40 * (gone - 10), 0, clock.now)
    assert timed.losses("done") == []


def test_what_was_just_received_stays_whatever_the_quota(timed, clock):
    last = fill(timed, clock, 3)
    assert timed.shed(0, last, [Follower("slow", 0, EVERYTHING)]) == 2 * SLICE
    assert len(seqs(timed)) == SLICE
    assert timed.shed(0, last, []) == 0


def test_losses_and_places_outlive_the_process(tmp_path, clock):
    journal = Journal(tmp_path, clock=clock)
    fill(journal, clock, 2)
    journal.note_places({"slow": 10, "fast": 90})
    journal.note_places({"slow": 5})
    journal.shed(0, FOREVER, [Follower("slow", 5, EVERYTHING)])
    journal.close()
    again = Journal(tmp_path, clock=clock)
    assert again.places() == {"slow": 5, "fast": 90}
    assert [(loss.first_seq, loss.last_seq) for loss in again.losses("slow")] == [(6, 2 * SLICE)]
    assert again.append([batch(50_000)]) == 2 * SLICE + 1
    again.close()


def test_records_that_are_lost_are_counted_by_what_is_kept(timed, clock):
    timed.append(one_of_each())
    timed.shed(0, FOREVER, [Follower("all", 0, EVERYTHING), Follower("bars", 0, frozenset([Kind.BAR]))])
    records = len(one_of_each()) - 1
    found = {loss.target: (loss.trades, loss.records) for loss in timed.losses()}
    assert found == {"all": (4, records), "bars": (0, 1)}


def test_appends_go_on_while_it_sheds(timed, clock):
    fill(timed, clock, 20)
    shedder = threading.Thread(target=timed.shed, args=(0, clock.now, []))
    shedder.start()
    for number in range(20):
        timed.append([batch(100_000 + number)])
    shedder.join()
    assert len(seqs(timed)) >= 20
    assert timed.append([gap_record()]) == 20 * SLICE + 21


# --- a machine that failed ---


@pytest.fixture
def boot(monkeypatch, tmp_path):
    """Say which run of the machine this is."""
    monkeypatch.setattr(journal_file, "_BOOT", tmp_path / "boot")

    def say(name):
        (tmp_path / "boot").write_text(f"{name}\n")

    say("one")
    return say


def test_after_a_power_failure_no_number_is_used_again(tmp_path, boot):
    journal = Journal(tmp_path)
    journal.append([batch(1), batch(2)])
    lost = journal._db
    journal._idle.clear()
    boot("two")
    after = Journal(tmp_path)
    assert after.last_seq() == after.began == 2 + LEAP
    assert after.append([batch(3)]) == 3 + LEAP
    lost.close()
    after.close()


@pytest.mark.parametrize("killed", [True, False])
def test_a_kill_or_an_orderly_end_takes_no_numbers_away(tmp_path, boot, killed):
    journal = Journal(tmp_path)
    journal.append([batch(1)])
    left = journal._db
    if not killed:
        journal.close()
        boot("two")
    after = Journal(tmp_path)
    assert after.append([batch(2)]) == 2
    left.close()
    after.close()


def test_a_journal_from_before_there_were_tiers_is_read_and_written_as_it_is(tmp_path):
    journal = Journal(tmp_path)
    journal.append([batch(1)])
    for table in ("moments", "places", "losses"):
        journal._db.execute(f"DROP TABLE {table}")
    journal.close()
    again = Journal(tmp_path)
    assert (again.places(), again.losses(), again.append([batch(2)])) == ({}, [], 2)
    again.close()


# --- checkpoints ---


def test_a_checkpoint_folds_the_log_into_the_file_beside_appends(timed, monkeypatch):
    monkeypatch.setattr(journal_file, "LOG_LIMIT", 1)
    timed.append([batch(number, size=200) for number in range(500)])
    log = timed.path.with_name(f"{timed.path.name}-wal")
    timed.checkpoint()
    grown = log.stat().st_size
    for number in range(500, 1_000, 50):
        timed.append([batch(number + index, size=200) for index in range(50)])
        timed.checkpoint()
    # The log was begun anew each time.
    assert log.stat().st_size == grown
    assert len(seqs(timed)) == 1_000


# --- a disk without room ---


@pytest.fixture
def small_disk(tmp_path):
    """A disk of two megabytes, where this user may have one."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small disk needs the right to mount one: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def append_until_refused(journal, number):
    while True:
        journal.append([batch(number + index, size=100) for index in range(20)])
        number += 20


def test_on_a_full_disk_it_waits_and_goes_on_once_there_is_room(small_disk: Path):
    ballast = small_disk / "ballast"
    journal = Journal(small_disk)
    ballast.write_bytes(bytes(1 << 20))
    with pytest.raises(DiskFull, match="no room left to write"):
        append_until_refused(journal, 0)
    assert len(seqs(journal)) == journal._last
    with contextlib.suppress(StorageError):
        journal.checkpoint()
    with pytest.raises(DiskFull):
        append_until_refused(journal, 10_000)
    kept = seqs(journal)
    ballast.unlink()
    journal.checkpoint()
    assert journal.append([batch(50_000)]) == len(kept) + 1
    assert seqs(journal)[:-1] == kept
    journal.close()
    with contextlib.closing(files.connect(journal.path, read_only=True)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


# --- a damaged file ---


def test_a_damaged_page_is_named_and_left_as_it_is(tmp_path):
    journal = Journal(tmp_path)
    journal.append([batch(number, size=100) for number in range(500)])
    journal.append([bar_record(START + index * MINUTE) for index in range(20)])
    journal.close()
    content = bytearray(journal.path.read_bytes())
    for page in range(8, len(content) // files.PAGE, 3):
        content[page * files.PAGE : page * files.PAGE + 64] = b"\xff" * 64
    journal.path.write_bytes(content)
    with pytest.raises(StorageError, match=r"journal\.sqlite3 is damaged .* restore it from a backup"):
        read_all(tmp_path)
    assert len(journal.path.read_bytes()) == len(content)


def read_all(directory):
    with contextlib.closing(Journal(directory)) as journal:
        journal.read(0, 100_000)
