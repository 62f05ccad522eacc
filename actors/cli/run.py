"""``wadm run``: the daemon on live exchanges."""

import argparse
import os
from pathlib import Path
from typing import Any

import trio

from actors import garbage, logs, plan, signals
from actors.background import background
from actors.configuration import load_listing, load_settings
from actors.daemon import open_daemon
from supervision import Event, Happening
from supervision.status import log_event


def add_to(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser("run", help="follow the exchanges of config/wadm.yaml until stopped")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings (default: config/wadm.yaml)")
    parser.add_argument("--data-dir", metavar="DIR", help="where data is kept")
    parser.add_argument("--host", help="address to serve on")
    parser.add_argument("--port", metavar="N", help="port to serve on (0: any free one)")
    parser.add_argument("--log-level", help="debug, info, warning or error")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run until SIGINT or SIGTERM."""
    flags = {
        "http": {"host": arguments.host, "port": arguments.port},
        "storage": {"data_dir": arguments.data_dir},
        "log": {"level": arguments.log_level},
    }
    given = {
        section: {key: value for key, value in values.items() if value is not None}
        for section, values in flags.items()
    }
    settings = load_settings(arguments.config, given)
    logs.configure(settings.log)
    what = plan.live(settings, load_listing(arguments.config))

    async def follow() -> None:
        directory = Path(settings.storage.data_dir)
        async with (
            open_daemon(settings, what, directory, listener=_listen) as daemon,
            background() as nursery,
        ):
            await nursery.start(signals.watch, daemon.stop)
            await nursery.start(daemon.run)
            garbage.settle()
            await daemon.ended.wait()

    trio.run(follow, strict_exception_groups=True)
    return 0


def _listen(event: Event) -> None:
    """Log what happens in the supervision tree. A task that cannot be ended must not keep the process."""
    log_event(event)
    if event.what is Happening.STUCK and "/" not in event.path:
        os._exit(1)
