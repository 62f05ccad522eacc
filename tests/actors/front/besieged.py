"""A front in a thread of its own, for clients that mean no good: scripts of bytes, from outside its loop.

One front stands for all scripts of a module. Its patience is short, so that who stays is put out soon. After
each script it has to be what it was: as many tasks, connections and open files, nobody in work.
"""

import gc
import queue
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import attrs
import httpx
import pytest
import trio
from agents_client import STATELESS, call
from front_door import FakeDoor

from actors.access.access import Access
from actors.access.keyring import wall_clock
from actors.front import server as serving
from actors.front.connections import FrontConfig
from actors.front.front import front
from actors.front.limits import Limits
from actors.metrics.scrape import Scrape
from supervision.actor import Context
from wadm.keys import Permission, written
from wadm.sections import AccessSettings, HttpSettings

#: Seconds within which everybody else is answered, and those within which all traces have to be gone.
SOON = 2.0
PATIENCE = 8.0

#: More than any script asks.
ENDLESS = 10_000_000

ORDER_FLOW = "/api/v1/order-flow?exchange=binance_usdm&symbol=BTCUSDT&timeframe=1h"

#: What must never be seen outside: where the code lies, and what went wrong inside.
LEAKS = re.compile(
    rb"Traceback|site-packages|\.py\b|/home/|/root/|/tmp/|0x[0-9a-f]{8}|HTTP/1\.1 5(?!01|03)|internal_error"
)

_RESET = struct.pack("ii", 1, 0)


@attrs.frozen
class Traces:
    """What a client leaves behind while he is here."""

    tasks: int
    connections: int
    files: int
    in_work: int


@attrs.define(eq=False)
class Foe:
    """One hostile connection."""

    socket: socket.socket
    key: bytes
    heard: bytearray = attrs.field(factory=bytearray)

    def send(self, *parts: bytes) -> None:
        """Send bytes, with the key for ``{KEY}``; the server may have hung up already."""
        with suppress(OSError):
            for part in parts:
                self.socket.sendall(part.replace(b"{KEY}", self.key))

    def hear(self, what: bytes = b"") -> bytes:
        """Read until ``what`` was heard, or the end; with nothing named, whatever comes next."""
        with suppress(OSError):
            while part := self.socket.recv(65_536):
                self.heard += part
                if what in self.heard:
                    break
        return bytes(self.heard)

    def hears_out(self) -> bool:
        """Read until the server ends it, and hang up; return whether it did."""
        try:
            while part := self.socket.recv(65_536):
                self.heard += part
        except TimeoutError:
            return False
        except ConnectionError:
            pass
        finally:
            self.close()
        return True

    def half_close(self) -> None:
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def stop_reading(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)

    def close(self, *, reset: bool = False) -> None:
        if reset:
            with suppress(OSError):
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.socket.close()


Script = Callable[[Foe], None]


