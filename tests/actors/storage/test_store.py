"""The contract of every store. An engine joins by one line in ``ENGINES``."""

import sqlite3
from decimal import Decimal

import pytest
from storage_samples import (
    EXCHANGE,
    FOREVER,
    NAME,
    START,
    bar,
    bar_record,
    batch,
    gap_record,
    one_of_each,
    order_flow_record,
    plain,
    plainly,
    profile_record,
    suspected_record,
)

from actors.storage import engines
from actors.storage.errors import StorageError
from actors.storage.sql import SqlStore
from wadm.market import MINUTE

EVER = (0, FOREVER)


def embedded(tmp_path, follows="journal-1"):
    return SqlStore(engines.embedded_url(tmp_path), follows)


ENGINES = {"sqlite": embedded}


@pytest.fixture(params=ENGINES.values(), ids=ENGINES)
def make(request, tmp_path):
    """Return a function that opens one more store on the same data; all are closed afterwards."""
    opened = []

    def opener(**arguments):
        opened.append(request.param(tmp_path, **arguments))
        return opened[-1]

    yield opener
    for one in opened:
        one.close()


@pytest.fixture
def store(make):
    made = make()
    made.initialise()
    return made


def test_a_new_store_is_empty(store):
    assert store.cursor() == 0
    assert store.symbols() == []
    assert store.extent(*NAME) is None
    assert store.bars(*NAME, *EVER) == []
    assert store.profiles(*NAME, "1m", *EVER) == []
    assert store.order_flows(*NAME, "1m", *EVER) == []
    assert store.gaps(*NAME, *EVER) == []


def test_records_come_back_as_they_were(store):
    store.apply(one_of_each(), 5)
    assert store.cursor() == 5
    assert store.bars(*NAME, *EVER) == [bar()]
    assert plainly(store.profiles(*NAME, "1m", *EVER)) == plainly([profile_record()])
    assert plainly(store.order_flows(*NAME, "1m", *EVER)) == plainly([order_flow_record()])
    assert store.gaps(*NAME, *EVER) == [gap_record()]


def test_windows_without_trades_come_back(store):
    entries = [bar_record(count=0), profile_record(empty=True), order_flow_record(empty=True)]
    store.apply(entries, 3)
    assert store.bars(*NAME, *EVER) == [bar(count=0)]
    assert plainly(store.profiles(*NAME, "1m", *EVER)) == [plain(entries[1])]
    assert plainly(store.order_flows(*NAME, "1m", *EVER)) == [plain(entries[2])]


def test_numbers_beyond_64_bits_stay_exact(store):
    huge = 10**40 + 1
    store.apply(
        [bar_record(quantity=huge), profile_record(quantity=huge), order_flow_record(quantity=huge)], 3
    )
    assert store.bars(*NAME, *EVER) == [bar(quantity=huge)]
    assert plainly(store.profiles(*NAME, "1m", *EVER)) == plainly([profile_record(quantity=huge)])
    assert plainly(store.order_flows(*NAME, "1m", *EVER)) == plainly([order_flow_record(quantity=huge)])


def test_applying_again_changes_nothing(store):
    for _ in range(2):
        store.apply([*one_of_each(), *one_of_each()], 5)
    assert store.bars(*NAME, *EVER) == [bar()]
    assert len(store.gaps(*NAME, *EVER)) == 1


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("order", [(0, 2, 1), (2, 1, 0), (0, 1, 2)])
def test_the_highest_revision_wins_in_any_order(store, order, together):
    revisions = [
        (bar_record(revision=r, quantity=r + 1), profile_record(revision=r, quantity=r + 1),
         order_flow_record(revision=r, quantity=r + 1))
        for r in order
    ]  # fmt: skip
    if together:
        store.apply([entry for entries in revisions for entry in entries], 1)
    else:
        for entries in revisions:
            store.apply(entries, 1)
    assert store.bars(*NAME, *EVER) == [bar(revision=2, quantity=3)]
    assert plainly(store.profiles(*NAME, "1m", *EVER)) == plainly([profile_record(revision=2, quantity=3)])
    assert plainly(store.order_flows(*NAME, "1m", *EVER)) == plainly(
        [order_flow_record(revision=2, quantity=3)]
    )


