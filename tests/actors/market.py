"""A made-up exchange that trades what it is asked for, and what follows it of a daemon. No network."""

import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import trio

from actors import plan
from actors.connections.frames import Frames
from actors.crews import Crews, Reconnecting
from actors.following.follower import FOLLOWER, Follower
from actors.following.following import Following
from actors.runtime import Runtime, open_runtime
from supervision import ActorStatus, Backoff, ChildSpec, Intensity, Supervisor
from wadm.market import SECOND
from wadm.sections import ExchangeSettings
from wadm.settings import Settings

OFTEN = Intensity(10_000, 1.0)
SOON = Backoff(0.001, 0.002)


@attrs.define(eq=False)
class Socket:
    """What a connection sees of a WebSocket: every subscribed trade stream has a trade in every run."""

    market: "Market"
    url: str
    close_code: int | None = None
    close_reason: str = ""
    streams: dict[str, None] = attrs.field(factory=dict)
    answers: list[bytes] = attrs.field(factory=list)
    requests: list[tuple[str, list[str]]] = attrs.field(factory=list)

    async def send(self, text: str) -> None:
        await trio.lowlevel.checkpoint()
        request = json.loads(text)
        streams = request["params"]
        self.requests.append((request["method"], streams))
        if request["method"] == "SUBSCRIBE":
            self.streams |= dict.fromkeys(streams)
        elif not self.market.hard_of_hearing:
            for stream in streams:
                self.streams.pop(stream, None)
        self.answers.append(json.dumps({"result": None, "id": request["id"]}).encode())

    def runs(self) -> "Socket":
        return self

    def __aiter__(self) -> "Socket":
        return self

    async def __anext__(self) -> Frames:
        await trio.sleep(0.002)
        frames, self.answers = self.answers, []
        frames += [self.market.trade(stream) for stream in self.streams if stream.endswith("@trade")]
        return Frames(frames, time.time_ns() // 1_000, time.perf_counter())


@attrs.define(eq=False)
class Market:
    """Numbers the trades of each symbol; ``prices`` are what is paid, "100" unless told otherwise."""

    sockets: list[Socket] = attrs.field(factory=list)
    traded: Counter[str] = attrs.field(factory=Counter)
    prices: dict[str, str] = attrs.field(factory=dict)
    hard_of_hearing: bool = False

    @asynccontextmanager
    async def connect(self, url: str) -> AsyncIterator[Socket]:
        await trio.lowlevel.checkpoint()
        socket = Socket(self, url)
        self.sockets.append(socket)
        try:
            yield socket
        finally:
            self.sockets.remove(socket)

    def trade(self, stream: str) -> bytes:
        symbol, at = stream.partition("@")[0].upper(), time.time_ns() // 1_000_000
        self.traded[symbol] += 1
        fields = f'"e":"trade","E":{at},"s":"{symbol}","t":{self.traded[symbol]}'
        price = f'"p":"{self.prices.get(symbol, "100")}","q":"1"'
        return f'{{"stream":"{stream}","data":{{{fields},{price},"T":{at},"m":false,"M":true}}}}'.encode()


@attrs.define(eq=False)
class Followed:
    """A daemon without backfill, books' snapshots and front, following what it is told to."""

    runtime: Runtime
    root: Supervisor
    following: Following

    async def until_traded(self, *keys: str, trades: int = 20) -> None:
        """Return once so many more trades of each symbol are in its bars."""
        before = {key: self.applied(key) for key in keys}
        while any(self.applied(key) < before[key] + trades for key in keys):  # noqa: ASYNC110
            await trio.sleep(0.002)

    def applied(self, key: str) -> int:
        return self.runtime.ledger.account(key).applied

    def status(self, name: str) -> ActorStatus:
        """Return the actor of that name, wherever it is."""
        crews = self.root.snapshot().children
        return next(child for crew in crews for child in crew.children if child.name == name)

    def names(self) -> set[str]:
        return {child.name for crew in self.root.snapshot().children for child in crew.children}


def settings_of(*symbols: str, exchange: str = "binance", streams: Iterable[str] = ("trades",)) -> Settings:
    told = ExchangeSettings("wss://made.up", symbols, streams=tuple(streams), rest_url="http://127.0.0.1:9")
    return Settings(exchanges={exchange: told})


@asynccontextmanager
async def followed(
    directory: Path, market: Market, settings: Settings, what: plan.Plan | None = None
) -> AsyncIterator[Followed]:
    """Run writer, sink, crews and follower for the length of the block, then stop them in order."""
    async with open_runtime(settings, what or plan.live(settings, {}), directory) as runtime:
        reconnecting = Reconnecting(SOON, quiet_after=None, lifetime=None)
        crews = Crews(runtime, 2 * SECOND, reconnecting, market.connect)  # type: ignore[arg-type]  # what is used of a WebSocket
        following = runtime.following = Following(runtime, settings)
        storage = [
            ChildSpec("warm", runtime.warm.run),
            ChildSpec("writer", runtime.writer.run, mailbox=runtime.writer_mailbox),
        ]
        services = [ChildSpec(FOLLOWER, Follower(runtime, crews, following).run, shutdown_timeout=0)]
        root = runtime.root = Supervisor(
            "root",
            [
                Supervisor("storage", storage, intensity=OFTEN, backoff=SOON),
                crews.aggregators,
                crews.books,
                crews.connections,
                Supervisor("services", services, intensity=OFTEN, backoff=SOON),
            ],
            shutdown_timeout=5.0,
        )
        async with trio.open_nursery() as nursery:
            await nursery.start(root.run)
            yield Followed(runtime, root, following)
            root.stop()
