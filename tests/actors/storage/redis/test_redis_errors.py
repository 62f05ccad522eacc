"""What goes wrong with Redis is said in one sentence, without the password, and changes nothing by halves."""

import signal
import ssl
from contextlib import contextmanager

import attrs
import msgspec
import pytest
import trio
import trustme
from redis._parsers.base import BaseParser
from redis.client import Pipeline
from redis.exceptions import ConnectionError as NotConnected
from server_process import free_port
from storage_samples import NAME, START, batch, gap_record, profile_record
from structlog.testing import capture_logs

from actors.storage import sink as sinks
from actors.storage.errors import DiskFull, StorageError
from actors.storage.journal import Journal
from actors.storage.marks import Marks
from actors.storage.opening import open_targets
from actors.storage.redis import keys
from actors.storage.redis.client import Client, explain
from actors.storage.redis.reader import HotReader
from actors.storage.redis.target import RedisTarget
from supervision import Breaker, Context
from wadm.lifetimes import Lifetimes
from wadm.market import DAY, MINUTE
from wadm.sections import StorageSettings

JOURNAL = "a" * 32
LIFETIMES = Lifetimes(60 * MINUTE, 7 * DAY, 30 * DAY)
SECRET = "s3cr3t"


@contextmanager
def target_at(url, *, initialised=True):
    target = RedisTarget(url, JOURNAL, LIFETIMES)
    try:
        if initialised:
            target.initialise()
        yield target
    finally:
        target.close()


def refusal(target, *entries):
    """Return the sentence with which a target refuses to store something."""
    with pytest.raises(StorageError) as caught:
        target.apply(entries or [batch(1)], 1)
    return str(caught.value)


# --- addresses ---


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{SECRET}@host:6379",
        f"redis:/{SECRET}@host",
        f"redis://user:{SECRET}@host:port/0",
        f"redis://user:{SECRET}@host:6379/0?frobnicate={SECRET}",
        f"redis://user:{SECRET}@host:6379/0?socket_timeout={SECRET}",
        f"redis://user:{SECRET}@host:6379/0?protocol=9",
        f"rediss://user:{SECRET}@host:6379/0?ssl_cert_reqs={SECRET}",
    ],
)
def test_an_address_of_no_use_is_refused_without_repeating_it(url):
    with pytest.raises(
        StorageError, match=r"storage\.redis_url \(REDIS_URL\) cannot be read.*write "
    ) as caught:
        RedisTarget(url, JOURNAL, LIFETIMES)
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("url", "address"),
    [
        (f"redis://user:{SECRET}@host:7000/3", "Redis at redis://host:7000/3"),
        ("redis://host", "Redis at redis://host:6379/0"),
        (f"rediss://:{SECRET}@host", "Redis at rediss://host:6379/0"),
        (f"unix://user:{SECRET}@/run/redis.sock", "Redis at /run/redis.sock"),
    ],
)
def test_an_address_is_told_without_its_password(url, address):
    with target_at(url, initialised=False) as target:
        assert target.address == address
        assert SECRET not in repr(target)
        assert SECRET not in repr(Client.open(url))


def test_settings_with_a_redis_url_have_a_hot_tier(tmp_path):
    store, others = open_targets(StorageSettings(redis_url="redis://host"), tmp_path, JOURNAL)
    assert {tier: one.address for tier, one in others.items()} == {"hot": "Redis at redis://host:6379/0"}
    assert others["hot"].lifetimes == LIFETIMES
    assert open_targets(StorageSettings(), tmp_path, JOURNAL)[1] == {}
    store.close()


# --- servers that refuse ---


def test_nobody_listens():
    with (
        target_at(f"redis://127.0.0.1:{free_port()}", initialised=False) as target,
        pytest.raises(StorageError, match=r"cannot be reached .*check that it runs there"),
    ):
        target.initialise()


def test_a_host_that_is_none():
    with (
        target_at(f"redis://{'a' * 70}.example", initialised=False) as target,
        pytest.raises(StorageError, match="cannot be reached"),
    ):
        target.initialise()


def test_a_wrong_or_missing_password(private_redis):
    server = private_redis("--requirepass", SECRET)
    for given in ("", f":{SECRET}x@", f"nobody:{SECRET}@"):
        with (
            target_at(f"redis://{given}127.0.0.1:{server.port}", initialised=False) as target,
            pytest.raises(
                StorageError, match=r"refuses the user or password .*check storage\.redis_url"
            ) as caught,
        ):
            target.initialise()
        assert SECRET not in str(caught.value)
    with target_at(f"redis://:{SECRET}@127.0.0.1:{server.port}") as target:
        target.apply([batch(1)], 1)
        assert target.cursor() == 1


