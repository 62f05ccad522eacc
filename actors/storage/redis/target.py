"""The hot tier's target: what a sink carries into Redis. ``keys`` says what is found there."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import attrs
import msgspec
import structlog
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from actors.messages import Entry, Kind
from actors.storage.errors import StorageError
from actors.storage.journal import wall_clock
from actors.storage.redis import keys, shapes
from actors.storage.redis.client import Client
from actors.storage.redis.news import News
from wadm.lifetimes import Lifetimes
from wadm.market import MILLISECOND

log = structlog.get_logger("redis")

KEPT = frozenset({Kind.TRADES, Kind.BOOK, Kind.PROFILE, Kind.ORDER_FLOW, Kind.GAP})


@attrs.define(eq=False)
class RedisTarget:
    """A ``Target`` in the Redis behind ``url``, which follows the journal named ``follows`` (its identity).

    Raises StorageError for a URL of no use. ``clock`` tells the time (µs) of storing.
    """

    url: str = attrs.field(repr=False)
    follows: str
    lifetimes: Lifetimes
    clock: Callable[[], int] = wall_clock
    _client: Client = attrs.field(init=False)
    _known: int = attrs.field(default=0, init=False)  # the cursor that this Redis is known to have had

    def __attrs_post_init__(self) -> None:
        self._client = Client.open(self.url)

    @property
    def name(self) -> str:
        """See ``Target``."""
        return "redis"

    @property
    def address(self) -> str:
        """See ``Target``."""
        return self._client.address

    @property
    def keeps(self) -> frozenset[Kind]:
        """See ``Target``."""
        return KEPT

    def initialise(self) -> None:
        """See ``Target``."""
        redis = self._client.redis
        with self._client.explained():
            redis.set(keys.SCHEMA_KEY, keys.SCHEMA, nx=True, px=self._long)
            check_schema(redis.get(keys.SCHEMA_KEY), self.address)
        self._warn_of_eviction()

    def cursor(self) -> int:
        """See ``Target``."""
        with self._client.explained():
            self._known = self._place(self._client.redis)
        return self._known

    def apply(self, entries: Sequence[Entry], cursor: int) -> None:
        """See ``Target``."""
        news = News()
        for entry in entries:
            news.add(entry)
        before = self._known
        redis, latest = self._client.redis, list(news.latest)

        def fill(pipe: Any) -> None:
            nonlocal before
            before = self._place(pipe)
            if before < self._known:
                raise StorageError(
                    f"{self.address} has less than it had (its place went from {self._known} to {before}): "
                    "it is filled again from the journal"
                )
            stored = pipe.mget(latest) if latest else []
            pipe.multi()
            self._put(pipe, news, dict(zip(latest, stored, strict=True)), max(before, cursor))

        with self._client.explained():
            try:
                # What is read first is watched: where another program changes it meanwhile, all begins anew.
                redis.transaction(fill, keys.cursor(self.follows), *latest)
            except ResponseError as error:
                if type(error) is ResponseError:  # the others come before anything was done
                    self._go_back_to(before)
                raise
        self._known = max(before, cursor)

    def close(self) -> None:
        """See ``Target``."""
        self._client.close()

    # --- what is written ---

    def _put(self, pipe: Any, news: News, stored: dict[str, bytes | None], cursor: int) -> None:
        """Queue all that is to be written."""
        now = self.clock()
        notice: dict[str, str | int] = {"seq": cursor, "time": now}
        for (exchange, symbol), minutes in news.trades.items():
            for minute, runs in minutes.items():
                key = keys.trades(exchange, symbol, minute)
                pipe.zadd(key, runs)
                pipe.pexpire(key, self._short)
            self._index(pipe, keys.minutes(exchange, symbol), minutes, now, self.lifetimes.raw)
            count, first, last = news.traded[exchange, symbol]
            told = {**notice, "count": count, "first": first, "last": last}
            pipe.publish(keys.notices("trades", exchange, symbol), shapes.pack(told))
        for (exchange, symbol), gaps in news.gaps.items():
            self._index(pipe, keys.gaps(exchange, symbol), gaps, now, self.lifetimes.raw)
        for key, (what, exchange, symbol, shape) in news.latest.items():
            if _is_newer(shape, stored[key]):
                lifetime = self._short if isinstance(shape, shapes.BookShape) else self._long
                pipe.set(key, shapes.pack(shape), px=lifetime)
                told = {**notice, **_told(key, shape)}
                pipe.publish(keys.notices(what, exchange, symbol), shapes.pack(told))
        symbols = [f"{exchange}:{symbol}" for exchange, symbol in sorted(news.symbols())]
        if symbols:
            self._index(pipe, keys.SYMBOLS, symbols, now, self.lifetimes.indicators)
        pipe.set(keys.SCHEMA_KEY, keys.SCHEMA, px=self._long)
        pipe.set(keys.cursor(self.follows), cursor, px=self._long)

    def _index(
        self, pipe: Any, key: str, members: Iterable[str | bytes | int], now: int, lifetime: int
    ) -> None:
        """Note members with the time, and forget those whose lifetime has passed."""
        pipe.zadd(key, dict.fromkeys(members, now))
        pipe.zremrangebyscore(key, "-inf", now - lifetime)
        pipe.pexpire(key, lifetime // MILLISECOND)

    @property
    def _short(self) -> int:
        return self.lifetimes.raw // MILLISECOND

    @property
    def _long(self) -> int:
        return self.lifetimes.indicators // MILLISECOND

    # --- where it stands ---

    def _place(self, redis: Any) -> int:
        found = redis.get(keys.cursor(self.follows))
        try:
            return 0 if found is None else int(found)
        except ValueError:
            raise StorageError(
                f"{self.address} has no number under {keys.cursor(self.follows)}: delete it"
            ) from None

    def _go_back_to(self, place: int) -> None:
        """Take back a place to which not all was written: Redis goes on behind a command that it refuses."""
        try:
            self._client.redis.set(keys.cursor(self.follows), place, px=self._long)
        except RedisError as error:
            log.warning("cursor_not_taken_back", address=self.address, reason=str(error))

    def _warn_of_eviction(self) -> None:
        """Say so where this Redis may drop what is stored before its time."""
        try:
            with self._client.explained():
                memory = self._client.redis.info("memory")
        except StorageError as error:
            if not isinstance(error.__cause__, NoPermissionError):
                raise
            return
        policy = memory.get("maxmemory_policy", "noeviction")
        if memory.get("maxmemory") and policy != "noeviction":
            log.warning(
                "redis_may_evict", address=self.address, policy=policy, maxmemory=memory["maxmemory"],
                remedy="set maxmemory-policy noeviction, or parts of the last hour may be missing here",
            )  # fmt: skip


def check_schema(found: bytes | None, address: str) -> None:
    """Raise StorageError unless the data is of the version that this program reads."""
    if found != str(keys.SCHEMA).encode():
        version = "no schema" if found is None else f"schema {found.decode(errors='replace')[:20]}"
        raise StorageError(
            f"{address} has {version} of wadm's, this version reads {keys.SCHEMA}: "
            "use the version that wrote it, or name another database (…/1)"
        )


def _is_newer(shape: shapes.Latest, stored: bytes | None) -> bool:
    """Return whether a shape is to replace what is stored, which may be bytes of no sense."""
    if stored is None:
        return True
    try:
        return shape.rank > msgspec.msgpack.decode(stored, type=type(shape)).rank
    except msgspec.MsgspecError:
        return True


def _told(key: str, shape: shapes.Latest) -> dict[str, str | int]:
    """Return what a notice tells of a book or window."""
    if isinstance(shape, shapes.BookShape):
        return {"at": shape.at}
    timeframe = key.rpartition(":")[2]
    return {"timeframe": timeframe, "start": shape.start, "end": shape.end, "revision": shape.revision}
