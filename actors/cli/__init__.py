"""The command line ``wadm``: one file per command."""

import argparse
import sys
from collections.abc import Sequence

import wadm
from actors.cli import demo, query, replay, run
from actors.front.server import BindError
from actors.playback.capture import CaptureError
from actors.playback.process import LocalExchangeError
from actors.storage.errors import StorageError
from supervision import Escalation
from wadm.questions import QuestionError
from wadm.settings import SettingsError

#: What the user can mend: told in a sentence, without a traceback.
_MISTAKES = (
    BindError, CaptureError, LocalExchangeError, StorageError, QuestionError, SettingsError, Escalation,
)  # fmt: skip


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    top = argparse.ArgumentParser(
        prog="wadm", description="Exact volume profiles and order flow from live crypto trades."
    )
    top.add_argument("--version", action="version", version=f"wadm {wadm.__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (demo, run, replay, query):
        command.add_to(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status: 0 done, 1 failed, 2 wrong use."""
    chosen = parser().parse_args(arguments)
    try:
        status: int = chosen.run(chosen)
    except _MISTAKES as error:
        print(f"wadm {chosen.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return status
