"""The spine of a daemon in one process: real actors, journal and store, and an exchange that is made up.

Run as a program it is the victim of a SIGKILL: see ``main``.
"""

import gzip
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import attrs
import trio

from actors.aggregator import Aggregator
from actors.burial import bury
from actors.connections.connection import END_OF_CAPTURE, Connection
from actors.connections.websocket import ConnectFailed, ConnectionLost, Frames
from actors.gaps.backfill import Backfill
from actors.messages import BarsAnswer, BarsQuery, EndOfCapture
from actors.plan import Plan, PlannedConnection
from actors.runtime import BACKFILL, Runtime, open_runtime
from actors.storage.journal_view import JournalView
from supervision import Backoff, ChildSpec, Event, Happening, Intensity, Restart, Supervisor, ask
from wadm.bar import Bar, merge
from wadm.exchanges import registry
from wadm.ledger import Ledger
from wadm.market import DAY, MINUTE, SECOND, IdKind, Instrument, TradeId, Trades
from wadm.orders import Orders
from wadm.series import BarSeries
from wadm.settings import Settings

CAPTURES = Path(__file__).parents[1] / "captures" / "hftbacktest"
BITCOIN = Instrument("binance", "BTCUSDT", Decimal("0.01"), Decimal("0.00001"))
ETHER = Instrument("binance", "ETHUSDT", Decimal("0.01"), Decimal("0.0001"))
STREAMS = ("btcusdt@trade", "ethusdt@trade")
CONNECTION = "connection:binance#1"
GRACE = 2 * SECOND


def recorded(count: int | None = None) -> list[bytes]:
    """Return frames of trades of two symbols as they were recorded, those of each in their order."""
    lines: list[tuple[int, bytes]] = []
    for name in ("spot_btcusdt_20240808_trades.gz", "spot_ethusdt_20240808_trades.gz"):
        with gzip.open(CAPTURES / name) as file:
            lines += ((int(at), frame) for at, _, frame in (line.strip().partition(b" ") for line in file))
    lines.sort(key=lambda line: line[0])
    return [frame for _, frame in lines[:count]]


def trade(number: int, at: int, symbol: str = "BTCUSDT", price: str = "100", quantity: str = "1") -> bytes:
    """Return a made-up trade's frame; ``at`` is in µs."""
    fields = f'"e":"trade","E":{at // 1000},"s":"{symbol}","t":{number},"p":"{price}","q":"{quantity}"'
    data = f'{{{fields},"T":{at // 1000},"m":false,"M":true}}'
    return f'{{"stream":"{symbol.lower()}@trade","data":{data}}}'.encode()


# --- an exchange ---


@attrs.define(eq=False)
class FakeSocket:
    """What a connection sees of a WebSocket."""

    exchange: "FakeExchange"
    close_code: int | None = None
    close_reason: str = ""
    sent: list[str] = attrs.field(factory=list)
    asked: trio.Event = attrs.field(factory=trio.Event)
    greeted: bool = False

    async def send(self, text: str) -> None:
        await trio.lowlevel.checkpoint()
        self.asked.set()
        if self.exchange.deaf:
            raise ConnectionLost("the server hung up", 1006)
        self.sent.append(text)

    def runs(self) -> "FakeSocket":
        return self

    def __aiter__(self) -> "FakeSocket":
        return self

    async def __anext__(self) -> Frames:
        await self.asked.wait()
        run = await self.exchange.next_run(first=not self.greeted)
        self.greeted = True
        if run is not None:
            return run
        self.close_code, self.close_reason = self.exchange.ends_with
        if self.close_code == 1000:
            raise StopAsyncIteration
        raise ConnectionLost(self.close_reason, self.close_code)


@attrs.define(eq=False)
class FakeExchange:
    """Gives its frames in runs; whoever comes again gets what comes next, and ``overlap`` frames twice."""

    frames: Sequence[bytes]
    overlap: int = 0
    sizes: Callable[[], int] = lambda: 50
    ends_with: tuple[int, str] = (1000, END_OF_CAPTURE)
    hold: trio.Event | None = None  # what it waits for once it has given everything,
    hold_at: int | None = None  # or so many frames
    pause: Callable[[], float] = lambda: 0.0
    deaf: bool = False
    refuses: str | None = None  # why nobody can connect
    fatal: int | None = None  # the frame that its process does not survive
    position: int = 0
    repeated: int = 0
    sockets: list[FakeSocket] = attrs.field(factory=list)

    @asynccontextmanager
    async def connect(self, _url: str) -> AsyncIterator[FakeSocket]:
        await trio.lowlevel.checkpoint()
        if self.refuses is not None:
            raise ConnectFailed(self.refuses)
        back = min(self.overlap, self.position)
        self.position -= back
        self.repeated += back
        self.sockets.append(FakeSocket(self))
        yield self.sockets[-1]

    async def next_run(self, *, first: bool) -> Frames | None:
        """Return an acknowledgement, then what comes next. Whoever is killed meanwhile was given nothing."""
        await trio.sleep(self.pause())
        if first:
            return _run([b'{"result":null,"id":1}'])
        held_at = len(self.frames) if self.hold_at is None else self.hold_at
        if self.position == held_at and self.hold is not None:
            await self.hold.wait()
        run = self.frames[self.position : self.position + self.sizes()]
        self.position += len(run)
        if self.fatal is not None and self.position >= self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return _run(list(run)) if run else None


