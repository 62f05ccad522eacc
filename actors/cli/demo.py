"""``wadm demo``: the whole daemon on a bundled recording, with live progress."""

import argparse
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import trio
from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table

from actors import logs
from actors.background import background
from actors.cli.playing import Playing, playing, speed
from actors.front.server import BindError, listen
from actors.playback.captures import bundled
from wadm.sections import HttpSettings, LogSettings

EXCHANGE = "binance"

#: Seconds between two looks.
_REFRESH = 0.5

#: Column -> the field of a symbol's status.
_FIELDS = {
    "symbol": "symbol",
    "trades": "trades",
    "trades/s": "trades_per_second",
    "delta": "delta",
    "POC": "poc",
    "VAH": "vah",
    "VAL": "val",
}


def add_to(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.add_argument(
        "--speed", default="1", type=speed, help="'max', or how many times the recorded pace (default: 1)"
    )
    parser.add_argument("--port", type=int, help="port of the status page (default: 8920, or any free one)")
    parser.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="keep the data in DIR, which must be empty"
    )
    parser.add_argument("--exit", action="store_true", help="end when the recording does")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Play until Ctrl-C, or with ``--exit`` to the recording's end."""
    logs.configure(LogSettings(level="warning"))
    trio.run(_demo, arguments, strict_exception_groups=True)
    return 0


async def _demo(arguments: argparse.Namespace) -> None:
    console = Console()
    port = arguments.port if arguments.port is not None else await _free_port()
    with trio.CancelScope() as starting:
        async with playing(
            [bundled()], EXCHANGE, arguments.speed, starting, data_dir=arguments.data_dir, port=port
        ) as played:
            await _watch(played, console, arguments)


async def _watch(played: Playing, console: Console, arguments: argparse.Namespace) -> None:
    url = played.runtime.url
    console.print("WADM demo: trades of six minutes of 2024-08-08, recorded from Binance spot")
    console.print(f"status page  {url}\nMCP          {url}/mcp\nCtrl-C ends it\n", highlight=False)
    if console.is_terminal:
        with Live(Table(), console=console, auto_refresh=False) as live:
            await _show(played, partial(live.update, refresh=True), _REFRESH, exit_at_end=arguments.exit)
    else:
        await _show(played, console.print, 10 * _REFRESH, exit_at_end=arguments.exit)


async def _free_port() -> int:
    """Return the usual port, or 0 (any) where something else listens on it."""
    usual = HttpSettings()
    try:
        (await listen(usual.host, usual.port)).close()
    except BindError:
        return 0
    return usual.port


async def _show(played: Playing, draw: Callable[[Table], None], every: float, *, exit_at_end: bool) -> None:
    """Draw progress until interrupted, or until the recording is complete where that is the end."""
    over, complete = trio.Event(), trio.Event()

    async def follow() -> None:
        if await played.complete():
            complete.set()
        if exit_at_end or played.interrupted.is_set():
            over.set()
        await played.interrupted.wait()
        over.set()

    async with background() as nursery:
        nursery.start_soon(follow)
        while not over.is_set():
            draw(_table(await played.daemon.queries.status(), complete=complete.is_set()))
            with trio.move_on_after(every):
                await over.wait()
    if not played.interrupted.is_set():
        draw(_table(await played.daemon.queries.status(fresh=True), complete=True))


def _table(status: Mapping[str, Any], *, complete: bool) -> Table:
    ledger = status["ledger"]
    balance = "balanced" if ledger["balanced"] else "NOT BALANCED"
    phase = "complete" if complete else f"{status['trades_per_second']} trades/s"
    table = Table(
        box=box.SIMPLE,
        title=f"{status['market_time'] or 'waiting for the first trade'}   {phase}",
        caption=f"ledger: {ledger['received']} received, {ledger['applied']} applied, {balance}",
    )
    for name in _FIELDS:
        table.add_column(name, justify="left" if name == "symbol" else "right")
    for one in status["symbols"]:
        table.add_row(*(str(one.get(field) or "-") for field in _FIELDS.values()))
    return table
