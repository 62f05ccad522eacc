"""What the daemon says of itself: its health, its ledger, its actors."""

import time
from collections.abc import Callable, Iterable, Sequence

import attrs
import trio

import wadm
from actors.answers import tiers
from actors.answers.ahead import merge_ahead
from actors.connections.collectors import Collectors
from actors.connections.rates import Rates
from actors.gaps import soundness
from actors.memory import SymbolMemory
from actors.messages import BarsAnswer, BarsQuery
from actors.metrics.probe import resident_bytes
from actors.runtime import Runtime
from supervision import ActorStatus, AskRefused, AskTimeout, ask
from wadm import views
from wadm.analytics.profile import profile, readable_row_size
from wadm.contract import contract
from wadm.depth import book_summary
from wadm.instants import iso
from wadm.latency import Latency
from wadm.market import HOUR, MINUTE
from wadm.numbers import plain

#: The window that status page and demo show of each symbol: so many µs up to market time.
SHOWN = HOUR

#: Seconds for which a status is served again instead of being made again.
_FRESH = 0.9

#: Symbols whose last hour is looked at anew in one status, those first that were not for the longest: one
#: costs the loop some 2 ms, and a page that is open asks every second.
_AT_ONCE = 20


@attrs.define(eq=False)
class Overview:
    """Answers about the daemon."""

    runtime: Runtime
    #: who else is asked for reasons why the health is degraded
    concerns: list[Callable[[], Iterable[str]]] = attrs.field(factory=list, init=False)
    _rates: Rates = attrs.field(factory=Rates, init=False)
    _connections: Collectors = attrs.field(
        default=attrs.Factory(lambda self: Collectors(self.runtime.connections), takes_self=True), init=False
    )
    _windows: dict[str, tuple[float, dict[str, object]]] = attrs.field(factory=dict, init=False)
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
        reasons += self._connections.alarms()
        if self.runtime.following is not None:
            reasons += self.runtime.following.alarms()
        reasons += [clock.alarm for clock in self.runtime.clocks.values() if clock.alarm]
        storage = tiers.states(self.runtime)
        reasons += tiers.reasons(self.runtime)
        reasons += soundness.alarms(self.runtime.symbols.values())
        reasons += [book.alarm for book in self.runtime.books.values() if book.alarm]
        reasons += [reason for concern in self.concerns for reason in concern()]
        status = "healthy" if not reasons else "degraded"
        if storage["journal"] != "ok":
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

    def ready(self) -> dict[str, object]:
        """Say whether questions can be answered in full, and what comes in is kept; else why not."""
        runtime = self.runtime
        warming = [key for key, memory in runtime.symbols.items() if memory.warming]
        reasons = [f"warming up: {_some(warming)}"] if warming else []
        if runtime.writer.waiting is not None:
            reasons.append(f"journal: {runtime.writer.waiting}")
        return {"status": "not ready" if reasons else "ready", "reasons": reasons}

    def _collectors(self) -> dict[str, str]:
        """Return each exchange's state: that of its worst connection."""
        order = ("ended", "connected", "connecting", "disconnected")
        states: dict[str, str] = {}
        for connection in self.runtime.connections.values():
            worst = max(states.get(connection.exchange, "ended"), connection.state, key=order.index)
            states[connection.exchange] = worst
        return states

    async def status(self, *, fresh: bool = False) -> dict[str, object]:
        """Say everything that the status page shows; made anew at most once a second unless ``fresh``."""
        now = trio.current_time()
        if fresh or not self._status or now - self._status_at >= _FRESH:
            self._status_at = now
            self._status = await self._make_status(fresh=fresh)
        return self._status

    async def _make_status(self, *, fresh: bool) -> dict[str, object]:
        runtime = self.runtime
        latency = Latency()
        for memory in runtime.symbols.values():
            latency.merge(memory.latency)
        market_time = max((memory.market_time for memory in runtime.symbols.values()), default=0)
        return {
            "health": self.health(),
            "storage": tiers.status(runtime),
            "market_time": iso(market_time) if market_time else None,
            "trades_per_second": self._rates.of("*", runtime.ledger.total().applied),
            "window": "last 60 minutes",
            "symbols": await self._symbols(fresh=fresh),
            "collectors": (collectors := self._connections.each()),
            "totals": self._connections.total(collectors),
            "ledger": runtime.statement(),
            "latency": latency.percentiles(),
            "gaps": soundness.newest(runtime.symbols.values()),
            "gap_totals": soundness.totals(runtime.symbols.values()),
            "process": {"resident_bytes": resident_bytes(), "loop": runtime.meters.probe.status()},
            "rest": runtime.rest.status(),
            "following": [] if runtime.following is None else runtime.following.answer(),
            "clocks": [clock.answer() for clock in runtime.clocks.values()],
            "listings": [listing.answer() for listing in runtime.listings.values()],
            "actors": self.actors(),
        }

    async def gaps(self) -> list[dict[str, object]]:
        """Return every gap in trades that is not filled. Raises StorageError."""
        memories = list(self.runtime.symbols.values())
        found = await trio.to_thread.run_sync(soundness.every, memories, self.runtime.reader)
        return [gap.answer() for gap in found]

    async def _symbols(self, *, fresh: bool) -> list[dict[str, object]]:
        """Say where each symbol stands; one may be left while another is asked."""
        symbols, windows = self.runtime.symbols, self._windows
        by_age = sorted(symbols, key=lambda key: windows[key][0] if key in windows else 0.0)
        due = {*(by_age if fresh else by_age[:_AT_ONCE]), *(symbols.keys() - windows.keys())}
        for gone in windows.keys() - symbols.keys():
            del windows[gone]
        return [
            await self._symbol(key, symbols[key], look=key in due) for key in list(symbols) if key in symbols
        ]

    async def _symbol(self, key: str, memory: SymbolMemory, *, look: bool) -> dict[str, object]:
        numbers = {
            **self._listed(memory),
            "trades_per_second": self._rates.of(key, self._applied(key)),
            "book": self._book(key),
            "checks": soundness.checks(memory),
            **contract(memory.ticker, memory.liquidations, memory.market_time - SHOWN),
        }
        if look or key not in self._windows:
            self._windows[key] = trio.current_time(), await self._window(key, memory)
        return {**numbers, **self._windows[key][1]}

    async def _window(self, key: str, memory: SymbolMemory) -> dict[str, object]:
        end = memory.market_time - memory.market_time % MINUTE + MINUTE
        query = BarsQuery({"": (end - SHOWN, end)})
        await merge_ahead(memory.closed, query.spans.values())
        try:
            found: BarsAnswer = await ask(self.runtime.aggregators[key], query, deadline=1.0)
        except (AskTimeout, AskRefused):
            return {}
        bar = found.bars[""]
        if bar.high is None or bar.low is None:
            return {}
        size = readable_row_size(bar.low, bar.high, bar.price_decimals, memory.instrument.tick)
        made = profile(bar, size)
        window = {"start": iso(bar.start), "end": iso(bar.end), "row_size": plain(size)}
        return {**window, **views.candle(bar), **views.value_area(made)}

    def _book(self, key: str) -> dict[str, object] | None:
        """Return where a symbol's order book stands; None where it is not followed."""
        memory = self.runtime.books[key]
        if not memory.is_followed(self.runtime.connections.values()):
            return None
        return book_summary(memory.sync, age_ms=memory.age_ms(trio.current_time()))

    def _applied(self, key: str) -> int:
        return self.runtime.ledger.account(key).applied

    def _listed(self, memory: SymbolMemory) -> dict[str, object]:
        instrument, last = memory.instrument, memory.last_trade_at
        return {
            "exchange": instrument.exchange,
            "symbol": instrument.symbol,
            "tick": None if instrument.tick is None else plain(instrument.tick),
            "state": "warming"
            if memory.warming or not memory.closed.whole
            else "live"
            if last
            else "waiting for the first trade",
            "trades": self._applied(instrument.key),
            "last_price": memory.last_price,
            "last_trade": None if last is None else iso(last),
            "market_time": iso(memory.market_time) if memory.market_time else None,
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


def _some(names: Sequence[str]) -> str:
    more = len(names) - 3
    return ", ".join(names[:3]) + (f" and {more} more" if more > 0 else "")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes}m {rest}s"
