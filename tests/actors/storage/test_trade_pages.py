"""Single trades by cursor: nothing left out, nothing twice, and a word where the journal has let some go."""

import attrs
import pytest
from storage_samples import EXCHANGE, START, SYMBOL, bar_record, batch

from actors.answers.places import CursorError, Place
from actors.answers.trade_pages import LOOK_BACK, TradePages
from actors.storage.journal import SEGMENT, Journal
from wadm.instants import iso
from wadm.market import SECOND


@pytest.fixture
def pages(journal):
    return TradePages(journal, EXCHANGE, SYMBOL)


def ids(page):
    return [row["id"] for row in page.rows]


def walk(pages, place, limit):
    """Read every page behind a place; a cursor goes through its text in between."""
    found, page = [], None
    while page is None or page.more:
        page = pages.behind(place, limit)
        assert len(page.rows) <= limit
        found += ids(page)
        place = Place.parse(str(page.place))
    return found, place


def numbered(number, count, first, **more):
    """Return a batch of trades with ids that count up from ``first``."""
    times = [START + number * SECOND + index for index in range(count)]
    return batch(number, *times, ids=range(first, first + count), **more)


def test_a_trade_is_told_as_it_was_traded(journal, pages):
    journal.append([batch(1, START, START + 1_500_000, ids=[7, 8])])
    page = pages.newest(10)
    assert page.rows == [
        {"time": "2024-08-08T23:55:00Z", "price": "61000", "quantity": "0.005",
         "side": "buy", "id": 7, "count": 1},
        {"time": "2024-08-08T23:55:01.500000Z", "price": "61000.1", "quantity": "0.01",
         "side": "sell", "id": 8, "count": 2},
    ]  # fmt: skip
    assert (page.span, page.more, page.missed) == ((START, START + 1_500_000), False, None)


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 7, 100])
def test_pages_of_any_size_hold_every_trade_once_in_the_order_of_the_journal(journal, pages, limit):
    sizes, first = [4, 1, 3, 9, 2], 0
    for number, size in enumerate(sizes, 1):
        journal.append([numbered(number, size, first), numbered(number, 2, first, symbol="ETHUSDT")])
        journal.append([bar_record(START + number * 60 * SECOND)])
        first += size
    begin = attrs.evolve(pages.newest(1).place, seq=1)
    found, end = walk(pages, begin, limit)
    assert found == list(range(19))
    journal.append([numbered(6, 3, 19)])
    assert walk(pages, end, limit)[0] == [19, 20, 21]


def test_without_a_cursor_come_the_newest_and_their_cursor_lies_behind_all_there_is(journal, pages):
    journal.append([numbered(1, 6, 0), numbered(2, 6, 6)])
    # Filled in later: it is older than what is there.
    journal.append([batch(1, START - 60 * SECOND, ids=[900], incarnation=2)])
    page = pages.newest(3)
    assert ids(page) == [9, 10, 11]
    assert pages.behind(page.place, 10).rows == []
    journal.append([numbered(3, 1, 12)])
    assert ids(pages.behind(page.place, 10)) == [12]


def test_an_empty_journal_has_a_cursor_too(journal, pages):
    page = pages.newest(5)
    assert (page.rows, page.span, page.more) == ([], None, False)
    journal.append([numbered(1, 2, 0)])
    assert ids(pages.behind(page.place, 5)) == [0, 1]


def test_a_cursor_goes_on_in_a_journal_that_was_opened_anew(tmp_path, journal, pages):
    journal.append([numbered(1, 5, 0)])
    begin = attrs.evolve(pages.newest(1).place, seq=1)
    page = pages.behind(begin, 3)
    journal.close()
    again = Journal(tmp_path)
    try:
        again.append([numbered(1, 2, 5, incarnation=2)])
        assert ids(TradePages(again, EXCHANGE, SYMBOL).behind(page.place, 10)) == [3, 4, 5, 6]
    finally:
        again.close()


