"""What the daemon says of itself: its health, its ledger, its actors."""

import time
from collections.abc import Iterable

import attrs
import trio

import wadm
from actors.memory import ConnectionMemory, SymbolMemory
from actors.messages import WindowAnswer, WindowQuery
from actors.runtime import Runtime
from supervision import ActorStatus, AskRefused, AskTimeout, ask
from wadm import views
from wadm.analytics.profile import profile, readable_row_size
from wadm.instants import iso
from wadm.latency import Latency
from wadm.market import HOUR, MINUTE
from wadm.numbers import plain

#: The window that status page and demo show of each symbol: so many µs up to market time.
SHOWN = HOUR

#: Seconds for which a status is served again instead of being made again.
_FRESH = 0.9


@attrs.define
class _Rate:
    """How many of something came per second, since it was last asked for."""

    count: int = 0
    at: float = 0.0
    per_second: float = 0.0

    def of(self, count: int, now: float) -> float:
        """Return the rate since the last call that lies half a second back or more."""
        if now - self.at >= 0.5:
            self.per_second = (count - self.count) / (now - self.at) if self.at else 0.0
            self.count, self.at = count, now
        return round(self.per_second, 1)


@attrs.define(eq=False)
class Overview:
    """Answers about the daemon."""

    runtime: Runtime
    _rates: dict[str, _Rate] = attrs.field(factory=dict, init=False)
    _status: dict[str, object] = attrs.field(factory=dict, init=False)
    _status_at: float = attrs.field(default=-1.0, init=False)

    def health(self) -> dict[str, object]:
        """Say whether data comes in and is kept: healthy, degraded (and why) or unhealthy."""
        collectors = self._collectors()
        reasons = [
            f"{one.exchange} is {one.state}" + (f": {one.reason}" if one.reason else "")
            for one in self.runtime.connections.values()
            if one.state not in ("connected", "ended")
        ]
        storage = self._storage()
        reasons += [f"{name}: {state}" for name, state in storage.items() if state != "ok"]
        status = "healthy" if not reasons else "degraded"
        if not str(storage["journal"]).startswith("ok"):
            status = "unhealthy"
        return {
            "status": status,
            "reasons": reasons,
            "version": wadm.__version__,
            "collectors": collectors,
            "storage": storage,
            "uptime": _duration(time.monotonic() - self.runtime.started_at),
            "epoch": self.runtime.epoch,
        }

    def _collectors(self) -> dict[str, str]:
        """Return each exchange's state: that of its worst connection."""
        order = ("ended", "connected", "connecting", "disconnected")
        states: dict[str, str] = {}
        for connection in self.runtime.connections.values():
            worst = max(states.get(connection.exchange, "ended"), connection.state, key=order.index)
            states[connection.exchange] = worst
        return states

    def _storage(self) -> dict[str, str]:
        runtime = self.runtime
        progress = runtime.warm.progress
        return {
            "journal": runtime.writer.waiting or "ok",
            "warm": "ok"
            if progress.last_error is None
            else f"behind by {progress.lag}: {progress.last_error}",
        }

    async def status(self, *, fresh: bool = False) -> dict[str, object]:
        """Say everything that the status page shows; made anew at most once a second unless ``fresh``."""
        now = trio.current_time()
        if fresh or not self._status or now - self._status_at >= _FRESH:
            self._status_at = now
            self._status = await self._make_status()
        return self._status

    async def _make_status(self) -> dict[str, object]:
        runtime = self.runtime
        latency = Latency()
        for memory in runtime.symbols.values():
            latency.merge(memory.latency)
        market_time = max((memory.market_time for memory in runtime.symbols.values()), default=0)
        return {
            "health": self.health(),
            "market_time": iso(market_time) if market_time else None,
            "trades_per_second": self._rate("*", runtime.ledger.total().applied),
            "window": "last 60 minutes",
            "symbols": [await self._symbol(key, memory) for key, memory in runtime.symbols.items()],
            "collectors": [self._collector(memory) for memory in runtime.connections.values()],
            "ledger": runtime.statement(),
            "latency": latency.percentiles(),
            "gaps": self.gaps(),
            "actors": self.actors(),
        }

    def gaps(self) -> list[dict[str, object]]:
        """Return every gap in trade ids that is not filled."""
        return [gap.answer() for memory in self.runtime.symbols.values() for gap in memory.gaps.known]

    def _rate(self, name: str, count: int) -> float:
        return self._rates.setdefault(name, _Rate()).of(count, time.monotonic())

    async def _symbol(self, key: str, memory: SymbolMemory) -> dict[str, object]:
        numbers = {**self._listed(memory), "trades_per_second": self._rate(key, self._applied(key))}
        end = memory.market_time - memory.market_time % MINUTE + MINUTE
        query = WindowQuery(start=end - SHOWN, end=end)
        try:
            found: WindowAnswer = await ask(self.runtime.aggregators[key], query, deadline=1.0)
        except (AskTimeout, AskRefused):
            return numbers
        bar = found.bar
        if bar.high is None or bar.low is None:
            return numbers
        size = readable_row_size(bar.low, bar.high, bar.price_decimals, memory.instrument.tick)
        made = profile(bar, size)
        window = {"start": iso(bar.start), "end": iso(bar.end), "row_size": plain(size)}
        return {**numbers, **window, **views.candle(bar), **views.value_area(made)}

    def _applied(self, key: str) -> int:
        return self.runtime.ledger.account(key).applied

    def _listed(self, memory: SymbolMemory) -> dict[str, object]:
        instrument, last = memory.instrument, memory.last_trade_at
        return {
            "exchange": instrument.exchange,
            "symbol": instrument.symbol,
            "tick": None if instrument.tick is None else plain(instrument.tick),
            "state": "warming" if memory.warming else "live" if last else "waiting for the first trade",
            "trades": self._applied(instrument.key),
            "last_price": memory.last_price,
            "last_trade": None if last is None else iso(last),
            "market_time": iso(memory.market_time) if memory.market_time else None,
        }

    @staticmethod
    def _collector(memory: ConnectionMemory) -> dict[str, object]:
        seen = memory.last_frame_at
        return {
            "name": memory.name,
            "exchange": memory.exchange,
            "state": memory.state,
            "reason": memory.reason,
            "streams": len(memory.streams),
            "frames": memory.frames,
            "bytes": memory.bytes,
            "trades": memory.trades,
            "reconnects": memory.reconnects,
            "refused": dict(memory.refused),
            "last_frame_age": None if seen is None else round(trio.current_time() - seen, 3),
        }

    def actors(self) -> dict[str, object]:
        """Return the supervision tree as it stands, and the messages that no actor survived."""
        root = self.runtime.root
        if root is None:
            return {}
        letters = [
            {
                "id": letter.id,
                "mailbox": letter.mailbox,
                "message": str(letter.message)[:200],
                "cause": letter.cause,
            }
            for letter in root.dead_letters.list()
        ]
        return {**_actor(root.snapshot()), "dead_letters": letters}


def _actor(status: ActorStatus) -> dict[str, object]:
    mailbox = status.mailbox
    return {
        "name": status.name,
        "kind": status.kind,
        "state": status.state.value,
        "incarnation": status.incarnation,
        "restarts": status.restarts,
        "last_crash": status.last_crash,
        "uptime": None if status.uptime is None else round(status.uptime, 1),
        "mailbox": None
        if mailbox is None
        else {
            "depth": mailbox.depth,
            "high_water": mailbox.high_water,
            "capacity": mailbox.capacity,
            "acknowledged": mailbox.acknowledged,
            "redelivered": mailbox.redelivered,
            "shed": mailbox.shed,
        },
        "breaker": None if status.breaker is None else status.breaker.state.value,
        "children": _actors(status.children),
    }


def _actors(children: Iterable[ActorStatus]) -> list[dict[str, object]]:
    return [_actor(child) for child in children]


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes}m {rest}s"