def test_of_equal_revisions_the_first_stays(store):
    store.apply([bar_record(quantity=1), bar_record(quantity=2)], 1)
    store.apply([bar_record(quantity=3)], 2)
    assert store.bars(*NAME, *EVER) == [bar(quantity=1)]


def test_a_gap_once_filled_is_not_opened_again(store):
    store.apply([gap_record()], 1)
    store.apply([gap_record(state="unfillable", reason="too old")], 2)
    assert store.gaps(*NAME, *EVER) == [gap_record(state="unfillable", reason="too old")]
    store.apply([gap_record(state="filled")], 3)
    store.apply([gap_record()], 4)
    assert store.gaps(*NAME, *EVER) == [gap_record(state="filled")]


def test_ranges_hold_their_start_and_not_their_end(store):
    starts = [START + index * MINUTE for index in (2, 0, 1, 3)]
    store.apply([bar_record(start) for start in starts], 4)
    store.apply([entry for start in starts for entry in (profile_record(start), order_flow_record(start))], 5)
    window = (START + MINUTE, START + 3 * MINUTE)
    wanted = [START + MINUTE, START + 2 * MINUTE]
    assert [one.start for one in store.bars(*NAME, *window)] == wanted
    assert [one.start for one in store.profiles(*NAME, "1m", *window)] == wanted
    assert [one.start for one in store.order_flows(*NAME, "1m", *window)] == wanted
    assert store.profiles(*NAME, "5m", *window) == []
    assert store.extent(*NAME) == (START, START + 4 * MINUTE)


def test_a_suspected_gap_comes_back_as_it_was_and_a_stronger_record_replaces_it(store):
    store.apply([suspected_record(), gap_record()], 1)
    assert sorted(store.gaps(*NAME, *EVER), key=str) == sorted([suspected_record(), gap_record()], key=str)
    store.apply([suspected_record(state="unfillable", reason="no older trades")], 2)
    store.apply([suspected_record()], 3)
    assert suspected_record(state="unfillable", reason="no older trades") in store.gaps(*NAME, *EVER)


def test_gaps_are_found_by_when_they_were_noticed(store):
    store.apply([gap_record(first, first + 1, at=START + first) for first in (1, 4, 7)], 1)
    assert [one.gap.first for one in store.gaps(*NAME, START + 1, START + 7)] == [1, 4]


def test_symbols_are_listed_once_and_sorted(store):
    store.apply([bar_record(START + index * MINUTE, symbol) for symbol in "CAB" for index in range(3)], 9)
    assert store.symbols() == [(EXCHANGE, symbol) for symbol in "ABC"]


def test_a_cursor_never_moves_back(store):
    store.apply([], 7)
    store.apply([], 3)
    assert store.cursor() == 7


def test_a_cursor_belongs_to_one_journal(store, make):
    store.apply([], 7)
    assert make(follows="journal-2").cursor() == 0
    assert make().cursor() == 7


def test_entries_and_cursor_are_stored_together_or_not_at_all(store):
    unstorable = gap_record(first=1 << 70, last=1 << 71)
    with pytest.raises((StorageError, OverflowError)):
        store.apply([bar_record(), unstorable], 5)
    assert (store.cursor(), store.bars(*NAME, *EVER)) == (0, [])


def test_trades_may_be_handed_over_in_any_case(store):
    store.apply([batch(1), bar_record()], 2)
    assert store.cursor() == 2


def test_everything_is_there_after_reopening(store, make):
    store.apply(one_of_each(), 5)
    store.close()
    again = make()
    again.initialise()
    again.initialise()
    assert (again.cursor(), again.bars(*NAME, *EVER)) == (5, [bar()])


def test_a_store_initialises_itself_where_nobody_did(make):
    assert make().symbols() == []


def test_a_closed_store_may_be_used_again(store):
    store.apply([], 2)
    store.close()
    assert store.cursor() == 2


def test_searchable_columns_are_exact(store, tmp_path):
    if store.name != "sqlite":
        pytest.skip("reads the file")
    store.apply([bar_record(quantity=10**25)], 1)
    db = sqlite3.connect(tmp_path / engines.EMBEDDED)
    (row,) = db.execute("SELECT open, high, low, close, volume, buy_volume, delta, trades FROM bars")
    db.close()
    assert row[:4] == ("61000", "61000.2", "61000", "61000.2")
    assert [Decimal(text) for text in row[4:7]] == [4 * 10**22, 2 * 10**22, 0]
    assert row[7] == 6