def test_a_user_who_may_not_write(private_redis):
    server = private_redis(
        "--user", "reader", "on", f">{SECRET}", "~*", "&*", "+@read", "+@connection", "+@transaction"
    )
    with target_at(f"redis://reader:{SECRET}@127.0.0.1:{server.port}", initialised=False) as target:
        assert "does not allow what wadm needs" in refusal(target)
        assert target.cursor() == 0


def test_a_user_with_no_more_than_the_sentence_names(private_redis):
    rights = "~wadm:* &wadm:* +@all -@admin -@dangerous"
    server = private_redis("--user", "wadm", "on", f">{SECRET}", *rights.split())
    with target_at(f"redis://wadm:{SECRET}@127.0.0.1:{server.port}") as target:
        target.apply([batch(1), profile_record()], 2)
        assert target.cursor() == 2


def test_no_memory_left(private_redis):
    server = private_redis("--maxmemory", "3mb", "--maxmemory-policy", "noeviction")
    with target_at(server.url) as target, server.client() as client:
        target.apply([batch(1)], 1)
        client.config_set("maxmemory", 1)
        with pytest.raises(DiskFull, match="has used up its maxmemory: raise it"):
            target.apply([batch(2, START + MINUTE), gap_record()], 2)
        client.config_set("maxmemory", 0)
        assert target.cursor() == 1
        assert not client.exists(keys.gaps(*NAME))
        target.apply([batch(2, START + MINUTE), gap_record()], 2)
        assert target.cursor() == 2


def test_a_redis_that_may_evict_is_warned_of(private_redis):
    server = private_redis("--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru")
    with capture_logs() as logs, target_at(server.url):
        pass
    (event,) = [one for one in logs if one["event"] == "redis_may_evict"]
    assert (event["policy"], event["maxmemory"]) == ("allkeys-lru", 50 << 20)


def test_a_replica(private_redis):
    server = private_redis("--replicaof", "127.0.0.1", str(free_port()))
    with target_at(server.url, initialised=False) as target:
        assert "is a read-only replica: name the master" in refusal(target)


def test_a_cluster(private_redis):
    # Its own choice for the other port is 10,000 above the first, which may be none.
    server = private_redis("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    with target_at(server.url, initialised=False) as target:
        assert "is part of a Redis Cluster" in refusal(target)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ("LOADING Redis is loading the dataset in memory", "is still loading its data"),
        ("MOVED 3999 127.0.0.1:6381", "is part of a Redis Cluster"),
        ("DENIED Redis is running in protected mode because it has no password.", "is in protected mode"),
        ("MISCONF Redis is configured to save RDB snapshots, but it cannot", "cannot save to its disk"),
        ("MASTERDOWN Link with MASTER is down", "has lost its master"),
        ("NOAUTH Authentication required.", "refuses the user or password (Authentication required)"),
        ("ERR max number of clients reached", "cannot be reached (max number of clients reached)"),
        ("ERR what is that", "refused a command (what is that): see its log"),
    ],
)
def test_other_answers(answer, sentence):
    error = BaseParser.parse_error(answer)
    assert sentence in str(explain(error, "Redis at redis://host:6379/0"))


# --- servers that die, hang or lose the answer ---


def test_a_server_that_hangs_is_waited_for_until_the_timeout_only(private_redis):
    server = private_redis()
    with target_at(f"{server.url}?socket_timeout=0.1") as target:
        server.signal(signal.SIGSTOP)
        try:
            assert "does not answer in time" in refusal(target)
        finally:
            server.signal(signal.SIGCONT)
        target.apply([batch(1)], target.cursor() + 1)


def test_a_server_that_dies_and_comes_back_empty_is_filled_again(private_redis):
    server = private_redis()
    with target_at(server.url) as target, server.client() as client:
        target.apply([batch(1)], 1)
        server.kill()
        assert "cannot be reached" in refusal(target)
        server.start()
        # Whether the connection's end is noticed or not, nothing is stored behind a hole.
        target.initialise()
        assert "has less than it had" in refusal(target, batch(2))
        assert target.cursor() == 0
        target.apply([batch(1), batch(2)], 2)
        assert client.zcard(keys.trades(*NAME, START)) == 2


