from decimal import Decimal
from itertools import groupby
from typing import Any

import pytest
from answered import MINUTE_MS, answered
from generated import bar_of
from hypothesis import given
from hypothesis import strategies as st
from oracle import Trade

from wadm.analytics.levels import (
    Level,
    LiquidityType,
    Touches,
    gathered,
    levels,
    row_of,
    strength,
    touches,
    zones,
)
from wadm.analytics.profile import Profile, profile
from wadm.answers.levels import NEAR, QUESTION
from wadm.bar import Bar
from wadm.market import MINUTE
from wadm.questions import QuestionError

D = Decimal

# Four minutes, (price, volume) bought in each:
TAPE = [
    [("100", "4"), ("101", "2")],
    [("102", "10"), ("103", "1")],
    [("101", "3"), ("102", "6")],
    [("104", "2")],
]
# Rows of 1: 100 has 4, 101 has 5, 102 has 16, 103 has 1, 104 has 2; 28 in all, 70 % of it is 19.6.
# POC 102; above 1 + 2, below 5 + 4: these join: 25. VAH 102, VAL 100.
TRADES = [
    Trade(minute * MINUTE_MS + at, 10 * minute + at, D(price), D(volume), buy=True)
    for minute, traded in enumerate(TAPE)
    for at, (price, volume) in enumerate(traded)
]


def bars() -> list[Bar]:
    return [
        bar_of([one for one in TRADES if one.at_ms // MINUTE_MS == minute], minute * MINUTE_MS)
        for minute in range(len(TAPE))
    ]


def made() -> Profile:
    return profile(bar_of(TRADES), D(1))


# Of 4 bars, the highest row being 16:
LEVELS = [
    # VAL 100: visited by bar 1 only. 50·4/16 + 30·1/5 + 20·1/4 = 12.5 + 6 + 5
    ("val", 100, 4, Touches(1, 0, 0), "23.5"),
    # support 101: by bars 1 and 3, two touches. 50·5/16 + 30·2/5 + 20·3/4 = 15.625 + 12 + 15 = 42.625
    ("support", 101, 5, Touches(2, 0, 2), "42.6"),
    # POC and VAH 102: by bars 2 and 3, one touch. 50 + 6 + 15
    ("poc", 102, 16, Touches(1, 1, 2), "71"),
    ("vah", 102, 16, Touches(1, 1, 2), "71"),
    # resistance 104: by bar 4. 50·2/16 + 6 + 20 = 32.25, rounded to the even 32.2
    ("resistance", 104, 2, Touches(1, 3, 3), "32.2"),
]


def told(one: Level) -> tuple[str, int, int, Touches, str]:
    return str(one.kind), one.row, one.volume, one.touches, format(one.strength.normalize(), "f")


def test_the_levels_of_a_window_worked_by_hand() -> None:
    # the nodes and the row of the last price are given: 103, which lies between the two
    assert [told(one) for one in levels(made(), bars(), [101, 104], 103, 5)] == LEVELS


def test_a_node_in_the_row_of_the_last_price_is_neither_support_nor_resistance() -> None:
    found = levels(made(), bars(), [101, 104], 104, 5)
    assert [str(one.kind) for one in found] == ["val", "support", "poc", "vah"]


@pytest.mark.parametrize(("most", "rows"), [(1, [101]), (2, [101, 104]), (3, [100, 101, 104])])
def test_of_many_nodes_the_strongest_are_given(most: int, rows: list[int]) -> None:
    # below 105: 104 has 32.25, 101 has 42.625, 100 has 23.5
    found = levels(made(), bars(), [100, 101, 104], 105, most)
    assert [one.row for one in found if one.kind is LiquidityType.SUPPORT] == rows


def test_of_equally_strong_nodes_the_nearest_is_given() -> None:
    bar = bar_of([Trade(0, row, D(row), D(1), buy=True) for row in (1, 2, 3)])
    found = levels(profile(bar, D(1)), [bar], [1, 2, 3], 4, 1)
    assert [one.row for one in found if one.kind is LiquidityType.SUPPORT] == [3]


@pytest.mark.parametrize(
    ("volumes", "smoothing", "rows"),
    [
        # Smoothed 5, 9, 6, 6, 2, 0, 3, 3: nodes are 1 and, the lowest of a level stretch, 6.
        # Around 1 stand 5, 0 and 4; around 6 stand 0, 0 and 3.
        ([5, 0, 4, 2, 0, 0, 0, 3], 1, [0, 7]),
        ([5, 0, 4, 2, 0, 0, 0, 3], 0, [0, 2, 7]),
        ([2, 2, 2], 1, [0]),  # 4, 6, 4: of the three around the middle the lowest
        ([], 1, []),
    ],
)
def test_for_a_node_stands_the_heaviest_row_it_was_summed_from(
    volumes: list[int], smoothing: int, rows: list[int]
) -> None:
    trades = [Trade(0, row, D(row), D(volume), buy=True) for row, volume in enumerate(volumes) if volume]
    assert gathered(profile(bar_of(trades), D(1)), smoothing, D("0.1")) == rows


@pytest.mark.parametrize(
    ("volume", "touched", "expected"),
    [
        # of 8 bars, the highest row being 16
        (16, Touches(5, 0, 7), "100"),
        (16, Touches(9, 0, 7), "100"),  # touches beyond five add nothing
        (0, Touches(0, None, None), "0"),  # an empty row that no bar ever reached
        (0, Touches(1, 3, 3), "16"),  # 0 + 6 + 20·4/8
        (3, Touches(3, 0, 4), "39.9"),  # 9.375 + 18 + 12.5 = 39.875
        (1, Touches(2, 0, 1), "20.1"),  # 3.125 + 12 + 5 = 20.125
    ],
)
def test_strength_is_the_formula(volume: int, touched: Touches, expected: str) -> None:
    assert strength(volume, 16, touched, 8) == D(expected)


def test_a_bar_visits_the_rows_between_its_low_and_its_high() -> None:
    # rows 2, from 1 to 3: visited, left, and visited twice in a row
    assert touches([(1, 3), (4, 9), (2, 2), (0, 2)], 2) == Touches(2, 0, 3)
    assert touches([(4, 9)], 2) == Touches(0, None, None)
    assert touches([], 2) == Touches(0, None, None)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3)), max_size=30), st.integers(0, 9))
