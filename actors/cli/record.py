"""``wadm record``: what exchanges send, written as captures until stopped."""

import argparse
import logging
import math
import os
import sys
import time
from functools import partial
from pathlib import Path

import attrs
import trio

from actors import logs, plan, signals
from actors.background import background
from actors.configuration import load_listing, load_settings
from actors.connections.link import Connect
from actors.connections.proxy import Proxy
from actors.connections.websocket import open_websocket
from actors.plan import Plan
from actors.recording.capture_files import RecordingError
from actors.recording.recording import Recording, Rotation, total
from actors.rest import open_rest
from wadm.exchanges import registry
from wadm.mistakes import Mistake
from wadm.redaction import secrets_of
from wadm.settings import Settings

_MEGABYTE = 1_000_000
_PENDING_LIMIT = 256 * 1024


class RecordError(Mistake):
    """Arguments that do not go together."""


def add_to(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the files go")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings (default: config/wadm.yaml)")
    parser.add_argument(
        "--exchange", choices=sorted(registry.EXCHANGES), metavar="NAME", help="this one only"
    )
    parser.add_argument("--symbols", type=_names, metavar="A,B", help="instead of those in the settings")
    parser.add_argument(
        "--streams",
        type=_names,
        metavar="A,B",
        help="channels (trades,book,quotes,…) or {symbol}@depth@500ms",
    )
    parser.add_argument("--url", help="another address than the exchange's, such as ws://127.0.0.1:9000")
    parser.add_argument("--rotate-minutes", type=_positive, default=60.0, metavar="N", help="default: 60")
    parser.add_argument(
        "--rotate-mb", type=_positive, default=256.0, metavar="N", help="compressed; default: 256"
    )
    parser.add_argument("--duration", type=_positive, metavar="S", help="end after so many seconds")
    parser.add_argument("--no-snapshots", action="store_true", help="do not ask for whole order books")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Record until interrupted; 1 where the disk is full."""
    settings = _settings(arguments)
    _refuse_patterns(settings)
    what = plan.live(settings, load_listing(arguments.config))
    if not what.connections:
        raise RecordError(
            "there is nothing to record: name --exchange and --symbols, or symbols in the settings"
        )
    _prepare(arguments.out)
    logs.configure(settings.log, secrets_of(settings))
    logging.getLogger("supervision").setLevel(logging.WARNING)
    rotation = Rotation(arguments.rotate_minutes * 60, int(arguments.rotate_mb * _MEGABYTE))
    return trio.run(_record, arguments, settings, what, rotation, strict_exception_groups=True)


def _settings(arguments: argparse.Namespace) -> Settings:
    """Return the settings, with the one exchange that the flags name instead of all."""
    name = arguments.exchange
    if name is None:
        for flag in ("symbols", "streams", "url"):
            if getattr(arguments, flag) is not None:
                raise RecordError(f"--{flag} is for one exchange: name it with --exchange")
        return load_settings(arguments.config, {})
    given = {"symbols": arguments.symbols, "streams": arguments.streams, "url": arguments.url}
    if arguments.url is None and name not in load_settings(arguments.config, {}).exchanges:
        given["url"] = registry.find(name).websocket_url
    if arguments.url is not None and _is_local(arguments.url):
        given["rest_url"] = "http" + arguments.url.removeprefix("ws")
    chosen = {key: value for key, value in given.items() if value is not None}
    settings = load_settings(arguments.config, {"exchanges": {name: chosen}})
    return attrs.evolve(settings, exchanges={name: settings.exchanges[name]})


def _refuse_patterns(settings: Settings) -> None:
    for name, exchange in settings.exchanges.items():
        for pattern in exchange.patterns:
            raise RecordError(
                f"exchanges.{name}.symbols has {pattern!r}; expected names here, such as BTCUSDT: "
                "what a file holds must not change with an exchange's list"
            )


def _is_local(url: str) -> bool:
    """Say whether this is the address of a local exchange, which answers REST on the same port."""
    return url.startswith("ws://")


def _prepare(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordError(f"{directory}: cannot be made: {error.strerror}; name another --out") from None
    if not os.access(directory, os.W_OK | os.X_OK):
        raise RecordError(f"{directory}: cannot be written to; name another --out")


async def _record(arguments: argparse.Namespace, settings: Settings, what: Plan, rotation: Rotation) -> int:
    local = arguments.url is not None and _is_local(arguments.url)
    began = time.monotonic()
    async with open_rest(what.rest, playback=local, proxy=settings.network.proxy) as rest:
        asked = None if arguments.no_snapshots else rest
        recording = Recording(
            what.connections, arguments.out, rotation, rest=asked, connect=_connect(settings)
        )
        print(f"recording {_counted(recording)} into {arguments.out}; Ctrl-C ends it", flush=True)
        try:
            async with background() as nursery:
                await nursery.start(signals.watch, recording.stop)
                nursery.start_soon(_end, recording, arguments.duration)
                await recording.run()
        except RecordingError as error:
            print(f"wadm record: {error}", file=sys.stderr)
    _summarise(recording, time.monotonic() - began)
    return 0 if recording.failure is None else 1


def _connect(settings: Settings) -> Connect:
    """Return how connections are opened. What waits in one is bounded, as the disk may be slow."""
    proxy = settings.network.proxy
    through = None if proxy is None else Proxy.of(proxy)
    return partial(open_websocket, proxy=through, pending_limit=_PENDING_LIMIT)


async def _end(recording: Recording, duration: float | None) -> None:
    """End after the time given, or once a local exchange has nothing left."""
    with trio.move_on_after(math.inf if duration is None else duration):
        await recording.played()
    recording.stop()


def _counted(recording: Recording) -> str:
    streams = sum(len(tape.planned.streams) for tape in recording.tapes)
    return f"{streams} streams over {len(recording.tapes)} connections"


def _summarise(recording: Recording, seconds: float) -> None:
    figures = {**total(recording.tapes), "seconds": f"{seconds:.1f}"}
    print("  ".join(f"{name} {figure}" for name, figure in figures.items()))
    for tape in recording.tapes:
        for file in tape.files.finished:
            print(f"  {file}")
        for stream, reason in tape.memory.refused.items():
            print(f"  {tape.planned.exchange} refused {stream}: {reason}")
        if tape.silent:
            print(f"  nothing came on {', '.join(tape.silent)}")


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list such as A,B")
    return names


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number