def _run(frames: list[bytes]) -> Frames:
    return Frames(frames, time.time_ns() // 1000, time.perf_counter())


# --- the actors ---


def plan_of(
    *,
    playback: bool = True,
    instruments: Sequence[Instrument] = (BITCOIN, ETHER),
    rest: Mapping[str, str] | None = None,
) -> Plan:
    keys = tuple(one.key for one in instruments)
    streams = tuple(f"{one.symbol.lower()}@trade" for one in instruments)
    connection = PlannedConnection(CONNECTION, "binance", "ws://made.up", streams, keys)
    sources = dict.fromkeys(keys, IdKind.TRADE)
    return Plan(
        {one.key: one for one in instruments}, sources, (connection,), playback=playback, rest=rest or {}
    )


@attrs.define(eq=False)
class Spine:
    """Supervised actors on a data directory. ``connection`` is there once an exchange was given."""

    runtime: Runtime
    root: Supervisor
    connection: Connection | None

    def balanced(self) -> bool:
        return bool(self.runtime.statement()["balanced"])

    async def complete(self) -> None:
        """Wait until the exchange has ended and everything is applied and stored."""
        runtime = self.runtime
        await runtime.connections[CONNECTION].ended.wait()
        # The actor that fills gaps tells the end itself, once it has.
        for key in () if runtime.plan.rest else runtime.plan.traded:
            market_time = runtime.connections[CONNECTION].market_time
            await runtime.aggregators[key].put(EndOfCapture(market_time))
        await runtime.complete()

    async def everything(self, key: str) -> BarsAnswer:
        """Ask an aggregator for all it has: the answer's bar of the name ""."""
        query = BarsQuery({"": (0, self.runtime.symbols[key].market_time + DAY)})
        answer: BarsAnswer = await ask(self.runtime.aggregators[key], query, deadline=10.0)
        return answer

    @staticmethod
    def merged(bars: Sequence[Bar]) -> Bar:
        return merge(bars, bars[0].start, bars[-1].end)

    def bars(self, key: str) -> list[Bar]:
        closed = self.runtime.symbols[key].closed
        found = (closed.get(start) for start in closed.starts)
        return [bar for bar in found if bar is not None]


def aggregator_of(runtime: Runtime, key: str) -> Aggregator:
    return Aggregator(
        runtime.symbols[key], runtime.ledger, runtime.writer_mailbox, runtime.reader,
        runtime.marks, runtime.epoch, GRACE,
    )  # fmt: skip


def connection_of(runtime: Runtime, exchange: FakeExchange) -> Connection:
    instruments = {one.instrument.symbol: one.instrument for one in runtime.symbols.values()}
    positions = runtime.positions["binance"]
    return Connection(
        memory=runtime.connections[CONNECTION],
        url="ws://made.up",
        make_codec=lambda: registry.find("binance").codec(instruments, positions, runtime.ledger),
        numbering=runtime.numbering,
        outbox=runtime.outboxes[CONNECTION],
        symbols=runtime.symbols,
        aggregators=runtime.aggregators,
        books=runtime.book_mailboxes,
        gap_noticed=runtime.gap_noticed,
        grace=GRACE,
        playback=runtime.plan.playback,
        connect=exchange.connect,  # type: ignore[arg-type]  # the part of a WebSocket that is used
    )


@asynccontextmanager
async def spine(
    directory: Path,
    exchange: FakeExchange | None = None,
    plan: Plan | None = None,
    settings: Settings | None = None,
) -> AsyncIterator[Spine]:
    """Run writer, sinks, aggregators and connection for the length of the block, then stop them in order.

    Gaps are filled where the plan names a REST interface.
    """
    async with open_runtime(settings or Settings(), plan or plan_of(), directory) as runtime:
        connection = None if exchange is None else connection_of(runtime, exchange)

        def heard(event: Event) -> None:
            if event.what is Happening.DEAD_LETTERED:
                bury(root.dead_letters, runtime.symbols, runtime.ledger)

        root = runtime.root = Supervisor(
            "root", list(_tree(runtime, connection)), on_event=heard, shutdown_timeout=5.0
        )
        async with trio.open_nursery() as nursery:
            await nursery.start(root.run)
            yield Spine(runtime, root, connection)
            root.stop()


def _tree(runtime: Runtime, connection: Connection | None) -> Iterator[Supervisor]:
    often = {"intensity": Intensity(10_000, 1.0), "backoff": Backoff(0.001, 0.002)}
    storage = [
        *(ChildSpec(tier, sink.run) for tier, sink in runtime.sinks.items()),
        ChildSpec("writer", runtime.writer.run, mailbox=runtime.writer_mailbox),
    ]
    aggregators = [
        ChildSpec(f"aggregator:{key}", aggregator_of(runtime, key).run, mailbox=runtime.aggregators[key])
        for key in runtime.symbols
    ]
    yield Supervisor("storage", storage, **often)  # type: ignore[arg-type]
    yield Supervisor("aggregators", aggregators, **often)  # type: ignore[arg-type]
    if connection is not None:
        spec = ChildSpec(CONNECTION, connection.run, restart=Restart.TRANSIENT, shutdown_timeout=0)
        yield Supervisor("connections", [spec], **often)  # type: ignore[arg-type]
    if runtime.plan.rest:
        backfill = ChildSpec(BACKFILL, Backfill(runtime).run, shutdown_timeout=0)
        yield Supervisor("services", [backfill], **often)  # type: ignore[arg-type]


async def until(holds: Callable[[], bool]) -> None:
    """Return once something holds that no event tells of."""
    while not holds():  # noqa: ASYNC110
        await trio.sleep(0.0005)


def seeds(count: int) -> list[int]:
    """Return new seeds, which stand in the names of the tests; WADM_SEED repeats one."""
    given = os.environ.get("WADM_SEED")
    # All workers of one run must collect the same names.
    chance = random.Random(os.environ.get("PYTEST_XDIST_TESTRUNUID", random.SystemRandom().random()))
    return [int(given)] if given else [chance.randrange(10**6) for _ in range(count)]


# --- what must come of it ---


def folded(frames: Sequence[bytes], market_time: int | None = None) -> dict[str, list[Bar]]:
    """Return the bars that one undisturbed fold of the frames makes, by symbol key."""
    binance = registry.find("binance")
    codec = binance.codec({one.symbol: one for one in (BITCOIN, ETHER)}, binance.positions(), Ledger())
    series = {one.key: BarSeries() for one in (BITCOIN, ETHER)}
    newest = 0
    for event in codec.receive(frames, time.time_ns() // 1_000):
        if isinstance(event, Trades):
            series[event.key].fold(event)
            newest = max(newest, *event.times)
    until = newest if market_time is None else market_time
    return {key: one.finish(until) for key, one in series.items()}


def plainly(bars: Sequence[Bar]) -> list[Bar]:
    """Return bars without what depends on when they were closed."""
    return [attrs.evolve(bar, revision=0) for bar in bars]


def unordered(bars: Sequence[Bar]) -> list[Bar]:
    """Return bars without what depends on the order in which their trades came, too."""
    return [
        attrs.evolve(bar, exact_path=True, delta_high=0, delta_low=0, orders=Orders())
        for bar in plainly(bars)
    ]


def journalled(journal: JournalView, symbol: str) -> list[TradeId]:
    """Return the ids of all trades of a symbol that the journal keeps, in its order."""
    return [number for run in journal.trades("binance", symbol, 0, 1 << 62) for number in run.ids]


def minute(at: int) -> int:
    return at - at % MINUTE


# --- the victim ---


async def _victim(directory: Path, seed: int) -> None:
    chance = random.Random(seed)
    frames = recorded(6_000)
    exchange = FakeExchange(frames, sizes=lambda: chance.randint(1, 60), pause=lambda: 0.0005)
    exchange.fatal = chance.randint(len(frames) // 4, len(frames) * 3 // 4)
    async with spine(directory, exchange):
        await trio.sleep_forever()


def main() -> None:
    """``spine.py DIRECTORY SEED``: play, and die in the middle of it."""
    trio.run(_victim, Path(sys.argv[1]), int(sys.argv[2]))


if __name__ == "__main__":
    main()
