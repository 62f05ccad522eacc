"""``wadm import``: what ``wadm export`` wrote, into a data directory."""

import argparse
from contextlib import ExitStack
from pathlib import Path

from actors.cli.where import add_place, storage_of
from actors.storage.carrying import carry_over
from actors.storage.journal import Journal
from actors.storage.lock import DirectoryLock
from actors.storage.opening import open_archive, open_store
from actors.storage.reader import DataReader
from actors.storage.transfer.intake import Intake, check
from actors.storage.transfer.source import Source
from wadm.sections import StorageSettings


def add_to(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.description = (
        "Take files of `wadm export` (Parquet or CSV) into a data directory on which no daemon runs. All "
        "files are checked before anything is stored; what is there already is left as it is; bars are made "
        "of trades. What is imported lives as long as what comes in live."
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="what `wadm export` wrote")
    add_place(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Import; print what came of each file."""
    storage = storage_of(arguments)
    sources = [Source.open(path) for path in arguments.files]
    for source in sources:
        check(source)
    with ExitStack() as opened:
        directory = Path(storage.data_dir)
        opened.enter_context(DirectoryLock(directory))
        journal = Journal(directory)
        opened.callback(journal.close)
        _take(storage, journal, sources)
    return 0


def _take(storage: StorageSettings, journal: Journal, sources: list[Source]) -> None:
    store = open_store(storage, journal.directory, journal.identity())
    try:
        store.initialise()
        # A journal that was put back to an older state: what is numbered anew must not pass for what it was.
        journal.leap(store.cursor())
        intake = Intake(journal)
        for source in sources:
            came = intake.take(source)
            print(f"{came.path}: {came.rows} {came.what}, {came.new} of them new")
        if intake.minutes:
            reader = DataReader(journal, store, open_archive(storage, journal.directory))
            print(f"{intake.make_bars(reader)} bars made of the trades")
        carry_over(journal, store)
    finally:
        store.close()
