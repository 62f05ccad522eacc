"""Real servers that go away, hang, refuse, come back with less: nothing is lost, and nothing stored twice."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pymongo
import pytest
import trio
from storage_samples import (
    FOREVER,
    NAME,
    START,
    bar_record,
    batch,
    gap_record,
    order_flow_record,
    plainly,
    profile_record,
)

from actors.messages import Kind, TradeBatch
from actors.storage import engines, postgres
from actors.storage import sink as module
from actors.storage.marks import Marks
from actors.storage.mongo.store import MongoStore
from actors.storage.redis.reader import HotReader
from actors.storage.redis.target import RedisTarget
from actors.storage.sink import POLICY, Sink
from actors.storage.sql import SqlStore
from supervision import Breaker, BreakerState, Context
from wadm.lifetimes import Lifetimes
from wadm.market import MINUTE
from wadm.sections import StorageSettings

STUCK = 60.0
LIFETIMES = Lifetimes.of(StorageSettings())

#: What a driver is told here, so that a server that hangs is given up soon.
IMPATIENT_MONGO = "timeoutMS=1000&connectTimeoutMS=300&heartbeatFrequencyMS=500"
IMPATIENT_REDIS = "socket_timeout=0.5&socket_connect_timeout=0.5"


@attrs.define(eq=False)
class World:
    """A server, what is stored in it, and what can be done to it."""

    server: object
    target: object
    content: Callable[[], object]
    wipe: Callable[[], None]
    refusing: Callable[[], contextlib.AbstractContextManager[None]]

    def signal(self, number):
        """Send a signal to the server and the processes it has made."""
        first = self.server._process.pid
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        for process in (first, *map(int, children)):
            os.kill(process, number)


def warm_content(store):
    """Return all that a warm store answers of the records."""
    windows = [[plainly(ask(*NAME, "1m", 0, FOREVER))] for ask in (store.profiles, store.order_flows)]
    return [store.bars(*NAME, 0, FOREVER), *windows, store.gaps(*NAME, 0, FOREVER)]


def expected_records(journal, tmp_path):
    """Return what a store that never failed answers."""
    store = SqlStore(engines.embedded_url(tmp_path), journal.identity())
    found, place = journal.read(0, 1_000_000)
    store.apply([entry for _, entry in found if not isinstance(entry, TradeBatch)], place)
    try:
        return warm_content(store)
    finally:
        store.close()


def journalled_ids(journal):
    found = journal.read(0, 1_000_000, frozenset([Kind.TRADES]))[0]
    return sorted(trade_id for _, one in found for trade_id in one.trades.ids)


# --- the engines ---


@pytest.fixture
def mongodb(mongod, mongodb_url, journal):
    store = MongoStore(f"{mongodb_url}?{IMPATIENT_MONGO}", journal.identity())
    name = mongodb_url.rpartition("/")[2]

    def content():
        with mongod.client() as client:
            trades = client[name]["trades"].find({}, {"trade_id": 1})
            return [*warm_content(store), sorted(int(one["trade_id"]) for one in trades)]

    def wipe():
        with mongod.client() as client:
            client.drop_database(name)

    yield World(mongod, store, content, wipe, lambda: failing(mongod, "NotWritablePrimary", 10107))
    store.close()


@contextlib.contextmanager
def failing(server, name, code) -> Iterator[None]:
    """Have every write fail as a server does that is no primary any more."""
    with server.client() as client:
        data = {"failCommands": ["insert", "update", "bulkWrite"], "errorCode": code}
        client.admin.command("configureFailPoint", "failCommand", mode="alwaysOn", data=data)
        try:
            yield
        finally:
            client.admin.command("configureFailPoint", "failCommand", mode="off")


@pytest.fixture
def postgresql(postgres_server, postgres_url, journal, monkeypatch):
    monkeypatch.setattr(postgres.Connection, "patience", 0.5)
    monkeypatch.setattr(postgres, "CONNECT_TIMEOUT", 0.5)
    store, name = SqlStore(postgres_url, journal.identity()), postgres_url.rpartition("/")[2]

    def wipe():
        postgres_server.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public", name)

    @contextlib.contextmanager
    def refusing():
        postgres_server.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'nothing more'; END $$; "
            "CREATE TRIGGER refuse BEFORE INSERT ON bars EXECUTE FUNCTION refuse()",
            name,
        )
        try:
            yield
        finally:
            postgres_server.execute("DROP TRIGGER refuse ON bars", name)

    yield World(postgres_server, store, lambda: warm_content(store), wipe, refusing)
    store.close()


@pytest.fixture
def redis(private_redis, journal):
    server = private_redis()
    target = RedisTarget(f"{server.url}?{IMPATIENT_REDIS}", journal.identity(), LIFETIMES)
    reader = HotReader(target._client)

    def content():
        runs = [run for minute in reader.minutes(*NAME, 0) for run in reader.runs(*NAME, minute)]
        return sorted(trade_id for run in runs for trade_id in run.ids)

    def wipe():
        with server.client() as client:
            client.flushall()

    @contextlib.contextmanager
    def refusing():
        with server.client() as client:
            client.config_set("min-replicas-to-write", 1)
            try:
                yield
            finally:
                client.config_set("min-replicas-to-write", 0)

    yield World(server, target, content, wipe, refusing)
    target.close()


ENGINES = ["mongodb", "postgresql", "redis"]


@pytest.fixture(params=ENGINES)
def world(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def expected(world, journal, tmp_path):
    """Return a function that says what must be stored by now."""

    def made():
        if world.target.name == "redis":
            return journalled_ids(journal)
        records = expected_records(journal, tmp_path)
        return [*records, journalled_ids(journal)] if world.target.name == "mongodb" else records

    return made


# --- the sink ---


@attrs.define(eq=False)
class Feed:
    """Journals entries of every kind, each time new ones and some revised."""

    journal: object
    sink: Sink
    number: int = 0

    async def give(self, rounds: int = 5) -> None:
        for _ in range(rounds):
            self.number += 1
            at = START + self.number * MINUTE
            entries = [
                *(batch(10 * self.number + index, size=20) for index in range(4)),
                bar_record(at),
                bar_record(at - MINUTE, revision=self.number, quantity=3 + self.number),
                profile_record(at),
                order_flow_record(at),
                gap_record(100 * self.number, 100 * self.number + 9),
            ]  # fmt: skip
            last = await trio.to_thread.run_sync(self.journal.append, entries)
            self.sink.marks.publish(last, entries)


@pytest.fixture
def sink(journal, world, monkeypatch):
    monkeypatch.setattr(module, "FIRST_RETRY", 0.01)
    monkeypatch.setattr(module, "LAST_RETRY", 0.1)
    breaker = Breaker(attrs.evolve(POLICY, open_seconds=0.1))
    made = Sink(journal, world.target, Marks(journal.last_seq()), breaker=breaker, history=True)
    made.batch = 25
    return made


@pytest.fixture
def feed(journal, sink):
    return Feed(journal, sink)


@asynccontextmanager
async def running(sink):
    """Run the sink; at the end ask it to stop, and wait until it has."""
    context = Context("sink", 1)
    with trio.fail_after(STUCK):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sink.run, context)
            yield context
            context.stopping.set()


def fails(progress):
    return progress.last_error is not None


async def test_a_server_that_is_killed_and_started_again_misses_nothing(world, sink, feed, expected):
    async with running(sink):
        await feed.give()
        await sink.wait_caught_up()
        world.server.kill()
        try:
            await feed.give()
            await sink.wait_for(fails)
            assert sink.progress.lag > 0
            assert sink.reach.reason == sink.progress.last_error
            assert world.target.address in sink.progress.last_error
            await feed.give()
        finally:
            await trio.to_thread.run_sync(world.server.start)
        await sink.wait_caught_up()
        assert (sink.progress.last_error, sink.reach.reason) == (None, "")
    assert world.content() == expected()
    assert sink.journal.losses() == []


async def test_a_server_that_dies_in_the_middle_of_catching_up_misses_nothing(world, sink, feed, expected):
    await feed.give(rounds=60)
    async with running(sink):
        await sink.wait_for(lambda progress: progress.cursor > 100)
        world.server.kill()
        await trio.to_thread.run_sync(world.server.start)
        await sink.wait_caught_up()
    assert world.content() == expected()


async def test_a_server_that_hangs_is_left_alone_and_then_caught_up_with(world, sink, feed, expected):
    async with running(sink):
        await feed.give()
        await sink.wait_caught_up()
        world.signal(signal.SIGSTOP)
        try:
            await feed.give()
            await sink.wait_for(lambda _: sink.breaker.state is BreakerState.OPEN)
            assert sink.progress.lag > 0
        finally:
            world.signal(signal.SIGCONT)
        await sink.wait_caught_up()
    assert sink.breaker.state is BreakerState.CLOSED
    assert world.content() == expected()


async def test_a_server_that_refuses_what_it_is_given_gets_it_later(world, sink, feed, expected):
    async with running(sink):
        await feed.give()
        await sink.wait_caught_up()
        with world.refusing():
            await feed.give()
            await sink.wait_for(fails)
            assert sink.progress.lag > 0
        await sink.wait_caught_up()
    assert world.content() == expected()


async def test_a_server_that_comes_back_empty_gets_everything_again(world, sink, feed, expected):
    async with running(sink):
        await feed.give()
        await sink.wait_caught_up()
        await trio.to_thread.run_sync(world.wipe)
        await feed.give()
        await sink.wait_caught_up()
        assert sink.journal.losses() == []
    assert world.content() == expected()


async def test_what_it_had_and_the_journal_has_no_more_is_noted_as_lost(world, sink, feed, journal):
    async with running(sink):
        await feed.give()
        await sink.wait_caught_up()
        gone = journal._forget(1, 20)
        assert gone == 20
        await trio.to_thread.run_sync(world.wipe)
        await feed.give()
        await sink.wait_caught_up()
    (loss,) = journal.losses()
    assert (loss.target, loss.first_seq, loss.last_seq, loss.trades) == (sink.name, 1, 20, None)
    assert world.target.cursor() == journal.last_seq()


async def test_the_data_of_another_daemon_stays_and_ours_comes_beside_it(world, sink, feed, expected):
    more = (LIFETIMES,) if world.target.name == "redis" else ()
    other = type(world.target)(world.target.url, "another journal", *more)
    await trio.to_thread.run_sync(other.initialise)
    other.apply([bar_record(START - 60 * MINUTE, symbol="OTHER")], 10_000)
    async with running(sink):
        await feed.give()
        await sink.wait_caught_up()
    assert other.cursor() == 10_000
    other.close()
    assert world.content() == expected()


async def test_a_stop_while_the_server_hangs_is_not_held_up(world, sink, feed, expected):
    async with running(sink):
        await feed.give()
        await sink.wait_caught_up()
        world.signal(signal.SIGSTOP)
        try:
            await feed.give()
            await sink.wait_for(fails)
        except BaseException:
            world.signal(signal.SIGCONT)
            raise
    # It has stopped with the server down: the rest is carried over after the next start.
    world.signal(signal.SIGCONT)
    again = Sink(sink.journal, world.target, sink.marks)
    async with running(again):
        await again.wait_caught_up()
    assert world.content() == expected()


async def test_a_primary_that_steps_down_is_waited_for(replica_set, journal, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FIRST_RETRY", 0.01)
    url = f"{replica_set.url}/wadm_outage?replicaSet=rs0&{IMPATIENT_MONGO}"
    store = MongoStore(url, journal.identity())
    breaker = Breaker(attrs.evolve(POLICY, open_seconds=0.1))
    sink = Sink(journal, store, Marks(0), breaker=breaker)
    feed = Feed(journal, sink)
    async with running(sink):
        await feed.give()
        await sink.wait_caught_up()
        with replica_set.client() as client, contextlib.suppress(pymongo.errors.AutoReconnect):
            client.admin.command("replSetStepDown", 1, force=True)
        await feed.give()
        await sink.wait_caught_up()
    assert warm_content(store) == expected_records(journal, tmp_path)
    with replica_set.client() as client:
        found = sorted(int(one["trade_id"]) for one in client["wadm_outage"]["trades"].find())
        client.drop_database("wadm_outage")
    assert found == journalled_ids(journal)
    store.close()
