"""A door that answers in real shapes about made-up trades.

To look at the page: PYTHONPATH=. python tests/actors/front/front_door.py [PORT].
"""

import random
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from functools import cache, partial
from pathlib import Path

import attrs
import trio

from actors.access.access import Access
from actors.front.door import Concern
from actors.front.front import front
from actors.live.topic import Channel
from supervision.actor import Context
from wadm import views
from wadm.analytics.profile import profile, readable_row_size
from wadm.answers import compare
from wadm.answers.asking import read, respond
from wadm.answers.question import Material, Question, Span
from wadm.bar import Bar
from wadm.book_sync import BookSync
from wadm.coverage import Coverage, KnownGap
from wadm.depth import depth_answer
from wadm.exchanges.base import BookRule
from wadm.market import HOUR, SECOND, BookChange, BookUpdate, IdKind, Instrument, Trades
from wadm.numbers import plain
from wadm.questions import NotFollowed, UnknownExchange, UnknownSymbol, find_instrument, read_depth
from wadm.sections import AccessSettings, HttpSettings

STORAGE = {
    "journal": {"path": "data/journal.sqlite3", "last": 182_113, "bytes": 91_226_112, "waiting": None},
    "tiers": [
        {
            "tier": "warm", "engine": "mongodb", "address": "mongodb://db.example:27017/wadm", "state": "ok",
            "cursor": 182_113, "lag_entries": 0, "lag_seconds": 0, "failures": 0, "last_error": None,
            "breaker": "closed",
        },
        {
            "tier": "hot", "engine": "redis", "address": "redis://cache.example:6379/0",
            "state": "behind by 4,120 entries (42 s): it cannot be reached (Connection refused)",
            "cursor": 177_993, "lag_entries": 4_120, "lag_seconds": 42, "failures": 7,
            "last_error": "it cannot be reached (Connection refused)", "breaker": "open",
        },
    ],
    "cold": {"last": "binance:BTCUSDT 2024-08-01", "waiting": 0, "last_error": None, "failures": 0,
             "breaker": "closed"},
    "losses": [],
}  # fmt: skip

START = 1_723_158_000 * SECOND
BITCOIN = Instrument("binance_usdm", "BTCUSDT", Decimal("0.1"), Decimal("0.001"))
ETHER = Instrument("binance_usdm", "ETHUSDT", Decimal("0.01"), Decimal("0.001"))
SHIB = Instrument("bybit", "SHIB1000USDT", Decimal("0.000001"), Decimal(10))
FRESH = Instrument("binance", "NEWUSDT")


