"""How far a clock is off is told by the quickest answer, and is an alarm only where it is certain."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wadm.clock import BOUND, Probe, Skew, advice, skew
from wadm.market import MILLISECOND, SECOND


def probe(offset_ms: int, there_ms: int, back_ms: int, at: int = 1_789_295_119_833_000) -> Probe:
    """Ask at ``at`` (local µs) an exchange so far away, whose clock is ``offset_ms`` ahead."""
    told = at + (there_ms + offset_ms) * MILLISECOND
    round_trip = (there_ms + back_ms) * MILLISECOND
    return Probe(told, at + round_trip, round_trip)


@pytest.mark.parametrize(
    ("probes", "offset_ms", "uncertainty_ms"),
    [
        ([(0, 50, 50)], 0, 50),
        ([(2_000, 50, 50)], 2_000, 50),
        ([(-2_000, 50, 50)], -2_000, 50),
        ([(0, 100, 0)], 50, 50),  # all the way there: as wrong as it can be
        ([(0, 0, 100)], -50, 50),
        ([(7, 900, 100), (7, 10, 10), (7, 200, 300)], 7, 10),
        ([(7, 0, 0)], 7, 0),
    ],
)
def test_the_quickest_answer_counts(
    probes: list[tuple[int, int, int]], offset_ms: int, uncertainty_ms: int
) -> None:
    found = skew(probe(*one) for one in probes)
    assert found == Skew(offset_ms * MILLISECOND, uncertainty_ms * MILLISECOND)


@given(
    st.integers(-(10**9), 10**9),
    st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**7)), min_size=1, max_size=5),
)
def test_the_truth_is_within_the_uncertainty(offset: int, ways: list[tuple[int, int]]) -> None:
    at = 10**15
    found = skew(Probe(at + there + offset, at + there + back, there + back) for there, back in ways)
    assert abs(found.offset - offset) <= found.uncertainty + 1  # µs are not halved
    assert found.uncertainty == min(there + back for there, back in ways) // 2


@pytest.mark.parametrize(
    ("offset", "uncertainty", "excessive"),
    [
        (0, 0, False),
        (BOUND, 0, False),
        (BOUND + 1, 0, True),
        (-BOUND - 1, 0, True),
        (BOUND + 1, 1, False),
        (5 * SECOND, 4 * SECOND, False),  # so slow an answer proves nothing
        (5 * SECOND + 1, 4 * SECOND, True),
        (-5 * SECOND, 3 * SECOND, True),
    ],
)
def test_a_clock_is_wrong_only_where_that_is_certain(offset: int, uncertainty: int, excessive: bool) -> None:
    assert Skew(offset, uncertainty).excessive is excessive


@pytest.mark.parametrize(
    ("offset", "says"),
    [
        (2_500 * MILLISECOND, "2.5 s behind that of binance"),
        (-90 * SECOND, "90.0 s ahead of that of binance"),
    ],
)
def test_the_advice_says_how_far_which_way_and_what_to_do(offset: int, says: str) -> None:
    text = advice("binance", Skew(offset, 0))
    assert says in text
    assert "NTP" in text