def test_what_was_received_twice_comes_once(journal, pages):
    journal.append([numbered(1, 4, 0), numbered(1, 6, 0, incarnation=2), numbered(2, 2, 6)])
    begin = attrs.evolve(pages.newest(1).place, seq=1)
    for limit in (1, 3, 4, 100):
        assert walk(pages, begin, limit)[0] == list(range(8))


def test_what_was_received_twice_within_a_thousand_trades_comes_once_also_on_another_page(journal, pages):
    journal.append([numbered(1, LOOK_BACK, 0)])
    place = pages.newest(1).place
    journal.append([numbered(1, 1, LOOK_BACK - 1, incarnation=2), numbered(2, 1, LOOK_BACK)])
    assert ids(pages.behind(place, 10)) == [LOOK_BACK]


@pytest.fixture
def trimmed(tmp_path):
    """Return a journal that has let its first segment go, and a cursor from before."""
    now = [START]
    journal = Journal(tmp_path, clock=lambda: now[0])
    journal.append([numbered(1, 3, 0), numbered(2, 3, 3)])
    early = TradePages(journal, EXCHANGE, SYMBOL).behind(
        attrs.evolve(TradePages(journal, EXCHANGE, SYMBOL).newest(1).place, seq=1), 2
    )
    now[0] += 2 * SEGMENT
    journal.append([numbered(3, 3, 6)])
    journal.trim(now[0], journal.last_seq() - 1)
    yield journal, Place.parse(str(early.place))
    journal.close()


def test_a_cursor_older_than_the_journal_goes_on_and_says_what_is_not_kept(trimmed):
    journal, early = trimmed
    page = TradePages(journal, EXCHANGE, SYMBOL).behind(early, 10)
    assert ids(page) == [6, 7, 8]
    assert page.missed == {
        "from": iso(START + SECOND),
        "to": iso(START + 3 * SECOND),
        "from_sequence": 1,
        "to_sequence": 3,
    }
    assert TradePages(journal, EXCHANGE, SYMBOL).behind(page.place, 10).missed is None


def test_a_time_before_what_is_kept_says_so_and_begins_with_the_oldest(trimmed):
    journal, _ = trimmed
    pages = TradePages(journal, EXCHANGE, SYMBOL)
    place, missed = pages.at(START)
    assert ids(pages.behind(place, 10)) == [6, 7, 8]
    assert missed == {
        "from": iso(START), "to": iso(START + 3 * SECOND), "from_sequence": None, "to_sequence": 3,
    }  # fmt: skip
    assert pages.at(START + 3 * SECOND)[1] is None


def test_from_a_time_on_come_the_batches_that_reach_it(journal, pages):
    journal.append([numbered(1, 2, 0), numbered(2, 2, 2), numbered(3, 2, 4)])
    assert ids(pages.behind(pages.at(START + 2 * SECOND)[0], 10)) == [2, 3, 4, 5]
    assert pages.behind(pages.at(START + 9 * SECOND)[0], 10).rows == []


@pytest.mark.parametrize("text", ["", "1", "x" * 60, "0123456-1-0-0", "g" * 8 + "-1-0-0", "0" * 8 + "-1-0"])
def test_text_that_is_no_cursor_is_refused(text):
    with pytest.raises(CursorError, match="cursor of an answer before"):
        Place.parse(text)


def test_a_cursor_of_another_journal_or_of_what_is_not_there_yet_is_refused(journal, pages):
    journal.append([numbered(1, 2, 0)])
    place = pages.newest(1).place
    for wrong in (attrs.evolve(place, journal="0" * 8), attrs.evolve(place, seq=place.seq + 1)):
        with pytest.raises(CursorError, match="begin anew"):
            pages.behind(wrong, 10)


def test_a_page_of_a_quiet_symbol_reads_nothing_of_the_others(journal):
    """The index is there, and it is used: no sort, no scan of what others traded."""
    with journal._reading() as db:
        plan = db.execute(
            "EXPLAIN QUERY PLAN "
            "SELECT payload FROM batches WHERE stream = 1 AND seq >= 1 ORDER BY seq LIMIT 5"
        ).fetchall()
    assert [step[-1] for step in plan] == [
        "SEARCH batches USING INDEX batches_in_order (stream=? AND rowid>?)"
    ]