@cache
def made_up_bar(middle: int, spread: int, decimals: int, count: int, seed: int = 7) -> Bar:
    """Return an hour of trades around ``middle`` (scaled)."""
    chance = random.Random(seed)
    bar = Bar(START, START + HOUR)
    prices = [int(chance.gauss(middle, spread) + spread * (index / count - 0.5)) for index in range(count)]
    signed = [chance.choice((-1, 1)) * int(chance.expovariate(1 / 900) + 1) for _ in range(count)]
    times = [START + index * HOUR // count for index in range(count)]
    run = Trades("", "", IdKind.TRADE, decimals, 3, range(1, count + 1), times, prices, signed, [1] * count)
    bar.fold(run)
    return bar


def made_up_book() -> BookSync:
    """Return a book of 100 levels a side."""
    bids = [(61_563_2 - step, 1_000 + step) for step in range(100)]
    asks = [(61_563_3 + step, 2_000 + step) for step in range(100)]
    sync = BookSync(BookRule.PREVIOUS_IDS)
    sync.snapshot(BookUpdate(BookChange.SNAPSHOT, 7, 7, None, START, 1, 3, bids, asks), START)
    return sync


def tick(number: int) -> dict[str, object]:
    """Return a made-up trade."""
    time = f"2024-08-08T23:59:59.{number:06}Z"
    return {
        "time": time,
        "price": "61563.2",
        "quantity": "0.012",
        "side": "buy",
        "id": 5_123_456_789 + number,
    }


@attrs.define(eq=False)
class FakeChoosing:
    """Has the methods of ``actors.following.choosing.Choosing``."""

    followed: set[str] = attrs.field(factory=set)

    async def add(self, given: Mapping[str, object]) -> tuple[dict[str, object], bool]:
        if given.get("exchange") != "binance":
            raise UnknownExchange("exchange", str(given.get("exchange")), "one of binance")
        symbol = str(given["symbol"])
        fresh = symbol not in self.followed
        self.followed.add(symbol)
        return {"exchange": "binance", "symbol": symbol, "state": "followed", "reason": None}, fresh

    async def remove(self, given: Mapping[str, object]) -> dict[str, object]:
        symbol = str(given["symbol"])
        if symbol not in self.followed:
            raise UnknownSymbol("symbol", symbol, "one of none")
        self.followed.remove(symbol)
        return {"exchange": given["exchange"], "symbol": symbol, "state": "left", "reason": None}


@attrs.define(eq=False)
class FakeDoor:
    """Has the methods of ``actors.answers.queries.Queries``."""

    bars: dict[str, tuple[Instrument, Bar]] = attrs.field(
        factory=lambda: {
            BITCOIN.key: (BITCOIN, made_up_bar(61_563_2, 900, 1, 4000)),
            ETHER.key: (ETHER, made_up_bar(2_683_51, 700, 2, 900)),
            SHIB.key: (SHIB, made_up_bar(13_742, 60, 6, 300)),
            FRESH.key: (FRESH, Bar(START, START + HOUR)),
        }
    )
    healthy: str = "healthy"
    final: bool = False
    gaps: list[KnownGap] = attrs.field(factory=list)
    failure: Exception | None = None
    listing: Callable[[], Awaitable[dict[str, object]]] | None = None
    asked: list[Mapping[str, str]] = attrs.field(factory=list)
    choosing: FakeChoosing = attrs.field(factory=FakeChoosing)
    channels: dict[str, Channel] = attrs.field(factory=dict)
    concerns: list[Concern] = attrs.field(factory=list)
    not_ready: list[str] = attrs.field(factory=list)
    ticks: list[dict[str, object]] = attrs.field(factory=lambda: [tick(number) for number in range(100)])
    dropped: int = 0
    last_trade: str = "2024-08-08T23:59:59.1Z"

    def _coverage(self) -> Coverage:
        return Coverage((START, START + HOUR // 2), self.final, True, self.gaps, ["live"], 3, False)

    async def ask(self, question: Question, given: Mapping[str, str]) -> dict[str, object]:
        self.asked.append(given)
        if self.failure is not None:
            raise self.failure
        asked = read(question, given, {key: one for key, (one, _) in self.bars.items()})
        instrument, bar = self.bars[asked.instrument.key]
        span = Span(asked.timeframe, asked.session, bar.start, bar.end, bar.end)
        needs = question.needs(span, asked.values)
        merged = dict.fromkeys(needs.merged, bar)
        return respond(asked, Material(instrument, span, bar, self._coverage(), [bar], merged))

    async def compare(self, given: Mapping[str, str]) -> dict[str, object]:
        compared = compare.read(given, {key: one for key, (one, _) in self.bars.items()}, lambda _: START)
        materials = []
        for asked in compared.asked:
            instrument, bar = self.bars[asked.instrument.key]
            materials.append(Material(instrument, asked.span(START), bar, self._coverage()))
        return compare.respond(compared, materials)

    async def depth(self, parameters: Mapping[str, str]) -> dict[str, object]:
        self.asked.append(parameters)
        asked = read_depth(parameters, {key: one for key, (one, _) in self.bars.items()})
        if asked.instrument is FRESH:
            remedy = "add book to exchanges.binance.streams in the settings"
            raise NotFollowed("The order book", "symbol", FRESH.key, remedy)
        return {
            **depth_answer(asked.instrument, made_up_book(), asked.levels, age_ms=140),
            "counters": {"updates": 1},
            "last_audit": None,
            "coverage": {"sources": ["live"], "epoch": 3, "warming": False},
        }

    async def trades(self, given: Mapping[str, str]) -> dict[str, object]:
        """Give out ``ticks``: the cursor is the place in them, and the first ``dropped`` are not kept."""
        instrument = find_instrument(
            given.get("exchange"), given.get("symbol"), {key: one for key, (one, _) in self.bars.items()}
        )
        limit, after = int(given["limit"]), given.get("cursor")
        at = max(len(self.ticks) - limit, self.dropped) if after is None else int(after)
        first = max(at, self.dropped)
        last = min(first + limit, len(self.ticks))
        return {
            "exchange": instrument.exchange,
            "symbol": instrument.symbol,
            "id_kind": "trade",
            "trades": self.ticks[first:last],
            "next": str(last),
            "more": last < len(self.ticks),
            "missed": {"from_sequence": at, "to_sequence": first} if first > at else None,
            "coverage": self._coverage().answer(),
        }

    async def symbols(self) -> dict[str, object]:
        if self.listing is not None:
            return await self.listing()
        if self.failure is not None:
            raise self.failure
        return {"symbols": [self._listed(instrument, bar) for instrument, bar in self.bars.values()]}

    def _listed(self, instrument: Instrument, bar: Bar) -> dict[str, object]:
        return {
            "exchange": instrument.exchange,
            "symbol": instrument.symbol,
            "tick": None if instrument.tick is None else f"{instrument.tick:f}",
            "state": "live" if bar.close else "waiting for the first trade",
            "last_price": views.candle(bar)["close"],
            "last_trade": self.last_trade if bar.close else None,
            "market_time": "2024-08-08T23:59:59.1Z" if bar.close else None,
        }

    def ready(self) -> dict[str, object]:
        return {"status": "not ready" if self.not_ready else "ready", "reasons": self.not_ready}

    def health(self) -> dict[str, object]:
        return {
            "status": self.healthy,
            "version": "0.1.0",
            "collectors": {"binance_usdm": "connected", "bybit": "connecting"},
            "storage": {"journal": "ok", "sqlite": "ok", "cold": "ok"},
            "uptime": "72h 15m 32s",
        }

    async def status(self) -> dict[str, object]:
        listed = []
        for instrument, bar in self.bars.values():
            size = readable_row_size(bar.low or 0, bar.high or 0, bar.price_decimals, instrument.tick)
            made = profile(bar, size)
            hour = {
                "row_size": plain(size),
                **views.candle(bar),
                **views.value_area(made),
                "trades_per_second": bar.close and 13.4,
            }
            listed.append({**self._listed(instrument, bar), **hour})
        return {
            "health": self.health(),
            "trades_per_second": 1340.25,
            "market_time": "2024-08-08T23:59:59.1Z",
            "collectors": [
                _collector("binance_usdm", "connected", frames=125_301, trades=402_117, last_frame_age=0.031),
                _collector("bybit", "connecting", frames=0, trades=0, reconnects=12, reason="name not known"),
            ],
            "symbols": listed,
            "ledger": {
                "received": 402_120,
                "applied": 402_101,
                "duplicate": 16,
                "in_flight": 3,
                "rejected": {},
                "shed": {},
                "balanced": True,
                "frames": 125_301,
                "frames_rejected": {},
            },
            "gaps": [],
            "process": {
                "resident_bytes": 214_958_080,
                "loop": {"p50_ms": 0.07, "p99_ms": 1.34, "longest_ms": 12.4, "longest_collection_ms": 0.8},
            },
            "storage": STORAGE,
            "latency": {"p50": 184, "p95": 412, "p99": 1391},
            "actors": self.actors(),
        }

    def actors(self) -> dict[str, object]:
        return _actor(
            "root",
            kind="supervisor",
            children=[
                _actor("storage", kind="supervisor", children=[_actor("writer", depth=2)]),
                _actor(
                    "aggregators",
                    kind="supervisor",
                    children=[_actor("binance_usdm:BTCUSDT", depth=0), _actor("bybit:SHIB1000USDT", depth=0)],
                ),
                _actor(
                    "connections",
                    kind="supervisor",
                    children=[
                        _actor("binance_usdm", restarts=1),
                        _actor("bybit", state="parked", last_crash="Disconnected: name not known"),
                    ],
                ),
                _actor("front"),
            ],
        )


def _collector(name: str, state: str, **facts: object) -> dict[str, object]:
    known = {"name": f"{name}/1", "exchange": name, "state": state, "reason": ""}
    return {**known, "reconnects": 1, "last_frame_age": None, **facts}


def _actor(name: str, *, depth: int | None = None, **facts: object) -> dict[str, object]:
    mailbox = None if depth is None else {"depth": depth, "high_water": 61, "capacity": 1024}
    return {
        "name": name,
        "kind": "worker",
        "state": "running",
        "incarnation": 1,
        "restarts": 0,
        "last_crash": None,
        "uptime": 4302.1,
        "mailbox": mailbox,
        "children": [],
        **facts,
    }


async def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8920
    context = Context("front", 1)
    with tempfile.TemporaryDirectory() as directory:
        access = Access.open(Path(directory), AccessSettings())
        http = HttpSettings(port=port)
        await front(context, FakeDoor(), http=http, access=access, bound=partial(print, flush=True))


if __name__ == "__main__":
    trio.run(main)