@pytest.mark.parametrize("saved", [False, True], ids=["empty", "an older snapshot"])
async def test_a_sink_fills_a_redis_again_that_died(private_redis, tmp_path, monkeypatch, saved):
    monkeypatch.setattr(sinks, "FIRST_RETRY", 0.001)
    server, journal = private_redis(), Journal(tmp_path)
    target = RedisTarget(server.url, journal.identity(), LIFETIMES)
    soon = Breaker(attrs.evolve(sinks.POLICY, open_seconds=0.01))
    sink = sinks.Sink(journal, target, Marks(), breaker=soon)

    def append(*entries):
        sink.marks.publish(journal.append(entries), entries)

    context = Context("hot", 1)
    try:
        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(sink.run, context)
                append(batch(1))
                await sink.wait_caught_up()
                if saved:
                    with server.client() as client:
                        client.save()
                append(batch(2), profile_record())
                await sink.wait_caught_up()
                server.kill()
                append(batch(3))
                await sink.wait_for(lambda progress: progress.failures > 0)
                assert "cannot be reached" in sink.progress.last_error
                await trio.to_thread.run_sync(server.start)
                await sink.wait_caught_up()
                assert target.cursor() == journal.last_seq() == 4
                hot = HotReader(target._client)
                assert [run.ids[0] for run in hot.runs(*NAME, START)] == [
                    batch(number).trades.ids[0] for number in (1, 2, 3)
                ]
                assert hot.profile(*NAME, "1m").start == START
                context.stopping.set()
    finally:
        target.close()
        journal.close()


def test_a_lost_answer_leaves_the_place_with_the_entries(target, redis, monkeypatch):
    execute = Pipeline._execute_transaction

    def lose(self, *arguments, **options):
        execute(self, *arguments, **options)
        raise NotConnected("Connection closed by server.")

    with monkeypatch.context() as patched:
        patched.setattr(Pipeline, "_execute_transaction", lose)
        assert "cannot be reached (Connection closed by server)" in refusal(target)
    assert target.cursor() == 1
    assert redis.zcard(keys.trades(*NAME, START)) == 1


# --- data that is not ours ---


@pytest.mark.parametrize("found", [b"2", b"\xff\xfe"])
def test_another_schema_is_refused(target_of, redis, hot, found):
    redis.set(keys.SCHEMA_KEY, found)
    with pytest.raises(
        StorageError, match=r"has schema .* this version reads 1: use the version that wrote it"
    ):
        target_of().initialise()
    with pytest.raises(StorageError, match="this version reads 1"):
        hot.symbols()
    assert redis.get(keys.SCHEMA_KEY) == found


def test_something_else_under_a_key_keeps_the_place_where_it_was(target, redis):
    target.apply([batch(1)], 1)
    key = keys.trades(*NAME, START + MINUTE)
    redis.set(key, "mine")
    with pytest.raises(StorageError, match="has something else under a key of wadm's"):
        target.apply([batch(2, START + MINUTE), batch(3)], 3)
    assert target.cursor() == 1
    redis.delete(key)
    target.apply([batch(2, START + MINUTE), batch(3)], 3)
    assert (target.cursor(), redis.zcard(keys.trades(*NAME, START))) == (3, 2)


def test_a_cursor_that_is_no_number(target, redis):
    redis.set(keys.cursor(JOURNAL), "x")
    with pytest.raises(StorageError, match=f"has no number under wadm:cursor:{JOURNAL}"):
        target.cursor()


def damaged(**columns):
    """Return a run of one trade with something wrong in it."""
    sound = {"ids": [1], "times": [START], "prices": [1], "quantities": ["-1"], "counts": [1]}
    named = {
        "id_kind": "trade",
        "price_decimals": 1,
        "quantity_decimals": 3,
        "received_at": 1,
        "market_time": 1,
    }
    return msgspec.msgpack.encode({**named, **sound, **columns})


@pytest.mark.parametrize(
    "packed",
    [
        b"\xc1",
        damaged(times=[]),
        damaged(ids=[-1]),
        damaged(prices=["1.5"]),
        damaged(price_decimals=99),
        damaged(ids=[], times=[], prices=[], quantities=[], counts=[]),
    ],
)
def test_bytes_that_cannot_be_read_say_where(target, hot, redis, packed):
    redis.zadd(keys.trades(*NAME, START), {damaged(): 1})
    assert len(hot.runs(*NAME, START)) == 1
    redis.zadd(keys.trades(*NAME, START), {packed: 1})
    with pytest.raises(StorageError, match=f"under {keys.trades(*NAME, START)} that cannot be read"):
        hot.runs(*NAME, START)


# --- TLS ---


def test_over_tls(private_redis, tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "server.key")
    port = free_port()
    private_redis(
        "--tls-port", str(port), "--tls-auth-clients", "no", "--tls-ca-cert-file", str(tmp_path / "ca.pem"),
        "--tls-cert-file", str(tmp_path / "server.pem"), "--tls-key-file", str(tmp_path / "server.key"),
    )  # fmt: skip
    url = f"rediss://127.0.0.1:{port}"
    with target_at(f"{url}?ssl_ca_certs={tmp_path / 'ca.pem'}") as target:
        target.apply([batch(1)], 1)
        assert HotReader(target._client).symbols() == [NAME]
    with (
        target_at(url, initialised=False) as target,
        pytest.raises(StorageError, match=r"cannot be reached .*CERTIFICATE_VERIFY_FAILED") as caught,
    ):
        target.initialise()
    assert isinstance(caught.value.__cause__, NotConnected | ssl.SSLError)
