"""The command line ``wadm``: one file per command."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from keyword import iskeyword

import wadm
from actors import garbage
from wadm.mistakes import Mistake

#: Commands, each a module of this package, and what they do.
COMMANDS = {
    "demo": "play a bundled recording through the whole daemon",
    "run": "follow the exchanges of config/wadm.yaml until stopped",
    "replay": "drive the whole daemon with a recorded capture, then exit",
    "query": "ask a data directory or a running daemon about the market",
    "drill": "prove recovery: play a recording with faults and clean, and compare them",
    "record": "write what exchanges send as captures, until stopped",
    "symbols": "list, add and remove symbols of the running daemon",
    "storage": "look after what is stored: status, verify, backup and more",
    "export": "write what is stored to Parquet or CSV files",
    "import": "take files of `wadm export` into a data directory",
    "keys": "create, list, rotate and revoke API keys",
    "audit": "show the audit log, and check that it is whole",
    "mcp": "serve agents on standard input and output, from the running daemon",
}


def parser(called: str | None = None) -> argparse.ArgumentParser:
    """Return a parser that knows all commands by name, and the flags of the one that is called."""
    top = argparse.ArgumentParser(
        prog="wadm", description="Exact volume profiles and order flow from live crypto trades."
    )
    top.add_argument("--version", action="version", version=f"wadm {wadm.__version__}")
    below = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command, does in COMMANDS.items():
        declared = below.add_parser(command, help=does)
        if command == called:
            # No other is imported: a query needs no server. A module cannot be called `import`.
            import_module(f"actors.cli.{command}{'_' * iskeyword(command)}").add_to(declared)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status: 0 done, 1 failed, 2 wrong use, 130 interrupted."""
    given = sys.argv[1:] if arguments is None else arguments
    with garbage.put_off():
        known = parser(given[0] if given else None)
    chosen = known.parse_args(given)
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