@attrs.define(eq=False)
class Besieged:
    """The front, the key of those who are let in, and what it is like when nobody is there."""

    url: str
    key: str
    config: FrontConfig
    scrape: Scrape
    access: Access
    token: trio.lowlevel.TrioToken
    others: httpx.Client
    calm: Traces = attrs.field(init=False)

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.url.rpartition("/")[2].split(":")
        return host, int(port)

    def foe(self, source: str = "127.0.0.1") -> Foe:
        """Connect."""
        connected = socket.create_connection(self.address, PATIENCE, (source, 0))
        return Foe(connected, self.key.encode())

    # --- everybody else ---

    def answers_everybody_else(self) -> None:
        """Ask as programs and agents do, from another address and on fresh connections."""
        shown, client = {"X-API-Key": self.key}, self.others
        assert client.get("/health").status_code == 200
        assert client.get(ORDER_FLOW, headers=shown).json()["delta"]
        asked = call(STATELESS, **shown)
        assert client.post(**asked).json()["result"]["structuredContent"]["symbols"]

    # --- what is left ---

    def traces(self) -> Traces:
        return trio.from_thread.run_sync(self._traces, trio_token=self.token)

    def _traces(self) -> Traces:
        tasks = trio.lowlevel.current_statistics().tasks_living
        files = sum(1 for _ in Path("/proc/self/fd").iterdir())
        return Traces(tasks, len(self.config.connections), files, self.scrape.meters.requests.in_work)

    def becomes_calm(self) -> None:
        """Wait until nobody is left."""
        deadline = time.monotonic() + PATIENCE
        while (now := self.traces()) != self.calm:
            assert time.monotonic() < deadline, f"{now} is left of what should be {self.calm}"
            time.sleep(0.01)

    def settle(self) -> None:
        """Note what it is like once whatever starts with the first requests has started."""
        gc.collect()  # files that others forgot to close would be counted until they are found
        self.answers_everybody_else()
        before, deadline = self.traces(), time.monotonic() + PATIENCE
        while before.connections or (now := self.traces()) != before:
            assert time.monotonic() < deadline
            before = self.traces()
            time.sleep(0.1)
        self.calm = now


@contextmanager
def besieged(
    directory: Path, http: HttpSettings | None = None, trust: ssl.SSLContext | None = None
) -> Iterator[Besieged]:
    """Serve for the length of the block."""
    made: queue.SimpleQueue[Besieged | BaseException] = queue.SimpleQueue()
    stop = trio.Event()
    with pytest.MonkeyPatch.context() as patch:
        config = _impatient(patch)
        arguments = (directory, http or HttpSettings(port=0), trust)
        thread = threading.Thread(
            target=_run, args=arguments, kwargs={"config": config, "made": made, "stop": stop}
        )
        thread.start()
        front = made.get(timeout=60)
        if isinstance(front, BaseException):
            raise front
        try:
            front.settle()
            yield front
        finally:
            front.others.close()
            trio.from_thread.run_sync(stop.set, trio_token=front.token)
            thread.join()


def _others(url: str, trust: ssl.SSLContext | None) -> httpx.Client:
    """Return a client from another address that connects anew for every question."""
    transport = httpx.HTTPTransport(
        local_address="127.0.0.9", verify=trust or False, limits=httpx.Limits(max_keepalive_connections=0)
    )
    return httpx.Client(base_url=url, transport=transport, timeout=SOON)


def _impatient(patch: pytest.MonkeyPatch) -> FrontConfig:
    """Make the next front one of short patience."""
    config = serving.configure()
    config.close_timeout = 0.2
    config.keep_alive_timeout = config.send_timeout = config.stall_timeout = config.ssl_handshake_timeout = (
        1.0
    )
    patch.setattr(serving, "configure", lambda: config)
    patch.setattr(serving, "Limits", partial(Limits, body_timeout=1.0))
    return config


def _run(
    directory: Path,
    http: HttpSettings,
    trust: ssl.SSLContext | None,
    *,
    config: FrontConfig,
    made: "queue.SimpleQueue[Besieged | BaseException]",
    stop: trio.Event,
) -> None:
    endless = AccessSettings(requests_per_minute=ENDLESS, key_requests_per_minute=ENDLESS)
    access = Access.open(directory, endless)
    key, secret = access.register.create("friend", Permission.READ, by="test", now=wall_clock(), days=30)
    access.keyring.refresh()
    scrape = Scrape()

    async def main() -> None:
        token = trio.lowlevel.current_trio_token()

        def bound(url: str) -> None:
            others = _others(url, trust)
            made.put(Besieged(url, written(key.id, secret), config, scrape, access, token, others))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                partial(
                    front, Context("front", 1), FakeDoor(),
                    http=http, access=access, scrape=scrape, bound=bound,
                )
            )  # fmt: skip
            await stop.wait()
            nursery.cancel_scope.cancel()

    try:
        trio.run(main)
    except BaseException as error:
        made.put(error)
        raise
    finally:
        access.close()
