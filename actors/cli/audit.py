"""``wadm audit``: what was done with keys and symbols, who was refused, and whether the log is whole."""

import argparse
from pathlib import Path

import attrs
import msgspec

from actors.access.register import FILE_NAME, Line, Register
from actors.cli.where import RangeError, add_place, storage_of
from actors.storage.errors import StorageError
from wadm.instants import iso, parse_instant


def add_to(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    add_place(parser)
    parser.add_argument("--since", metavar="TIME", help="from when, ISO 8601")
    parser.add_argument("--action", help="only this action, such as key_created or request (refused ones)")
    parser.add_argument("--who", help="only this one, such as 'key a1b2c3d4' or an address")
    parser.add_argument("--after", type=int, default=0, metavar="N", help="only lines past this one")
    parser.add_argument("--limit", type=int, default=100, metavar="N", help="lines at most (default: 100)")
    parser.add_argument(
        "--verify", action="store_true", help="check every line of the log; 1 if it was changed"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print lines, or check them all."""
    directory = Path(storage_of(arguments).data_dir)
    if not (directory / FILE_NAME).is_file():
        raise StorageError(f"{directory} has no {FILE_NAME}: no daemon has run there, and no key was made")
    register = Register(directory)
    try:
        if arguments.verify:
            return _verify(register)
        lines = register.lines(
            since=_since(arguments.since), action=arguments.action, who=arguments.who,
            after=arguments.after, limit=arguments.limit,
        )  # fmt: skip
    finally:
        register.close()
    for line in lines:
        print(_written(line, as_json=arguments.json))
    return 0


def _verify(register: Register) -> int:
    changed = register.verify()
    if changed is None:
        print("The audit log is whole.")
        return 0
    print(f"Line {changed} of the audit log was changed, or a line before it is missing.")
    return 1


def _written(line: Line, *, as_json: bool) -> str:
    if as_json:
        return msgspec.json.encode({**attrs.asdict(line), "at": iso(line.at)}).decode()
    what = f"{line.action} {line.target} {line.outcome} {line.detail}"
    return f"{line.id:6} {iso(line.at)} {line.who:18} {what}".rstrip()


def _since(text: str | None) -> int:
    try:
        return 0 if text is None else parse_instant(text)
    except ValueError as error:
        raise RangeError(f"--since is {text!r}; expected an ISO 8601 time") from error
