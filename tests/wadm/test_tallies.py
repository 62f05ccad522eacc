"""Tallies against merges of the bars they were made of."""

import random

from hypothesis import given
from hypothesis import strategies as st

from wadm.analytics.large_trades import by_size
from wadm.bar import Bar, Digest, merge
from wadm.market import HOUR, MINUTE, IdKind, Trades
from wadm.tallies import HOURS, MINUTES, Tallies

#: 2024-08-09T00:00:00Z
START = 1_723_161_600_000_000


def bar_at(minute: int, seed: int = 0, decimals: int = 3) -> Bar:
    dice = random.Random(f"{minute} {seed}")
    count, at = dice.randint(1, 5), START + minute * MINUTE
    signed = [dice.choice((-1, 1)) * dice.randint(1, 10**6) for _ in range(count)]
    times = sorted(at + dice.randrange(MINUTE) for _ in range(count))
    bar = Bar(at, at + MINUTE, revision=seed)
    bar.fold(
        Trades("binance", "X", IdKind.TRADE, 1, decimals, times, times, [7] * count, signed, [1] * count)
    )
    bar.settle()
    return bar


def assert_sums(tallies: Tallies, bars: list[Bar], start: int, end: int) -> None:
    merged = merge((bar for bar in bars if start <= bar.start < end), start, end)
    found = tallies.between(start, end)
    assert found.delta * 10**merged.quantity_decimals == merged.delta * 10**found.quantity_decimals
    assert {size: count for size, count in found.orders.items() if count} == by_size(merged.orders)


spans = st.tuples(st.integers(0, 300), st.integers(0, 300)).map(sorted)


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 3)), max_size=40), spans, st.integers(0, 5))
def test_sums_are_those_of_the_merge_whatever_was_revised(
    put: list[tuple[int, int]], span: list[int], decimals: int
) -> None:
    tallies, newest = Tallies(), {}
    for place, (minute, seed) in enumerate(put):
        newest[minute] = bar_at(minute, seed, decimals if place % 2 else 3)
        tallies.put(newest[minute])
    bars = [newest[minute] for minute in sorted(newest)]
    assert_sums(tallies, bars, *(START + minute * MINUTE for minute in span))
    assert tallies.known_from == (bars[0].start if bars else None)


def test_hours_are_remembered_when_their_minutes_are_not() -> None:
    tallies, bars = Tallies(), [bar_at(minute) for minute in range(0, 55 * 60, 20)]
    for bar in bars:
        tallies.put(bar)
    newest = bars[-1].start - bars[-1].start % HOUR
    minutes, hours = newest - MINUTES + HOUR, newest - HOURS + HOUR
    assert_sums(tallies, bars, minutes + 20 * MINUTE, newest + 30 * MINUTE)
    assert_sums(tallies, bars, hours, newest + HOUR)
    assert tallies.is_told_apart(minutes + 20 * MINUTE)
    assert tallies.is_told_apart(hours)
    assert not tallies.is_told_apart(minutes - 20 * MINUTE)
    assert not tallies.between(START, hours).orders


def test_a_revision_of_a_minute_that_is_not_told_apart_any_more_is_left_out() -> None:
    tallies, bars = Tallies(), [bar_at(minute) for minute in range(0, 40 * 60, 20)]
    for bar in [*bars, bar_at(20, seed=1)]:
        tallies.put(bar)
    assert_sums(tallies, bars, START, START + 40 * HOUR)


@given(st.lists(spans | st.integers(0, 300), max_size=30))
def test_sums_asked_for_one_after_the_other_are_those_of_the_merge(steps: list[list[int] | int]) -> None:
    """A step is a span that is asked for, or a minute whose bar is closed, or closed again."""
    tallies, newest = Tallies(), {}
    for seed, step in enumerate(steps):
        if isinstance(step, int):
            newest[step] = bar_at(step, seed)
            tallies.put(newest[step])
        else:
            bars = [newest[minute] for minute in sorted(newest)]
            assert_sums(tallies, bars, *(START + minute * MINUTE for minute in step))
            assert all(tallies.between(*(START + minute * MINUTE for minute in step)).orders.values())


def test_what_was_stored_before_is_counted_once() -> None:
    tallies, bars = Tallies(), [bar_at(minute) for minute in range(0, 50 * 60, 20)]
    for bar in bars[100:]:
        tallies.put(bar)
    tallies.put_earlier(START, map(Digest.of, bars[:103]))
    assert tallies.known_from == START
    assert_sums(tallies, bars, START + HOUR, START + 50 * HOUR)
