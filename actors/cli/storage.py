"""``wadm storage``: what the tiers hold, whether it is sound, and how it is made, migrated and backed up."""

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import attrs
import msgspec

from actors.cli.part import add_selection, open_reader, selection_of
from actors.cli.where import add_place, storage_of
from actors.storage.backup import back_up
from actors.storage.journal import Journal, wall_clock
from actors.storage.journal_view import FILE_NAME, JournalView
from actors.storage.lock import DirectoryLock
from actors.storage.opening import open_targets
from actors.storage.status import Look, Report
from actors.storage.store import named
from actors.storage.verdict import Verdict
from actors.storage.verify import Verification
from wadm.lifetimes import Lifetimes
from wadm.market import MINUTE
from wadm.sections import StorageSettings


def add_to(parser: argparse.ArgumentParser) -> None:
    """Declare the command and what it can do."""
    below = parser.add_subparsers(dest="what", required=True, metavar="status|init|migrate|verify|backup")
    _add(
        below,
        "status",
        _status,
        "show what every tier holds and how far it is; exit status 1 where something is wrong",
    ).add_argument("--json", action="store_true", help="print one JSON object")
    _add(below, "init", _init, "make files, collections, tables and indexes now, as the next start would")
    _add(below, "migrate", _migrate, "bring the store of an older version up to this one")
    verify = _add(
        below,
        "verify",
        _verify,
        "count bars again from raw trades and compare all that is stored; exit status 1 where it differs",
    )
    add_selection(verify)
    verify.add_argument("--json", action="store_true", help="print one JSON object")
    backup = _add(
        below,
        "backup",
        _backup,
        "copy the data directory, beside a running daemon or without one. To restore, give the copy as "
        "--data-dir, or copy it to where the data directory was",
    )
    backup.add_argument("destination", type=Path, metavar="DEST", help="a new folder; nothing is overwritten")