def test_touches_are_runs_of_visits(ranges: list[tuple[int, int]], row: int) -> None:
    spans = [(low, low + height) for low, height in ranges]
    inside = [row in range(low, high + 1) for low, high in spans]
    found = touches(spans, row)
    assert found.count == len([1 for visit, _ in groupby(inside) if visit])
    if True in inside:
        assert found.first == inside.index(True)
        assert found.last == len(inside) - 1 - inside[::-1].index(True)
    else:
        assert (found.first, found.last) == (None, None)


@pytest.mark.parametrize(
    ("price", "decimals", "row_size", "row"),
    [(105, 1, "0.5", 21), (109, 1, "0.5", 21), (110, 1, "0.5", 22), (7, 0, "10", 0), (1, 3, "0.25", 0)],
)
def test_a_row_holds_the_prices_from_its_lower_edge_on(
    price: int, decimals: int, row_size: str, row: int
) -> None:
    assert row_of(price, decimals, D(row_size)) == row


def test_levels_next_to_each_other_are_a_zone_and_each_row_counts_once() -> None:
    found = zones(made(), levels(made(), bars(), [101, 104], 103, 5))
    assert [(one.low, one.high, one.volume, one.strength, len(one.levels)) for one in found] == [
        # 100, 101 and 102: 4 + 5 + 16, though 102 is POC and VAH; as strong as the POC
        (100, 102, 25, D(71), 4),
        (104, 104, 2, D("32.2"), 1),
    ]


def test_levels_are_answered_with_their_times() -> None:
    answer = answered(QUESTION, TRADES, end=4 * MINUTE, bar="1m", row_size="1", smoothing="0")
    assert answer["algorithm"] == "liquidity-levels/1"
    assert (answer["heuristic"], answer["row_size"], answer["last_price"]) == (True, "1", "104")
    # nodes without smoothing: 102; 104 stands 2 - 1 = 1 above its saddle, which is less than a tenth of 16
    assert [(one["liquidity_type"], one["price"], one["strength"]) for one in answer["levels"]] == [
        ("val", "100", "23.5"), ("poc", "102", "71"), ("vah", "102", "71"), ("support", "102", "71"),
    ]  # fmt: skip
    assert answer["levels"][1] == {
        "liquidity_type": "poc",
        "price": "102",
        "strength": "71",
        "volume": "16",
        "touches": 1,
        "created_at": "1970-01-01T00:01:00Z",
        "last_touch": "1970-01-01T00:02:00Z",
    }


def zones_near(**given: str) -> dict[str, Any]:
    window = {"bar": "1m", "row_size": "1", "smoothing": "0", "prominence": "0"}
    return answered(NEAR, TRADES, end=4 * MINUTE, **window, **given)


def test_zones_are_those_near_the_price_and_the_nearest_on_either_side() -> None:
    # nodes: 102, and 104 where the last price is; levels: 100 and 102, which are not next to each other
    answer = zones_near(within="5")
    assert answer["price"] == "104"
    assert [(one["low"], one["high"], one["types"]) for one in answer["zones"]] == [
        ("100", "101", ["val"]),
        ("102", "103", ["poc", "support", "vah"]),
    ]
    # from 104 down to the upper edge 103 it is 1 of 104; nothing lies above
    assert answer["nearest_below"]["distance_percent"] == "0.96153846"
    assert answer["nearest_above"] is None


@pytest.mark.parametrize(
    ("price", "within", "positions"),
    [
        ("102", "5", ["below", "at"]),  # a zone holds its lower edge
        ("103", "5", ["below", "below"]),  # and not its upper one
        ("101", "1", ["below", "above"]),  # 99.99 to 102.01
        ("101.5", "0.4", []),  # 101.094 to 101.906: between the two
        ("99", "1.0102", ["above"]),  # up to 100.000098
        ("99", "1", []),  # up to 99.99
        ("202", "50", ["below"]),  # down to 101, the upper edge of the lower zone
        ("50", "1", []),
    ],
)
def test_a_zone_is_near_where_it_reaches_into_the_range(
    price: str, within: str, positions: list[str]
) -> None:
    assert [one["position"] for one in zones_near(price=price, within=within)["zones"]] == positions


def test_an_empty_window_has_no_levels() -> None:
    assert answered(QUESTION, [], end=4 * MINUTE)["levels"] == []
    answer = answered(NEAR, [], end=4 * MINUTE)
    assert (answer["price"], answer["zones"], answer["nearest_below"]) == (None, [], None)


@pytest.mark.parametrize(("name", "value"), [("price", "0"), ("within", "101"), ("count", "0")])
def test_what_cannot_be_is_refused(name: str, value: str) -> None:
    with pytest.raises(QuestionError, match=f"{name} is '{value}'"):
        zones_near(**{name: value})
