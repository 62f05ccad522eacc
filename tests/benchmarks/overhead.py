"""What supervision costs: the same actors supervised and in a plain nursery (``just overhead``).

A round plays one capture through the local exchange (a process of its own), over a real WebSocket on
loopback, into a fresh daemon: its own actors, with the journal and the warm store on disk. Its clock runs
from the first frame received until every trade is applied, journalled and in the warm store. At full speed
a message carries many trades; at a pace, nearly one.

- ``supervised``: the daemon as it is: the tree of supervisors, and mailboxes that keep a message until it is
  acknowledged.
- ``plain``: the actors of that same tree, started one by one in one trio nursery, with trio's memory channels
  of the same capacities for mailboxes. Nothing watches them, nothing is acknowledged or handed out again,
  and a crash would end the round. The channels note how many messages were handed out last: the end of the
  round could not be seen otherwise.

Everything else is the same, batch numbers and what outlives a crash among it: it is how the actors are
written, and the plain nursery pays for it too. Each round is a process of its own; the two kinds take turns,
and which comes first in a pair alternates. CPU time is the whole daemon's, all its threads, and steadier than
time by the clock where cores are shared. An overhead is that of one pair; below zero is noise. Of its median
the 95 % interval is given (of the order statistics, without an assumption about the noise).

The last figure is one message from a task to another, through a mailbox with its acknowledgement and through
a memory channel: times the messages per trade, it is what mailboxes cost, far below the noise of the rest.
"""

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import rounds
import trio

from actors import logs, plan
from actors.cli.playing import speed  # imports the front as well, a second's work: not in the round
from actors.configuration import load_listing
from actors.daemon import Daemon, open_daemon
from actors.playback.captures import bundled
from actors.playback.process import local_exchange
from actors.runtime import Parts, Runtime
from supervision import ChildSpec, Context, Mailbox, MailboxFull, Overflow, Supervisor
from wadm.sections import HttpSettings, LogSettings
from wadm.settings import Settings

KINDS = ("supervised", "plain")

#: Messages of one micro round, and how many may wait.
MESSAGES, CAPACITY = 50_000, 256


class Channel:
    """As much of a mailbox as the route of a trade needs, on a trio memory channel; a full one blocks."""

    def __init__(
        self,
        name: str,
        capacity: int,
        overflow: Overflow = Overflow.BLOCK,
        deadline: float | None = None,
    ) -> None:
        if overflow is not Overflow.BLOCK:
            raise ValueError(f"channel {name!r} only blocks, it cannot {overflow}")
        self.name = name
        self.deadline = deadline
        self.closed = False
        self._sender, self._receiver = trio.open_memory_channel[Any](capacity)
        self._in_hand = 0
        self.put = self._sender.send

    def put_nowait(self, message: Any) -> None:
        try:
            self._sender.send_nowait(message)
        except trio.WouldBlock:
            raise MailboxFull(self.name) from None

    def __aiter__(self) -> "trio.MemoryReceiveChannel[Any]":
        return self._receiver

    async def receive_run(self, limit: int) -> list[Any]:
        run = [await self._receiver.receive()]
        try:
            while len(run) < limit:
                run.append(self._receiver.receive_nowait())
        except trio.WouldBlock:
            pass
        self._in_hand = len(run)
        return run

    def ack(self) -> None:
        self._in_hand = 0

    def pending(self) -> Sequence[object]:
        return range(self._in_hand + self._sender.statistics().current_buffer_used)

    def statistics(self) -> "Channel":
        return self

    @property
    def depth(self) -> int:
        return self._sender.statistics().current_buffer_used


def main() -> int:
    """Measure, or play one round for the process that measures."""
    arguments = _parser().parse_args()
    captures = rounds.captures(arguments.captures, bundled())
    if arguments.round:
        print(json.dumps(trio.run(_round, *captures[0], arguments.speed, arguments.kind)))
        return 0
    print(rounds.machine())
    for exchange, path in captures:
        capture = (f"{exchange}={path}", "--speed", arguments.speed)
        pairs = [_pair(capture, turn) for turn in range(arguments.rounds)]
        _report(path.name, pairs)
    _report_message([_micro_pair(turn) for turn in range(arguments.rounds)])
    return 0


