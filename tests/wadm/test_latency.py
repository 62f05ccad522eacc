"""Percentiles out of a histogram are those of the sorted list, at most 1/16 above."""

import math

from hypothesis import given
from hypothesis import strategies as st

from wadm.latency import Latency

durations = st.lists(st.integers(0, 10**9), min_size=1, max_size=200)
shares = st.sampled_from([0.0, 0.25, 0.5, 0.9, 0.95, 0.99, 1.0])


def measured(values: list[int]) -> Latency:
    latency = Latency()
    for value in values:
        latency.add(value)
    return latency


@given(durations, shares)
def test_a_percentile_is_that_of_the_sorted_list_within_a_sixteenth(values: list[int], share: float) -> None:
    exact = sorted(values)[max(math.ceil(share * len(values)) - 1, 0)]
    found = measured(values).percentile(share)
    assert found is not None
    assert exact <= found <= exact * 17 / 16


@given(durations, durations, shares)
def test_merged_histograms_answer_as_one(one: list[int], two: list[int], share: float) -> None:
    merged = measured(one)
    merged.merge(measured(two))
    assert merged == measured(one + two)
    assert merged.percentile(share) == measured(two + one).percentile(share)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 50)), min_size=1, max_size=20), shares)
def test_a_weight_counts_as_so_many_events(weighted: list[tuple[int, int]], share: float) -> None:
    latency, plainly = Latency(), measured([value for value, weight in weighted for _ in range(weight)])
    for value, weight in weighted:
        latency.add(value, weight)
    assert latency.percentile(share) == plainly.percentile(share)
    assert latency.total == plainly.total


def test_without_events_there_is_no_percentile() -> None:
    assert Latency().percentiles() == {"p50": None, "p95": None, "p99": None}


def test_a_clock_that_ran_backwards_counts_as_nothing() -> None:
    assert measured([-5]).percentile(1) == 0


@given(durations)
def test_however_many_there_were_they_fit_into_few_counters(values: list[int]) -> None:
    assert len(measured(values).counts) <= 30 * 16


def test_the_three_usual_percentiles_come_together() -> None:
    assert measured(list(range(16))).percentiles() == {"p50": 7, "p95": 15, "p99": 15}
