"""``python -m actors.drill.subject``: the daemon under test, in a process of its own that can be killed.

It follows a local exchange server like any daemon, suffers the faults it is ordered to by its standard
input, and tells on its standard output what became of it. It ends at the end of its standard input.
"""

import argparse
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import trio

from actors import garbage, logs, plan
from actors.answers.outcome import outcome
from actors.background import background
from actors.configuration import load_listing
from actors.crews import Reconnecting
from actors.daemon import Daemon, open_daemon
from actors.drill import protocol
from actors.drill.chaos import SlowMailbox, TightJournal
from actors.runtime import Parts
from supervision import Backoff, BreakerPolicy, Event, Happening
from wadm.sections import HttpSettings, LogSettings
from wadm.settings import Settings

#: The local exchange forgives any number of attempts, and is never calm for a second.
RECONNECTING = Reconnecting(
    Backoff(minimum=0.05, maximum=0.2, reset_after=0.5),
    BreakerPolicy(window=50, minimum_calls=50, failure_rate=1.0, open_seconds=0.5),
    quiet_after=1.0,
    lifetime=None,
)

#: Seconds between two looks at whether a connection that went down is served again.
_LOOK = 0.002


@attrs.define(eq=False)
class Subject:
    """A daemon under test."""

    row_size: str | None
    daemon: Daemon = attrs.field(init=False)
    _down: dict[str, float] = attrs.field(factory=dict)

    async def run(self, settings: Settings, what: plan.Plan, directory: Path) -> None:
        """Follow the exchange until standard input ends."""
        async with (
            open_daemon(
                settings,
                what,
                directory,
                parts=Parts(SlowMailbox, TightJournal),
                listener=self.hear,
                reconnecting=RECONNECTING,
            ) as self.daemon,
            background() as nursery,
        ):
            await nursery.start(self.daemon.run)
            garbage.settle()
            _tell(protocol.Ready())
            nursery.start_soon(self._watch_connections)
            nursery.start_soon(self._report)
            await self._obey(nursery)

    async def _obey(self, nursery: trio.Nursery) -> None:
        async for line in _lines():
            match protocol.read_order(line):
                case protocol.Kill(target=target):
                    _tell(protocol.Suffered("kill", self.daemon.root.kill(target)))
                case protocol.Slow(target=target, seconds=seconds):
                    self._mailbox(target).slow(seconds)
                    _tell(protocol.Suffered("slow-consumer", hit=True))
                case protocol.Fill(seconds=seconds):
                    nursery.start_soon(self._fill_disk, seconds)

    def _mailbox(self, target: str) -> SlowMailbox:
        runtime = self.daemon.runtime
        mailbox = runtime.aggregators.get(target.partition(":")[2], runtime.writer_mailbox)
        assert isinstance(mailbox, SlowMailbox)
        return mailbox

    async def _fill_disk(self, seconds: float) -> None:
        journal = self.daemon.runtime.journal
        assert isinstance(journal, TightJournal)
        await trio.to_thread.run_sync(journal.tighten)
        try:
            await trio.sleep(seconds)
            _tell(protocol.Suffered("disk-full", hit=True))
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(journal.loosen)

    # --- what becomes of it ---

    def hear(self, event: Event) -> None:
        """Listen to the supervision tree."""
        name = event.path.rpartition("/")[2]
        kind = name.partition(":")[0]
        if event.what in (Happening.CRASHED, Happening.PARKED):
            self._down.setdefault(name, event.at)
        elif event.what is Happening.RESTARTED:
            _tell(protocol.Restarted(kind))
            if kind != "connection":
                self._up(name, event.at)

    def _up(self, name: str, at: float) -> None:
        since = self._down.pop(name, None)
        if since is not None:
            _tell(protocol.Recovered(name.partition(":")[0], round((at - since) * 1e3, 3)))

    async def _watch_connections(self) -> None:
        """Hear when connections serve again: when the exchange has acknowledged their subscription."""
        connections = self.daemon.runtime.connections
        while True:
            await trio.sleep(_LOOK)
            for name in [name for name in self._down if name in connections]:
                if connections[name].state in ("connected", "ended"):
                    self._up(name, trio.current_time())

    async def _report(self) -> None:
        await self.daemon.runtime.complete()
        _tell(protocol.Complete(await outcome(self.daemon, self.row_size)))


async def _lines() -> AsyncIterator[bytes]:
    stream = trio.lowlevel.FdStream(os.dup(sys.stdin.fileno()))
    rest = b""
    async for chunk in stream:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line


def _tell(message: protocol.Tellings) -> None:
    os.write(sys.stdout.fileno(), protocol.line(message))


def main() -> None:
    """Be the daemon under test."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is for the drill
    parser = argparse.ArgumentParser(prog="python -m actors.drill.subject")
    parser.add_argument("--exchange", required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--rest-url", required=True)
    parser.add_argument("--stream", action="append", required=True)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--row-size")
    given = parser.parse_args()
    logs.configure(LogSettings(level="error"))
    what = plan.recorded(given.exchange, given.url, given.rest_url, given.stream, load_listing())
    trio.run(Subject(given.row_size).run, Settings(http=HttpSettings(port=0)), what, given.data_dir)


if __name__ == "__main__":
    main()
