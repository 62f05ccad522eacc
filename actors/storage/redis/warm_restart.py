"""A daemon whose journal knows nothing of a symbol takes over its last hour from the hot tier.

That is done once, before anything else of the daemon is made: the trades go into the journal, and from there
into positions and bars as after any start. Of a symbol the last unbroken stretch is taken, newest minutes
first, for as long as there is time; where there is trouble with Redis, the daemon starts without it.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeVar

import attrs
import structlog
import trio

from actors.memory import TakenOver
from actors.messages import GapRecord, TradeBatch
from actors.plan import Plan, of_exchange, source_of
from actors.storage.errors import StorageError
from actors.storage.journal import Journal, wall_clock
from actors.storage.redis.client import Client
from actors.storage.redis.reader import HotReader
from actors.storage.redis.shapes import Run
from actors.storage.runs import picked
from wadm.exchanges import registry
from wadm.lifetimes import Lifetimes
from wadm.market import IdKind, Trades
from wadm.settings import Settings

log = structlog.get_logger("warm_restart")

#: Seconds that all of it may take, and an answer of Redis.
WITHIN = 10.0
PATIENCE = 2.0

#: Whose batches these are: no life of a connection has this number, as starts of the daemon count from 1.
INCARNATION = 1

Name = tuple[str, str]
T = TypeVar("T")


async def take_over(settings: Settings, plan: Plan, journal: Journal) -> Mapping[str, TakenOver]:
    """Take over what the settings' Redis holds of the plan's exchanges, also of symbols followed only later.

    Return what that was, by ``exchange:SYMBOL``. Trouble with Redis is logged, not raised.
    """
    exchanges = {*plan.rest, *(instrument.exchange for instrument in plan.instruments.values())}

    def wanted(exchange: str, symbol: str) -> IdKind | None:
        if exchange not in exchanges:
            return None
        usual = source_of(registry.find(exchange), of_exchange(settings, exchange))
        return plan.sources.get(f"{exchange}:{symbol}", usual)

    since = wall_clock() - Lifetimes.of(settings.storage).raw
    return await WarmRestart(settings.storage.redis_url or "", journal, wanted, since).run()


@attrs.define(eq=False)
class WarmRestart:
    """Takes over into ``journal`` what the Redis behind ``url`` holds and the journal knows nothing of.

    ``wanted`` tells which trades of an (exchange, symbol) are folded, None for none of them. Of minutes whose
    last trades were received before ``since`` (µs) nothing is taken.
    """

    url: str = attrs.field(repr=False)
    journal: Journal
    wanted: Callable[[str, str], IdKind | None]
    since: int
    within: float = WITHIN
    _until: float = attrs.field(init=False, default=0.0)

    async def run(self) -> Mapping[str, TakenOver]:
        """Return what was taken over, by ``exchange:SYMBOL``. Trouble with Redis is logged, not raised."""
        self._until = time.monotonic() + self.within
        taken: dict[str, TakenOver] = {}
        try:
            hot = HotReader(Client.open(self.url, PATIENCE))
        except StorageError as error:
            log.warning("hot_tier_not_read", reason=str(error))
            return taken
        try:
            await self._take_all(hot, taken)
        except StorageError as error:
            log.warning("hot_tier_not_read", reason=str(error))
        finally:
            hot.client.close()
        return taken

    async def _take_all(self, hot: HotReader, taken: dict[str, TakenOver]) -> None:
        for name in await _bounded(hot.symbols, self.within) or ():
            kind, key = self.wanted(*name), ":".join(name)
            left = self._until - time.monotonic()
            if kind is None or await trio.to_thread.run_sync(self.journal.trades_extent, *name) is not None:
                continue
            if left <= 0:
                log.warning("hot_tier_not_taken_over", symbol=key, reason="there was no time left")
                continue
            found = await _bounded(partial(self._read, hot, name, kind), left + PATIENCE)
            if found is not None and found[0]:
                taken[key] = await trio.to_thread.run_sync(self._append, name, *found)
                log.info("hot_tier_taken_over", symbol=key, **attrs.asdict(taken[key]))

    def _read(self, hot: HotReader, name: Name, kind: IdKind) -> tuple[list[Run], list[GapRecord]]:
        """Return a symbol's last unbroken stretch in the order of its minutes, and the gaps noticed."""
        gaps: list[GapRecord] = []
        minutes: list[list[Run]] = []
        try:
            gaps = hot.gaps(*name)
            for minute in reversed(hot.minutes(*name, self.since)):
                if time.monotonic() > self._until:
                    log.warning("hot_tier_cut_short", symbol=":".join(name), reason="there was no time left")
                    break
                runs = hot.runs(*name, minute)
                if max((run.received_at for run in runs), default=0) < self.since:
                    break  # evicted, or of before
                minutes.append([run for run in runs if run.id_kind is kind])
        except StorageError as error:
            log.warning("hot_tier_cut_short", symbol=":".join(name), reason=str(error))
        return [run for runs in reversed(minutes) for run in runs], gaps

    def _append(self, name: Name, runs: Sequence[Run], gaps: Sequence[GapRecord]) -> TakenOver:
        """Commit a symbol's trades, all or nothing."""
        batches = list(_batches(name, runs))
        first = min(min(batch.trades.times) for batch in batches)
        last = max(max(batch.trades.times) for batch in batches)
        self.journal.append([*batches, *(record for record in gaps if record.gap.at >= first)])
        trades = sum(len(run.ids) for run in runs)
        return TakenOver(trades, trades - sum(len(batch.trades) for batch in batches), first, last)


async def _bounded(read: Callable[[], T], within: float) -> T | None:
    """Read in a thread; what hangs for longer is left to itself, and None returned."""
    with trio.move_on_after(within):
        return await trio.to_thread.run_sync(read, abandon_on_cancel=True)
    log.warning("hot_tier_not_read", reason=f"it did not answer within {within:g} s")
    return None


def _batches(name: Name, runs: Sequence[Run]) -> Iterator[TradeBatch]:
    """Yield runs as batches, each trade once."""
    seen: set[int | str] = set()
    for number, run in enumerate(runs, 1):
        trades = _fresh(run.trades(*name), seen)
        seen.update(trades.ids)
        if len(trades):
            yield TradeBatch(trades, INCARNATION, number, run.received_at, 0.0, run.market_time)


def _fresh(trades: Trades, seen: set[int | str]) -> Trades:
    if seen.isdisjoint(trades.ids) and len({*trades.ids}) == len(trades):
        return trades
    first = {
        trade_id: index for index, trade_id in reversed([*enumerate(trades.ids)]) if trade_id not in seen
    }
    return picked(trades, sorted(first.values()))
