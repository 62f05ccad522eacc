"""Sinks whose work is done by processes of their own: real processes, files and servers."""

import os
import random
import signal
import subprocess
import sys
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
import structlog
import trio
from server_process import free_port
from storage_samples import FOREVER, NAME, START, bar_record, batch, gap_record, profile_record

from actors.messages import BarRecord, GapRecord, TradeBatch
from actors.storage import sink as sinks
from actors.storage.carrier import Carried, Leg
from actors.storage.errors import DiskFull, StorageError
from actors.storage.lock import DirectoryLock
from actors.storage.marks import Marks
from actors.storage.opening import WARM, open_target
from actors.storage.sink import Sink
from actors.storage.worker import process
from actors.storage.worker.messages import Carry, Delivered, Failed, Job, Logged, Unpacker, packed
from actors.storage.worker.process import ProcessWorker
from actors.storage.worker.worker import WorkerDied
from supervision import Backoff, ChildSpec, Context, Intensity, Supervisor
from wadm.market import MINUTE
from wadm.sections import StorageSettings

STUCK = 60.0
VICTIM = Path(__file__).with_name("worker_victim.py")


@pytest.fixture
def storage(request):
    """Return the settings of a store: of the embedded one, or of that which the test's parameter names."""
    if getattr(request, "param", "sqlite") == "mongodb":
        return StorageSettings(mongodb_url=request.getfixturevalue("mongodb_url"))
    return StorageSettings()


@pytest.fixture
def make(journal, monkeypatch):
    """Return what makes a sink whose work a process does."""
    monkeypatch.setattr(sinks, "FIRST_RETRY", 0.001)

    def made(storage, tier=WARM):
        target = open_target(WARM, storage, journal.directory, journal.identity())
        job = Job(str(journal.directory), journal.identity(), tier, storage, 20)
        return Sink(journal, target, Marks(journal.last_seq()), worker=ProcessWorker(job))

    return made


@pytest.fixture
def sink(make, storage):
    made = make(storage)
    with closing(made.target):
        yield made


@asynccontextmanager
async def supervised(sink):
    """Run the sink as a daemon does, but start it again at once; at the end ask it to stop, and wait."""
    spec = ChildSpec("warm", sink.run, shutdown_timeout=10.0)
    root = Supervisor(
        "root", [spec], intensity=Intensity(100, 1.0), backoff=Backoff(0.001, 0.002), on_event=lambda _: None
    )
    with trio.fail_after(STUCK):
        async with trio.open_nursery() as nursery:
            await nursery.start(root.run)
            yield root
            root.stop()


def entries(number):
    """Return what is journalled with one commit: new entries, and a revision of an older one."""
    at = START + number * MINUTE
    return [
        *(batch(4 * number + index, size=20) for index in range(4)),
        bar_record(at),
        bar_record(at - MINUTE, revision=number, quantity=3 + number),
        profile_record(at),
        gap_record(100 * number, 100 * number + 9),
    ]


async def append(sink, some):
    sink.marks.publish(await trio.to_thread.run_sync(sink.journal.append, some), some)


def stored(store):
    """Return what a store has: the trades by their ids, the bars, and how many gaps."""
    trades = [trade_id for run in store.trades(*NAME, 0, FOREVER) for trade_id in run.ids]
    return sorted(trades), store.bars(*NAME, 0, FOREVER), len(store.gaps(*NAME, 0, FOREVER))


def expected(journal, *, trades):
    """Return what must be stored of all that was journalled."""
    found = [entry for _, entry in journal.read(0, 1_000_000)[0]]
    ids = [number for one in found if isinstance(one, TradeBatch) for number in one.trades.ids]
    newest = {}
    for bar in (one.bar for one in found if isinstance(one, BarRecord)):
        if bar.revision >= newest.get(bar.start, bar).revision:
            newest[bar.start] = bar
    gaps = sum(isinstance(one, GapRecord) for one in found)
    return sorted(ids) if trades else [], [newest[start] for start in sorted(newest)], gaps


def _is_there(pid):
    return Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("storage", ["sqlite", "mongodb"], indirect=True)
async def test_killed_at_any_time_it_loses_nothing_and_stores_nothing_twice(journal, sink, storage):
    chance = random.Random(len(str(storage)))
    async with supervised(sink):
        number = 0
        for round_ in range(2):
            await sink.wait_for(lambda progress: progress.caught_up)
            until = number + chance.randrange(20, 60)
            fatal = chance.randrange(number + 1, until)
            while number < until:
                number += 1
                await append(sink, entries(number))
                if number == fatal and sink.worker.pid is not None:
                    os.kill(sink.worker.pid, signal.SIGKILL)
            await sink.wait_for(lambda progress, round_=round_: progress.failures == round_ + 1)
            assert "was ended by SIGKILL" in sink.progress.last_error or sink.progress.last_error is None
        await sink.wait_caught_up()
        assert sink.progress.last_error is None
    assert stored(sink.target) == expected(journal, trades=storage.mongodb_url is not None)
    assert sink.breaker.statistics().opened == 0