def _add(
    below: Any, name: str, run: Callable[[argparse.Namespace], int], says: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = below.add_parser(name, help=says, description=f"{says}.")
    add_place(parser)
    parser.set_defaults(run=run)
    return parser


def _print(found: object) -> None:
    print(msgspec.json.encode(found).decode())


# --- status ---


def _status(arguments: argparse.Namespace) -> int:
    storage = storage_of(arguments)
    report = Look(storage, Path(storage.data_dir)).report()
    if arguments.json:
        _print(report)
    else:
        _tell(report)
    return 1 if report["problems"] else 0


def _tell(report: Report) -> None:
    journal = report["journal"]
    if journal is not None:
        names = {"trades": "batches of trades"}
        held = ", ".join(f"{count} {names.get(kind, kind)}" for kind, count in journal["entries"].items())
        print(f"journal  {journal['path']}: {journal['bytes'] / 1e6:.1f} of {journal['quota_mb']} MB; {held}")
        for one in journal["symbols"]:
            print(f"         {one['exchange']}:{one['symbol']}  trades {_span(one['trades'])}")
    for tier, one in report["tiers"].items():
        print(f"{tier:8} {named(one['engine'], one['address'])}: {_state(one)}")
        for symbol in one.get("symbols", ()):
            days = f"  {symbol['days']} days" if "days" in symbol else ""
            print(f"         {symbol['exchange']}:{symbol['symbol']}{days}  bars {_span(symbol['bars'])}")
    kept = report["lifetimes"]
    print(
        f"kept     raw {kept['raw_minutes']} minutes, bars {kept['bars_days']} days warm and then cold, "
        f"indicators {kept['indicators_days']} days"
    )
    for sentence in report["problems"]:
        print(f"wrong    {sentence}")


def _state(tier: Report) -> str:
    if not tier["reachable"]:
        return "cannot be reached"
    said = []
    if schema := tier.get("schema"):
        said.append("not made yet" if schema["found"] is None else f"schema {schema['found']}")
    if tier.get("lag") is not None:
        said.append(f"{tier['lag']} journal entries behind")
    return ", ".join(said) or "reachable"


def _span(span: list[str] | None) -> str:
    return "none" if span is None else f"{span[0]} to {span[1]}"


# --- init and migrate ---


def _init(arguments: argparse.Namespace) -> int:
    """Make what is missing; what is there already stays as it is."""
    storage = storage_of(arguments)
    directory = Path(storage.data_dir)
    if (directory / FILE_NAME).is_file():
        print(f"journal: {directory / FILE_NAME} is there already")
    else:
        with DirectoryLock(directory):
            Journal(directory).close()
        print(f"journal: {directory / FILE_NAME} made")
    with ExitStack() as opened:
        store, others = open_targets(storage, directory, _identity(directory))
        for target in (store, *others.values()):
            opened.callback(target.close)
        before, _ = store.schema()
        store.initialise()
        after, _ = store.schema()
        made = {None: f"made, schema {after}", after: f"schema {after} is there already"}
        said = made.get(before, f"schema {before} brought to {after}")
        print(f"warm: {store.name} at {store.address}: {said}")
        for tier, target in others.items():
            target.initialise()
            print(f"{tier}: {named(target.name, target.address)}: ready")
    return 0


def _migrate(arguments: argparse.Namespace) -> int:
    storage = storage_of(arguments)
    directory = Path(storage.data_dir)
    store, others = open_targets(storage, directory, _identity(directory))
    with ExitStack() as opened:
        for target in (store, *others.values()):
            opened.callback(target.close)
        before, expected = store.schema()
        where = f"{store.name} at {store.address}"
        if before == expected:
            print(f"{where} has schema {expected}: there is nothing to migrate")
            return 0
        opened.enter_context(DirectoryLock(directory))
        store.migrate()
        print(f"{where}: schema {'none' if before is None else before} brought to {expected}")
    return 0


def _identity(directory: Path) -> str:
    view = JournalView.of_run(directory)
    try:
        return view.identity()
    finally:
        view.close()


# --- verify ---


def _verify(arguments: argparse.Namespace) -> int:
    chosen, storage = selection_of(arguments), storage_of(arguments)
    reader = open_reader(storage)
    try:
        verdict = Verification(reader, chosen, _stored_since(storage)).run()
    finally:
        reader.close()
    if arguments.json:
        _print(_answer(verdict))
    else:
        _tell_verdict(verdict)
    return 0 if verdict.sound else 1


def _stored_since(storage: StorageSettings) -> int:
    """Return from when on (µs) no store has forgotten a raw trade, with a minute to spare."""
    return wall_clock() - Lifetimes.of(storage).raw + MINUTE


def _answer(verdict: Verdict) -> dict[str, object]:
    told = [one.answer() for one in verdict.told]
    return {"sound": verdict.sound} | attrs.asdict(verdict, recurse=False) | {"told": told}


def _tell_verdict(verdict: Verdict) -> None:
    print(f"bars counted again from raw trades  {verdict.bars}")
    print(f"bars whose trades are not kept      {verdict.bars_only_read}")
    print(f"profiles and order flow remade      {verdict.windows}")
    print(f"of bars that have changed since     {verdict.windows_outdated}")
    print(f"trades compared with the store      {verdict.trades}")
    print(f"days in the cold tier               {verdict.cold_days}")
    print(f"differences                         {verdict.differences}")
    for one in verdict.told:
        found = one.answer()
        print(
            f"  {found['symbol']} {found['start']} {found['what']}: {found['field']} is {found['stored']}, "
            f"counted again {found['recounted']}"
        )
    for sentence in verdict.problems:
        print(f"wrong: {sentence}")


# --- backup ---


def _backup(arguments: argparse.Namespace) -> int:
    storage = storage_of(arguments)
    done = back_up(Path(storage.data_dir), arguments.destination)
    rows = sum(done.rows.values())
    print(f"{done.destination}: {done.size / 1e6:.1f} MB, {rows} rows, every page read back")
    if storage.mongodb_url or storage.db_url:
        print("the warm store is on a server and not in this backup: use the server's own tools")
    if storage.cold_url:
        print("the cold tier is elsewhere (storage.cold_url) and not in this backup")
    return 0
