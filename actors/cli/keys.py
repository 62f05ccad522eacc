"""``wadm keys``: the API keys of a data directory, whether or not a daemon runs on it."""

import argparse
from pathlib import Path
from typing import Any

import msgspec

from actors.access.keyring import put_secret, wall_clock
from actors.access.register import KeyMistake, Register
from actors.cli.where import add_place, settings_of
from wadm.instants import iso
from wadm.keys import Key, Permission, written
from wadm.mistakes import Mistake

#: Who made a change that was made here, in the audit log.
BY = "command line"


def add_to(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    below = parser.add_subparsers(dest="what", required=True, metavar="create|list|rotate|revoke")
    create = below.add_parser("create", help="make a key; its secret is shown once, or put into --file")
    create.add_argument("name", help="what it is called, such as my-agent")
    create.add_argument(
        "--permission", choices=[str(one) for one in Permission], default="read", help="(default: read)"
    )
    create.add_argument("--never-renewed", action="store_true", help="it works until it is revoked")
    create.add_argument(
        "--file", type=Path, help="put the key there, and its successors when the daemon renews it"
    )
    create.set_defaults(run=_create)
    listing = below.add_parser("list", help="show the keys, without their secrets")
    listing.set_defaults(run=_list)
    rotate = below.add_parser("rotate", help="make a key's successor; both work for 7 days")
    rotate.set_defaults(run=_rotate)
    revoke = below.add_parser("revoke", help="end a key at once")
    revoke.set_defaults(run=_revoke)
    for one in (rotate, revoke):
        one.add_argument("name", help="the key's name or id")
    for one in (create, listing, rotate, revoke):
        add_place(one)
        one.add_argument("--json", action="store_true", help="print one JSON object")


def _create(arguments: argparse.Namespace) -> int:
    """Make a key."""
    register, days = _open(arguments)
    path = None if arguments.file is None else arguments.file.absolute()
    if path is not None and not path.parent.is_dir():
        raise KeyMistake(f"--file is {str(path)!r}; expected a file in a directory that is there")
    try:
        key, secret = register.create(
            arguments.name,
            Permission(arguments.permission),
            by=BY,
            now=wall_clock(),
            days=None if arguments.never_renewed else days,
            file=None if path is None else str(path),
        )
    finally:
        register.close()
    return _hand_over(arguments, key, secret)


def _rotate(arguments: argparse.Namespace) -> int:
    """Make a key's successor."""
    register, days = _open(arguments)
    try:
        key, secret = register.rotate(arguments.name, by=BY, now=wall_clock(), days=days)
    finally:
        register.close()
    return _hand_over(arguments, key, secret)


def _revoke(arguments: argparse.Namespace) -> int:
    """End a key."""
    register, _ = _open(arguments)
    try:
        ended = register.revoke(arguments.name, by=BY, now=wall_clock())
    finally:
        register.close()
    if arguments.json:
        _print({"keys": [_shown(key) for key in ended]})
    else:
        print(*(f"{key.id} ({key.name}) is revoked" for key in ended), sep="\n")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    """Show the keys."""
    register, _ = _open(arguments)
    try:
        keys = register.all_keys()
    finally:
        register.close()
    if arguments.json:
        _print({"keys": [_shown(key) for key in keys]})
        return 0
    now = wall_clock()
    for key in keys:
        until = "" if key.expires_at is None else f"until {iso(key.expires_at)}"
        print(f"{key.id}  {key.name:24} {key.permission:6} {key.state(now):8} {until}".rstrip())
    if not keys:
        print("There is no key: make one with `wadm keys create NAME`.")
    return 0


def _hand_over(arguments: argparse.Namespace, key: Key, secret: str) -> int:
    text = written(key.id, secret)
    if key.file is not None:
        try:
            put_secret(Path(key.file), text)
        except OSError as error:
            raise Mistake(
                f"the key was made but {key.file} cannot be written ({error.strerror}): revoke {key.id}"
            ) from error
    if arguments.json:
        _print(_shown(key) | ({} if key.file else {"key": text}))
        return 0
    print(f"put into {key.file}" if key.file else text)
    if key.expires_at is not None:
        renewed = "the daemon renews it there" if key.file else "renew it with `wadm keys rotate`"
        print(f"It works until {iso(key.expires_at)}; {renewed}.")
    return 0


def _open(arguments: argparse.Namespace) -> tuple[Register, int]:
    """Return the register of the data directory that is meant, and after how many days keys are renewed."""
    settings = settings_of(arguments)
    directory = Path(settings.storage.data_dir)
    directory.mkdir(parents=True, exist_ok=True)
    return Register(directory), settings.access.key_days


def _shown(key: Key) -> dict[str, Any]:
    now = wall_clock()
    return {
        "id": key.id,
        "name": key.name,
        "permission": str(key.permission),
        "state": str(key.state(now)),
        "created_at": iso(key.created_at),
        "expires_at": None if key.expires_at is None else iso(key.expires_at),
    }


def _print(answer: dict[str, Any]) -> None:
    print(msgspec.json.encode(answer).decode())