def measure(times: int) -> dict[str, tuple[str, list[float], bool]]:
    """Return figures of the bundled recording: name -> unit, a value per pair, whether lower is better."""
    capture = (f"binance={bundled()}", "--speed", "max")
    pairs = [_pair(capture, turn) for turn in range(times)]
    hops = [_micro_pair(turn) for turn in range(times)]
    found: dict[str, tuple[str, list[float], bool]] = {}
    for kind in KINDS:
        of = [pair[kind] for pair in pairs]
        found[kind] = "trades/s", [one["trades"] / one["seconds"] for one in of], False
        found[f"{kind}: CPU"] = "CPU µs/trade", [1e6 * one["cpu"] / one["trades"] for one in of], True
    more = [100 * (pair["supervised"]["cpu"] / pair["plain"]["cpu"] - 1) for pair in pairs]
    found["overhead in CPU time"] = "%", more, True
    return found | {f"a message, {name}": ("CPU µs", [hop[name] for hop in hops], True) for name in hops[0]}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="overhead", description="Measure what supervision costs.")
    parser.add_argument("captures", nargs="*", metavar="EXCHANGE=CAPTURE", help="default: the bundled one")
    parser.add_argument(
        "--rounds", type=rounds.count, default=15, metavar="N", help="rounds of each kind (default: 15)"
    )
    parser.add_argument(
        "--speed", default="max", type=speed, help="'max' (default), or times the recorded pace"
    )
    parser.add_argument("--round", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--kind", choices=KINDS, help=argparse.SUPPRESS)
    return parser


# --- the route of a trade ---


async def _round(exchange: str, capture: Path, pace: str, kind: str) -> dict[str, Any]:
    logs.configure(LogSettings(level="warning"))
    with tempfile.TemporaryDirectory(prefix="wadm-bench-") as directory:
        async with local_exchange([capture], exchange=exchange, speed=pace) as server:
            what = plan.recorded(exchange, server.url, server.rest_url, server.streams, load_listing())
            running = _supervised if kind == "supervised" else _plain
            async with running(Settings(http=HttpSettings(port=0)), what, Path(directory)) as runtime:
                cpu = time.process_time()
                await runtime.complete()
                ended, cpu = time.perf_counter(), time.process_time() - cpu
                began = min(one.first_frame_clock or ended for one in runtime.connections.values())
                return {
                    "trades": runtime.ledger.total().applied,
                    "seconds": ended - began,
                    "cpu": cpu,
                    "messages": _messages(runtime),
                    "whole": runtime.statement()["balanced"],
                }


def _messages(runtime: Runtime) -> int:
    """Return how many messages the mailboxes have taken; 0 for channels, which do not count."""
    boxes = [runtime.writer_mailbox, *runtime.aggregators.values(), *runtime.book_mailboxes.values()]
    return sum(box.statistics().put for box in boxes if isinstance(box, Mailbox))


@asynccontextmanager
async def _supervised(settings: Settings, what: plan.Plan, directory: Path) -> AsyncIterator[Runtime]:
    async with open_daemon(settings, what, directory) as daemon, trio.open_nursery() as nursery:
        await nursery.start(daemon.run)
        yield daemon.runtime
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def _plain(settings: Settings, what: plan.Plan, directory: Path) -> AsyncIterator[Runtime]:
    parts = Parts(mailbox=Channel)
    async with open_daemon(settings, what, directory, parts=parts) as daemon, trio.open_nursery() as nursery:
        for spec in _specs(daemon):
            await nursery.start(_start, spec)
        yield daemon.runtime
        nursery.cancel_scope.cancel()


def _specs(daemon: Daemon) -> Iterator[ChildSpec]:
    """Yield the actors of the daemon's tree, in the order of their start."""

    def below(supervisor: Supervisor) -> Iterator[ChildSpec]:
        for child in supervisor._crew.children:
            nested = supervisor._nested.get(child.name)
            yield from [child.spec] if nested is None else below(nested)

    return below(daemon.root)


async def _start(spec: ChildSpec, *, task_status: trio.TaskStatus[None]) -> None:
    started = trio.Event()

    def announce(_: Context) -> None:
        if not started.is_set():
            started.set()
            task_status.started()

    await spec.start(Context(spec.name, 1, spec.mailbox, on_started=announce))


def _pair(capture: Sequence[str], turn: int) -> dict[str, dict[str, Any]]:
    kinds = KINDS if turn % 2 else KINDS[::-1]
    return {kind: rounds.in_child(__file__, "--kind", kind, *capture) for kind in kinds}


def _report(name: str, pairs: Sequence[dict[str, dict[str, Any]]]) -> None:
    trades = pairs[0]["plain"]["trades"]
    print(f"\n{name}: {trades} trades, {len(pairs)} rounds of each kind")
    print(rounds.heading())
    figures: dict[str, Callable[[dict[str, Any]], float]] = {
        "trades/s": lambda result: trades / result["seconds"],
        "CPU µs/trade": lambda result: 1e6 * result["cpu"] / trades,
    }
    for title, figure in figures.items():
        for kind in KINDS:
            values = [figure(pair[kind]) for pair in pairs]
            print(rounds.line(f"{title}, {kind}", values, 2 if "µs" in title else 0))
    messages = [pair["supervised"]["messages"] / trades for pair in pairs]
    print(rounds.line("messages per trade", messages, 3))
    print(f"  {'overhead, %':26}{'median':>10}{'95 % from':>10}{'to':>10}")
    for title, key in (("by the clock", "seconds"), ("in CPU time", "cpu")):
        ratios = sorted(100 * (pair["supervised"][key] / pair["plain"][key] - 1) for pair in pairs)
        off = math.ceil(0.98 * math.sqrt(len(ratios)))
        middle = len(ratios) // 2
        low, high = ratios[max(0, middle - off)], ratios[min(len(ratios) - 1, middle + off)]
        print(f"  {title:26}{statistics.median(ratios):>10.1f}{low:>10.1f}{high:>10.1f}")


# --- one message ---


def _micro_pair(turn: int) -> dict[str, float]:
    hops = {"mailbox": _through_mailbox, "memory channel": _through_channel}
    order = list(hops) if turn % 2 else list(hops)[::-1]
    return {name: 1e6 * trio.run(hops[name]) / MESSAGES for name in order}


async def _through_mailbox() -> float:
    mailbox = Mailbox("messages", CAPACITY)

    async def send() -> None:
        for number in range(MESSAGES):
            await mailbox.put(number)
        mailbox.close()

    async def receive() -> None:
        async for _ in mailbox:
            pass

    return await _timed(send, receive)


async def _through_channel() -> float:
    sender, receiver = trio.open_memory_channel[int](CAPACITY)

    async def send() -> None:
        async with sender:
            for number in range(MESSAGES):
                await sender.send(number)

    async def receive() -> None:
        async for _ in receiver:
            pass

    return await _timed(send, receive)


async def _timed(*tasks: Callable[[], Any]) -> float:
    """Return the CPU seconds that the tasks take together."""
    began = time.process_time()
    async with trio.open_nursery() as nursery:
        for task in tasks:
            nursery.start_soon(task)
    return time.process_time() - began


def _report_message(pairs: Sequence[dict[str, float]]) -> None:
    print(f"\none message from task to task, CPU µs: {len(pairs)} rounds of {MESSAGES:,} messages")
    print(rounds.heading())
    for name in pairs[0]:
        print(rounds.line(name, [pair[name] for pair in pairs], 2))


if __name__ == "__main__":
    sys.exit(main())
