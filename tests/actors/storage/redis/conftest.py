import pytest

from actors.storage.redis.client import Client
from actors.storage.redis.reader import HotReader
from actors.storage.redis.target import RedisTarget
from wadm.lifetimes import Lifetimes
from wadm.market import DAY, MINUTE

JOURNAL = "a" * 32


@pytest.fixture
def target_of(redis_server):
    """Make targets of the shared Redis, closed at the end."""
    made = []

    def make(follows=JOURNAL, **options):
        lifetimes = Lifetimes(raw=60 * MINUTE, bars=7 * DAY, indicators=30 * DAY)
        made.append(RedisTarget(redis_server.url, follows, lifetimes, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def target(target_of):
    made = target_of()
    made.initialise()
    return made


@pytest.fixture
def hot(redis_server):
    reader = HotReader(Client.open(redis_server.url))
    yield reader
    reader.client.close()


@pytest.fixture
def redis(redis_server):
    """A client of the test's own."""
    with redis_server.client() as client:
        yield client