async def test_one_that_hangs_is_given_up_and_killed(sink, monkeypatch):
    with trio.fail_after(STUCK):
        async with sink.worker.at_work():
            await sink.worker.open()
            hung = sink.worker.pid
            os.kill(hung, signal.SIGSTOP)
            monkeypatch.setattr(process, "SILENCE", 0.05)
            with pytest.raises(WorkerDied, match=r"has said nothing for 0\.05 s: it is killed"):
                await sink.worker.carry(Leg(0, 0, 10, 10, settle=False))
    assert not _is_there(hung)


async def test_asked_to_stop_it_carries_over_the_rest_and_leaves_no_process(journal, sink):
    sink.batch = 50
    async with supervised(sink):
        await sink.wait_caught_up()
        pid = sink.worker.pid
        await trio.to_thread.run_sync(
            journal.append, [bar_record(START + index * MINUTE) for index in range(200)]
        )
    assert sink.target.cursor() == 200
    assert sink.worker.pid is None
    assert not _is_there(pid)


async def test_what_signals_the_whole_group_does_not_end_it(sink):
    async with supervised(sink):
        await sink.wait_caught_up()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(sink.worker.pid, number)
        await append(sink, entries(1))
        await sink.wait_caught_up()
    assert sink.progress.failures == 0


async def test_a_store_out_of_reach_is_told_of_in_the_words_of_before_and_no_secret_is_seen(make, journal):
    url = f"mongodb://name:secret-word@127.0.0.1:{free_port()}/wadm?timeoutMS=100"
    storage = StorageSettings(mongodb_url=url)
    sink, store = make(storage), open_target(WARM, storage, journal.directory, journal.identity())
    with closing(store), closing(sink.target), pytest.raises(StorageError) as told:
        await trio.to_thread.run_sync(store.initialise)
    async with supervised(sink):
        await sink.wait_for(lambda progress: progress.failures > 0)
        assert sink.progress.last_error == sink.reach.reason == str(told.value)
        about = Path(f"/proc/{sink.worker.pid}")
        assert b"secret-word" not in (about / "cmdline").read_bytes() + (about / "environ").read_bytes()


async def test_a_bug_ends_it_and_is_logged_by_the_daemon(make):
    sink = make(StorageSettings(), tier="unheard-of")
    crashed = pytest.raises(WorkerDied, match=r"of the unheard-of tier crashed \(KeyError: 'unheard-of'\)")
    with closing(sink.target), structlog.testing.capture_logs() as logged, trio.fail_after(STUCK), crashed:
        await sink.run(Context("warm", 1))
    (line,) = (line for line in logged if line["event"] == "sink_process_crashed")
    assert "Traceback" in line["exception"]
    assert (line["tier"], line["log_level"]) == ("unheard-of", "error")
    assert sink.progress.failures == 1


def test_with_the_daemon_killed_it_ends_by_itself_and_the_directory_is_free_then(tmp_path):
    with subprocess.Popen([sys.executable, VICTIM, tmp_path], stdout=subprocess.PIPE, text=True) as daemon:
        pid = int(daemon.stdout.readline())
        daemon.kill()
    with DirectoryLock(tmp_path):
        about = Path(f"/proc/{pid}/stat")
        assert not about.exists() or about.read_text().rpartition(")")[2].split()[0] == "Z"


MESSAGES = [
    Job("/data", "journal-1", "warm", StorageSettings(mongodb_url="mongodb://a:b@c"), 20),
    Carry(Leg(1, 2, 3, 4, settle=True)),
    Delivered(Carried(5, 6, None, 0.5)),
    Failed.of(DiskFull("it is full")),
    Logged(30, "redis", "something", {"of": "interest", "path": Path("/data")}),
]


def test_messages_are_found_however_they_are_cut():
    unpacker, found = Unpacker(), []
    for byte in b"".join(packed(one) for one in MESSAGES):
        unpacker.feed(bytes([byte]))
        while (message := unpacker.next()) is not None:
            found.append(message)
    assert found[:4] == MESSAGES[:4]
    assert found[4].fields == {"of": "interest", "path": "/data"}
    assert isinstance(found[3].error(), DiskFull)


def test_an_error_of_another_kind_is_an_error_of_the_storage_all_the_same():
    class Particular(StorageError):
        """One that the other side does not know."""

    assert type(Failed.of(Particular("so")).error()) is StorageError
