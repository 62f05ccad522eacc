from decimal import Decimal
from fractions import Fraction
from statistics import median
from typing import Any

import pytest
from answered import answered
from hypothesis import given
from hypothesis import strategies as st
from made_up_books import snapshot, update

from wadm.analytics.book import Reach, depth, imbalance, mid, spread_bps, walls
from wadm.answers.book import CROSSED, NOT_FOLLOWED, NOT_SYNCED, QUESTION
from wadm.answers.question import Book
from wadm.market import BookChange
from wadm.orderbook import Level, OrderBook

D = Decimal

BIDS = [(100, 3), (99, 1), (98, 20), (95, 2)]
ASKS = [(102, 1), (103, 4), (104, 1), (110, 30)]


def book_of(
    bids: list[Level], asks: list[Level], *, cut_at: int | None = None, limited: int | None = None
) -> OrderBook:
    book = OrderBook(limited or 5_000, limited is not None)
    book.replace(snapshot(1, bids, asks), cut_at=cut_at)
    return book


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        (1, "0.5"),  # (3 - 1) / (3 + 1)
        (2, "-0.11111111"),  # (4 - 5) / 9
        (3, "0.6"),  # (24 - 6) / 30
        (4, "-0.16129032"),  # (26 - 36) / 62
        (99, "-0.16129032"),
    ],
)
def test_imbalance_is_what_bids_hold_more_of_both(levels: int, expected: str) -> None:
    assert imbalance(book_of(BIDS, ASKS), levels) == D(expected)


def test_one_side_alone_is_all_of_it_and_an_empty_book_has_no_imbalance() -> None:
    assert imbalance(book_of(BIDS, []), 5) == 1
    assert imbalance(book_of([], ASKS), 5) == -1
    assert imbalance(book_of([], []), 5) is None


def test_the_spread_in_basis_points_is_of_the_mid() -> None:
    # 2 of 101 is 198.0198 in ten thousand
    assert spread_bps(book_of(BIDS, ASKS)) == D("198.0198")
    assert spread_bps(book_of(BIDS, [])) is None
    assert mid(book_of([(100, 1)], [(101, 1)])) == Fraction(201, 2)


# The mid is 101.
DEPTHS = [
    # 1 %: bids from 99.99, asks up to 102.01
    ("1", Reach(3, 300, 1, True), Reach(1, 102, 1, True)),
    # 3 %: bids from 97.97: 3·100 + 1·99 + 20·98; asks up to 104.03: 1·102 + 4·103 + 1·104
    ("3", Reach(24, 2_359, 3, True), Reach(6, 618, 3, True)),
    # 9 %: bids from 91.91: 2·95 more; asks up to 110.09: 30·110 more
    ("9", Reach(26, 2_549, 4, True), Reach(36, 3_918, 4, True)),
]


@pytest.mark.parametrize(("percent", "bids", "asks"), DEPTHS)
def test_depth_sums_what_lies_within_a_distance_of_the_mid(percent: str, bids: Reach, asks: Reach) -> None:
    book = book_of(BIDS, ASKS)
    middle = mid(book)
    assert middle is not None
    assert depth(book, book.bids, middle, D(percent)) == bids
    assert depth(book, book.asks, middle, D(percent)) == asks


def test_a_level_at_the_edge_itself_is_within() -> None:
    book = book_of([(99, 1)], [(101, 1)])  # the mid is 100, one percent away is 99 and 101
    assert depth(book, book.bids, Fraction(100), D(1)).levels == 1
    assert depth(book, book.asks, Fraction(100), D(1)).levels == 1
    assert depth(book, book.asks, Fraction(100), D("0.99")).levels == 0


def test_depth_beyond_what_a_cut_snapshot_told_is_a_lower_bound() -> None:
    book = book_of(BIDS, ASKS[:3], cut_at=4)  # bids were cut behind 95, asks are all there are
    assert depth(book, book.bids, Fraction(101), D("5.9")).complete  # from 95.041
    assert not depth(book, book.bids, Fraction(101), D(6)).complete  # from 94.94
    assert depth(book, book.asks, Fraction(101), D(50)).complete


def test_depth_down_to_the_last_level_known_is_complete() -> None:
    book = book_of([(99, 1), (95, 1)], [(101, 1)], cut_at=2)
    assert depth(book, book.bids, Fraction(100), D(5)).complete
    assert not depth(book, book.bids, Fraction(100), D("5.01")).complete


def test_a_book_that_was_never_cut_is_complete() -> None:
    book = OrderBook(4)
    book.replace(snapshot(1, BIDS, ASKS))
    assert depth(book, book.bids, Fraction(101), D(50)).complete


