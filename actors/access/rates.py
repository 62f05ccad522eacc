"""How often one may ask: by address, and by key. Counted over a sliding window of a minute."""

from collections.abc import Callable
from threading import Timer
from typing import cast

import attrs
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage, Storage
from limits.strategies import SlidingWindowCounterRateLimiter

Headers = list[tuple[bytes, bytes]]

#: Keys that are shown and do not work, by address and minute.
GUESSES = 20

#: Requests between two looks for counts that are over.
FORGET_EVERY = 1_000


@attrs.frozen
class Rate:
    """Where somebody stands: so many requests are left of ``limit``, until ``reset`` seconds have passed."""

    name: str
    limit: int
    left: int
    reset: int

    @property
    def headers(self) -> Headers:
        """The headers of the IETF's draft "RateLimit header fields for HTTP"."""
        return [
            (b"ratelimit-policy", f'"{self.name}";q={self.limit};w=60'.encode()),
            (b"ratelimit", f'"{self.name}";r={self.left};t={self.reset}'.encode()),
        ]


class _Idle:
    """Stands for a timer that runs, so that nobody starts one."""

    def is_alive(self) -> bool:
        return True


class _Memory(MemoryStorage):
    """The library's memory, without the thread that it starts for nearly every request."""

    def __init__(self) -> None:
        super().__init__()
        self.timer.cancel()
        self.timer.join()
        self.timer = cast("Timer", _Idle())
        self._forget: Callable[[], None] = getattr(self, "_MemoryStorage__expire_events")  # noqa: B009
        self._until_forgetting = FORGET_EVERY

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count; now and then forget those who have long gone."""
        self._until_forgetting -= 1
        if self._until_forgetting <= 0:
            self._until_forgetting = FORGET_EVERY
            self._forget()
        return super().incr(key, expiry, amount)


@attrs.define(eq=False)
class Rates:
    """Counts requests. ``by_address`` and ``by_key`` are how many a minute are let pass."""

    by_address: int
    by_key: int
    _storage: Storage = attrs.field(factory=_Memory, repr=False)
    _limiter: SlidingWindowCounterRateLimiter = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(self._storage)

    def ask(self, address: str, key: str | None, now: float) -> tuple[bool, Rate]:
        """Count a request at ``now`` (s, wall clock); return whether it may pass, and how many more may."""
        if key is not None:
            return self._count("key", self.by_key, key, now)
        return self._count("address", self.by_address, address, now)

    def guess(self, address: str, now: float) -> bool:
        """Count a key that does not work; return whether the address may try another."""
        return self._count("guesses", GUESSES, address, now)[0]

    def _count(self, name: str, limit: int, who: str, now: float) -> tuple[bool, Rate]:
        item = RateLimitItemPerMinute(limit)
        passes = self._limiter.hit(item, name, who)
        stats = self._limiter.get_window_stats(item, name, who)
        return passes, Rate(name, limit, max(0, int(stats.remaining)), max(1, round(stats.reset_time - now)))
