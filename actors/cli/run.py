"""``wadm run``: the daemon on live exchanges."""

import argparse
import os
from pathlib import Path

import structlog
import trio

from actors import garbage, logs, plan, signals
from actors.background import background
from actors.configuration import load_listing, load_settings
from actors.daemon import Daemon, open_daemon
from actors.following import followed
from supervision import Event, Happening
from supervision.status import log_event
from wadm.redaction import secrets_of
from wadm.settings import Raw, SettingsError

log = structlog.get_logger("run")


def add_to(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
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
    logs.configure(settings.log, secrets_of(settings))
    directory = Path(settings.storage.data_dir)
    what = plan.live(settings, load_listing(arguments.config), followed.load(directory))

    async def follow() -> None:
        async with (
            open_daemon(settings, what, directory, listener=_listen) as daemon,
            background() as nursery,
        ):

            async def reload() -> None:
                await _reload(daemon, arguments.config, given)

            await nursery.start(signals.watch, daemon.stop)
            await nursery.start(signals.watch_reload, reload)
            await nursery.start(daemon.run)
            garbage.settle()
            await daemon.ended.wait()

    trio.run(follow, strict_exception_groups=True)
    return 0


async def _reload(daemon: Daemon, config: Path | None, flags: Raw) -> None:
    """Take over the symbols and streams of the settings as they are now; refuse those that cannot be used."""
    try:
        settings = await trio.to_thread.run_sync(load_settings, config, flags)
    except SettingsError as error:
        # A mistake in a file needs no traceback.
        log.error("settings_refused", problems=error.problems, kept="those of before")  # noqa: TRY400
        return
    waits = daemon.configure(settings)
    log.info("settings_taken_over", exchanges=list(settings.exchanges))
    if waits:
        log.warning("settings_wait_for_a_restart", keys=waits)


def _listen(event: Event) -> None:
    """Log what happens in the supervision tree. A task that cannot be ended must not keep the process."""
    log_event(event)
    if event.what is Happening.STUCK and "/" not in event.path:
        os._exit(1)
