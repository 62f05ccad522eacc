"""Days leave the warm store only for an archive that has them, and stay where anything stands in the way."""

import threading
from collections.abc import Callable

import pytest
import trio
from cold_samples import FIRST, FOREVER, NAME, SECOND, all_of, minutes, packed, path
from storage_samples import EXCHANGE, SYMBOL, profile_record

from actors.messages import BarRecord, ProfileRecord
from actors.storage import engines
from actors.storage.cold.archive import Archive
from actors.storage.cold.archivist import Archivist
from actors.storage.cold.objects import Objects
from actors.storage.errors import DiskFull, StorageError
from actors.storage.sql import SqlStore
from supervision import BreakerState, Context
from wadm.market import DAY, MINUTE

WEEK = 7 * DAY


class Clock:
    """The time that the store notes, and that the archivist looks at."""

    now = 1_800_000_000_000_000

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(tmp_path, clock):
    made = SqlStore(engines.embedded_url(tmp_path), "journal", clock=clock)
    made.initialise()
    yield made
    made.close()


@pytest.fixture
def archivist(store, archive, clock):
    return Archivist(store, archive, WEEK, clock)


@pytest.fixture
def in_folder(store, local, clock, monkeypatch):
    """An archivist whose archive is in a folder, and who tries again at once."""
    made = Archivist(store, local, WEEK, clock)
    made.breaker.policy = type(made.breaker.policy)(window=1, minimum_calls=1, open_seconds=1e-9)
    return made


def keep(store, bars, symbol=SYMBOL):
    store.apply([BarRecord(EXCHANGE, symbol, bar) for bar in bars], 0)


def warm(store):
    return store.bars(*NAME, 0, FOREVER)


async def test_a_day_moves_once_all_its_bars_are_older_than_their_lifetime(store, archivist, objects, clock):
    old = minutes(0, 1, 700, 1439)
    keep(store, old)
    clock.now += DAY
    keep(store, minutes(0, day=SECOND))
    keep(store, minutes(5, day=SECOND), "ETHUSDT")
    await archivist.look()
    assert (warm(store), all_of(archivist.archive)) == ([*old, *minutes(0, day=SECOND)], [])
    clock.now += WEEK - DAY + 1
    await archivist.look()
    assert warm(store) == minutes(0, day=SECOND)
    assert all_of(Archive(objects)) == old
    progress = archivist.progress
    assert (progress.last, progress.waiting) == (f"{EXCHANGE}:{SYMBOL} 2024-08-08", 0)
    assert (progress.last_error, progress.failures) == (None, 0)
    clock.now += DAY
    await archivist.look()
    assert (store.symbols(), Archive(objects).symbols()) == ([], [NAME, (EXCHANGE, "ETHUSDT")])


async def test_a_late_revision_of_an_archived_day_is_merged_into_it(store, archivist, objects, clock):
    archivist.archive.keep(*NAME, FIRST, packed(minutes(0, 1, revision=1)))
    keep(store, [*minutes(1, revision=2, quantity=9), *minutes(0, 2)])
    clock.now += WEEK + 1
    await archivist.look()
    assert warm(store) == []
    wanted = [*minutes(0, revision=1), *minutes(1, revision=2, quantity=9), *minutes(2)]
    assert all_of(Archive(objects)) == wanted


async def test_a_bar_revised_while_its_day_is_written_stays(store, in_folder, clock, monkeypatch):
    keep(store, minutes(0, 1))
    clock.now += WEEK + 1
    kept = Archive.keep

    def slow(self, *given):
        keep(store, minutes(1, revision=1, quantity=9))
        kept(self, *given)

    monkeypatch.setattr(Archive, "keep", slow)
    await in_folder.look()
    assert warm(store) == minutes(1, revision=1, quantity=9)
    assert all_of(in_folder.archive) == minutes(0, 1)


async def test_what_was_archived_and_not_forgotten_is_forgotten_the_next_time(
    store, in_folder, clock, monkeypatch
):
    keep(store, minutes(0, 1))
    clock.now += WEEK + 1

    def fail(*_):
        raise StorageError("the store is away")

    monkeypatch.setattr(SqlStore, "forget_bars", fail)
    await in_folder.look()
    assert (len(warm(store)), in_folder.progress.last_error) == (2, "the store is away")
    monkeypatch.undo()
    await in_folder.look()
    assert (warm(store), all_of(in_folder.archive)) == ([], minutes(0, 1))
    assert in_folder.progress.last_error is None


