"""The command line ``wadm``: one file per command."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from keyword import iskeyword

import wadm
from wadm.mistakes import Mistake

#: Commands, each a module of this package. Only the one that is called is imported: a query needs no server.
COMMANDS = (
    "demo",
    "run",
    "replay",
    "query",
    "drill",
    "record",
    "symbols",
    "storage",
    "export",
    "import",
    "keys",
    "audit",
    "mcp",
)


def parser(commands: Sequence[str] = COMMANDS) -> argparse.ArgumentParser:
    """Return a parser of these commands."""
    top = argparse.ArgumentParser(
        prog="wadm", description="Exact volume profiles and order flow from live crypto trades."
    )
    top.add_argument("--version", action="version", version=f"wadm {wadm.__version__}")
    below = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in commands:
        # A module cannot be called `import`.
        import_module(f"actors.cli.{command}{'_' * iskeyword(command)}").add_to(below)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status: 0 done, 1 failed, 2 wrong use, 130 interrupted."""
    given = sys.argv[1:] if arguments is None else arguments
    chosen = parser(given[:1] if given and given[0] in COMMANDS else COMMANDS).parse_args(given)
    try:
        status: int = chosen.run(chosen)
    except Mistake as mistake:
        print(f"wadm {chosen.command}: {mistake}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read the output has had enough of it; nothing more is to be written at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status
