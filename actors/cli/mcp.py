"""``wadm mcp``: the running daemon's agents' door on standard input and output."""

import argparse
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

import trio

from actors.bridge.bridge import Bridge
from actors.bridge.lines import write_line
from actors.cli.symbols import DEFAULT_URL, key_headers
from wadm.mistakes import Mistake

#: Where the daemon serves agents.
PATH = "/mcp"


class BridgeError(Mistake):
    """A bridge that cannot be built; one sentence."""


def add_to(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.description = (
        "Serve agents on standard input and output, from the running daemon; the key is that of API_KEY."
    )
    parser.add_argument(
        "--url", default=DEFAULT_URL, help=f"where the daemon serves (default: {DEFAULT_URL})"
    )
    parser.add_argument("--key-file", type=Path, metavar="FILE", help="a file that holds the key")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry messages both ways until standard input ends."""
    if urlsplit(arguments.url).scheme not in ("http", "https"):
        raise BridgeError(f"--url is {arguments.url!r}; expected an address such as {DEFAULT_URL}")
    bridge = Bridge(arguments.url.rstrip("/") + PATH, _key(arguments.key_file), write_line, _say)
    trio.run(bridge.run, sys.stdin.fileno(), strict_exception_groups=True)
    return 0


def _key(file: Path | None) -> dict[str, str]:
    if file is None:
        return key_headers()
    try:
        key = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise BridgeError(f"--key-file {file} cannot be read ({error})") from None
    if not key.isascii() or not key.isprintable() or not key:
        raise BridgeError(f"--key-file {file} holds no key; expected one line that `wadm keys create` showed")
    return {"X-API-Key": key}


def _say(sentence: str) -> None:
    os.write(sys.stderr.fileno(), f"wadm mcp: {sentence}\n".encode())
