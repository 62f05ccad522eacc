"""A store alone answers as a data directory does, about the minutes it has."""

from contextlib import closing

import pytest
from storage_samples import EXCHANGE, NAME, START, SYMBOL, bar_record, batch, gap_record

from actors.answers.stored import Stored
from actors.storage import engines
from actors.storage.errors import NotKept
from actors.storage.journal import Journal
from actors.storage.reader import DataReader
from actors.storage.sql import SqlStore
from actors.storage.store_reader import StoreReader
from wadm.answers import overview, session
from wadm.instants import iso
from wadm.market import MINUTE

ASKED = {"exchange": EXCHANGE, "symbol": SYMBOL}


@pytest.fixture
def directory(tmp_path):
    """Return a data directory with five minutes and a gap, all of it in the store."""
    entries = [
        batch(1),
        *(bar_record(START + at * MINUTE, quantity=at + 1) for at in range(5)),
        gap_record(state="unfillable", at=START + MINUTE),
    ]
    with closing(Journal(tmp_path)) as journal:
        last = journal.append(entries)
        follows = journal.identity()
    with closing(SqlStore(engines.embedded_url(tmp_path), follows)) as store:
        store.apply(entries, last)
    return tmp_path


@pytest.fixture
def both(directory):
    """Return who answers from the directory, and who from its store alone."""
    with (
        closing(DataReader.open(directory)) as reader,
        closing(SqlStore(engines.embedded_url(directory), "", read_only=True)) as store,
    ):
        yield Stored(reader), Stored(StoreReader(store))


@pytest.mark.parametrize("question", [overview.QUESTION, session.QUESTION], ids=lambda one: one.name)
def test_answers_are_those_of_the_data_directory(both, question):
    window = {"start": iso(START), "end": iso(START + 5 * MINUTE)}
    whole, alone = (one.ask(question, {**ASKED, **window}) for one in both)
    assert alone == whole
    assert (alone["trades"], len(alone["coverage"]["gaps"])) == (30, 1)


def test_part_of_a_minute_is_refused(both):
    with pytest.raises(NotKept, match=r"23:55:01Z lies within one: ask for whole minutes"):
        both[1].reader.merged(*NAME, START + 1_000_000, START + MINUTE)