async def test_while_the_bucket_is_missing_the_store_keeps_its_bars(store, s3, clock, monkeypatch):
    monkeypatch.setattr("actors.storage.cold.objects.AVOIDED", 0.0)
    archivist = Archivist(store, Archive(Objects(s3.url("made-late"))), WEEK, clock)
    keep(store, minutes(0))
    keep(store, minutes(0, day=SECOND))
    clock.now += WEEK + 1
    await archivist.look()
    progress = archivist.progress
    assert "there is no bucket at s3://made-late/cold" in progress.last_error
    assert (progress.waiting, progress.failures, progress.breaker) == (2, 1, BreakerState.OPEN)
    assert len(warm(store)) == 2
    s3.make("made-late")
    await archivist.look()  # the breaker is open: it does not even try
    assert archivist.progress.failures == 1
    assert len(warm(store)) == 2
    archivist.breaker.reset()
    await archivist.look()
    assert (warm(store), archivist.progress.last_error, archivist.progress.waiting) == ([], None, 0)


async def test_on_a_full_disk_everything_stays_as_it_is(store, in_folder, clock, monkeypatch):
    keep(store, minutes(0))
    clock.now += WEEK + 1

    def full(*_):
        raise DiskFull("no room left")

    monkeypatch.setattr(Objects, "write", full)
    await in_folder.look()
    assert (warm(store), in_folder.progress.last_error) == (minutes(0), "no room left")
    monkeypatch.undo()
    await in_folder.look()
    assert warm(store) == []


async def test_a_day_that_does_not_come_back_as_it_was_written_is_not_forgotten(
    store, in_folder, clock, monkeypatch
):
    keep(store, minutes(0, 1))
    clock.now += WEEK + 1
    write = Objects.write
    monkeypatch.setattr(Objects, "write", lambda self, at, data, old: write(self, at, data[:-9], old))
    await in_folder.look()
    assert warm(store) == minutes(0, 1)
    assert "came back otherwise than it was written" in in_folder.progress.last_error
    monkeypatch.undo()
    await in_folder.look()
    assert (warm(store), all_of(in_folder.archive)) == ([], minutes(0, 1))


async def test_a_file_that_cannot_be_read_holds_up_its_own_day_only(store, in_folder, clock):
    in_folder.archive.objects.write(path(), b"something else", None)
    keep(store, [*minutes(0), *minutes(0, day=SECOND)])
    clock.now += WEEK + 1
    await in_folder.look()
    assert warm(store) == minutes(0)
    assert f"{path()} is damaged" in in_folder.progress.last_error
    assert (in_folder.progress.waiting, in_folder.progress.breaker) == (1, BreakerState.CLOSED)
    assert in_folder.archive.objects.read(path())[0] == b"something else"
    in_folder.archive.objects.remove(path())
    await in_folder.look()
    assert (warm(store), in_folder.progress.last_error) == ([], None)


async def test_a_store_that_fails_is_left_alone_for_a_while(store, in_folder, clock, monkeypatch):
    days = [(EXCHANGE, f"COIN{number}", FIRST) for number in range(9)]
    asked = []

    def fail(_store, exchange, symbol, *_):
        asked.append(symbol)
        raise StorageError("the store is away")

    monkeypatch.setattr(SqlStore, "ripe_days", lambda *_: days)
    monkeypatch.setattr(SqlStore, "bars", fail)
    await in_folder.look()
    assert asked == ["COIN0", "COIN1", "COIN2"]
    assert in_folder.progress.waiting == 9


async def test_the_profile_has_the_rows_of_the_one_in_the_store(store, in_folder, clock, monkeypatch):
    keep(store, minutes(0))
    sample = profile_record(FIRST)
    store.apply(
        [ProfileRecord(EXCHANGE, SYMBOL, "1d", FIRST, SECOND, 0, False, sample.profile)], 0
    )  # fmt: skip
    clock.now += WEEK + 1
    sizes = []
    kept = Archive.keep

    def noting(self, *given):
        sizes.append(given[-1])
        kept(self, *given)

    monkeypatch.setattr(Archive, "keep", noting)
    await in_folder.look()
    assert sizes == [sample.profile.row_size]


async def until(predicate: Callable[[], bool]) -> None:
    while not predicate():  # noqa: ASYNC110  # no event tells of it
        await trio.sleep(0.001)


async def test_the_actor_looks_again_and_again(store, in_folder, clock, monkeypatch):
    for name in ("DELAY", "PERIOD"):
        monkeypatch.setattr(f"actors.storage.cold.archivist.{name}", 0.001)
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(in_folder.run, Context("archivist", 1))
            for day in (FIRST, SECOND):
                keep(store, minutes(3, day=day))
                clock.now += WEEK + 1
                await until(lambda: not store.symbols())
            nursery.cancel_scope.cancel()
    assert [one.start for one in all_of(in_folder.archive)] == [FIRST + 3 * MINUTE, SECOND + 3 * MINUTE]


async def test_a_server_that_hangs_does_not_hold_up_the_end(store, in_folder, clock, monkeypatch):
    keep(store, minutes(0))
    clock.now += WEEK + 1
    begun, release = threading.Event(), threading.Event()

    def hang(*_):
        begun.set()
        release.wait(20)

    monkeypatch.setattr(Archive, "keep", hang)
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(in_folder.look)
            await until(begun.is_set)
            nursery.cancel_scope.cancel()
    release.set()
    assert warm(store) == minutes(0)