def test_depth_beyond_the_levels_that_the_exchange_tells_of_is_a_lower_bound() -> None:
    book = book_of(BIDS, ASKS[:3], limited=4)
    assert depth(book, book.bids, Fraction(101), D("5.9")).complete
    assert not depth(book, book.bids, Fraction(101), D(50)).complete
    assert depth(book, book.asks, Fraction(101), D(50)).complete


sides = st.dictionaries(st.integers(1, 400), st.integers(1, 9), max_size=300)


@given(sides, sides, st.sampled_from(["0.5", "3", "40", "100"]), st.integers(1, 20))
def test_measures_are_those_of_plain_sums(
    bids: dict[int, int], asks: dict[int, int], percent: str, levels: int
) -> None:
    book = book_of(list(bids.items()), list(asks.items()))
    middle = mid(book)
    if middle is None:
        assert not (bids and asks)
        return
    assert middle == Fraction(max(bids) + min(asks), 2)
    share = Fraction(percent) / 100
    near = {price: one for price, one in bids.items() if price >= middle * (1 - share)}
    reach = depth(book, book.bids, middle, D(percent))
    assert (reach.quantity, reach.levels) == (sum(near.values()), len(near))
    assert reach.notional == sum(price * one for price, one in near.items())
    near = {price: one for price, one in asks.items() if price <= middle * (1 + share)}
    assert depth(book, book.asks, middle, D(percent)).quantity == sum(near.values())
    best = sorted(asks.items())[:levels]
    typical = median([Fraction(one) for _, one in best])
    assert [(one.price, one.quantity) for one in walls(book.asks, levels, D(3))] == [
        (price, one) for price, one in best if one >= 3 * typical
    ]


def test_walls_hold_many_times_the_median_of_the_best_levels() -> None:
    book = book_of(BIDS, ASKS)
    # bids 3, 1, 20, 2: the median is 2.5, eight times that is 20
    assert [(one.price, one.times) for one in walls(book.bids, 4, D(8))] == [(98, Fraction(8))]
    assert walls(book.bids, 4, D("8.01")) == []
    # of the best two, 3 and 1, the median is 2
    assert walls(book.bids, 2, D(2)) == []
    assert walls(OrderBook().bids, 4, D(1)) == []


def asked(book: Book | None, **given: str) -> dict[str, Any]:
    return answered(QUESTION, [], around={"book": book}, **given)


def test_a_book_is_answered_in_quote_and_base_units() -> None:
    book = OrderBook()
    levels = ([(1000, 300), (980, 2_000)], [(1020, 100)])
    book.replace(update(1, 1, *levels, change=BookChange.SNAPSHOT, decimals=(1, 2)))
    answer = asked(Book(book, synced=True, age_ms=12), levels="2", within="1", times="1.7")
    named = ("synced", "reason", "age_ms", "bid", "ask", "spread", "mid", "spread_bps", "crossed")
    assert [answer[name] for name in named] == [
        True, None, 12, "100", "102", "2", "101", "198.0198", False,
    ]  # fmt: skip
    # (23 - 1) / (23 + 1) = 0.91666…
    assert answer["imbalance"] == "0.91666667"
    assert answer["depth"] == [
        {
            "percent": "1",
            "bids": {"volume": "3", "notional": "300", "levels": 1, "complete": True},
            "asks": {"volume": "1", "notional": "102", "levels": 1, "complete": True},
        }
    ]
    # the median of 3 and 20 is 11.5; 20 / 11.5 = 1.73913043…
    assert answer["bids"] == {
        "levels": 2,
        "volume": "23",
        "walls": [{"price": "98", "quantity": "20", "times_median": "1.73913043"}],
        "walls_are_heuristic": True,
    }
    assert answer["asks"]["walls"] == []


@pytest.mark.parametrize(
    ("book", "reason", "age"),
    [
        (None, NOT_FOLLOWED, None),
        (Book(book_of(BIDS, ASKS), synced=False, age_ms=900), NOT_SYNCED, 900),
    ],
)
def test_without_a_book_in_step_nothing_is_measured(book: Book | None, reason: str, age: int | None) -> None:
    answer = asked(book)
    assert (answer["synced"], answer["reason"], answer["age_ms"]) == (False, reason, age)
    named = ("bid", "ask", "spread", "mid", "spread_bps", "crossed", "imbalance", "bids", "asks")
    assert [answer[name] for name in named] == [None] * len(named)
    assert answer["depth"] == []


def test_crossed_and_one_sided_books_say_so() -> None:
    answer = asked(Book(book_of([(103, 1)], [(102, 1)]), synced=True, age_ms=1))
    assert (answer["reason"], answer["crossed"], answer["spread"]) == (CROSSED, True, "-1")
    answer = asked(Book(book_of([(103, 1)], []), synced=True, age_ms=1))
    assert (answer["crossed"], answer["mid"], answer["depth"], answer["imbalance"]) == (False, None, [], "1")
