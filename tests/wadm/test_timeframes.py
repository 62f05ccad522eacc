"""Timeframes and instants."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wadm.instants import iso, parse_instant
from wadm.market import DAY, HOUR, MINUTE
from wadm.timeframes import TIMEFRAMES, DueWindows, Window, window

YEARS_1_TO_9999 = st.integers(parse_instant("0001-01-01"), parse_instant("9999-12-31T23:59:59.999999"))


def micros(text: str) -> int:
    moment = datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("timeframe", "start", "end"),
    [
        ("1m", "2024-08-08 23:58", "2024-08-08 23:59"),
        ("5m", "2024-08-08 23:55", "2024-08-09 00:00"),
        ("15m", "2024-08-08 23:45", "2024-08-09 00:00"),
        ("1h", "2024-08-08 23:00", "2024-08-09 00:00"),
        ("4h", "2024-08-08 20:00", "2024-08-09 00:00"),
        ("1d", "2024-08-08 00:00", "2024-08-09 00:00"),
    ],
)
def test_the_window_that_holds_a_time(timeframe: str, start: str, end: str) -> None:
    found = window(timeframe, micros("2024-08-08 23:58") + 30_000_000)
    assert found == (micros(start), micros(end))


@given(st.sampled_from(sorted(TIMEFRAMES)), st.integers(-(10**18), 10**18))
def test_windows_meet_end_to_start_and_are_aligned_to_utc(timeframe: str, at: int) -> None:
    start, end = window(timeframe, at)
    assert start <= at < end
    assert start % TIMEFRAMES[timeframe] == 0
    assert window(timeframe, start) == (start, end)
    assert window(timeframe, end)[0] == end
    assert window(timeframe, start - 1)[1] == start


def test_the_timeframes_divide_each_other_and_are_whole_minutes() -> None:
    lengths = list(TIMEFRAMES.values())
    assert list(TIMEFRAMES) == ["1m", "5m", "15m", "1h", "4h", "1d"]
    assert (lengths[0], lengths[3], lengths[5]) == (MINUTE, HOUR, DAY)
    assert all(longer % shorter == 0 for shorter, longer in pairwise(lengths))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-08-08T23:55:00Z", "2024-08-08 23:55"),
        ("2024-08-08T23:55Z", "2024-08-08 23:55"),
        ("2024-08-08T23:55:00", "2024-08-08 23:55"),
        ("2024-08-08 23:55", "2024-08-08 23:55"),
        ("2024-08-09T01:55:00+02:00", "2024-08-08 23:55"),
        ("2024-08-08T23:55:00.000000Z", "2024-08-08 23:55"),
        ("2024-08-08", "2024-08-08 00:00"),
    ],
)
def test_iso_8601_is_read_in_utc_unless_it_names_an_offset(text: str, expected: str) -> None:
    assert parse_instant(text) == micros(expected)


@pytest.mark.parametrize(
    "text",
    [
        *("", "now", "1723161300", "2024-13-01", "2024-08-08T25:00", "24-08-08"),
        # in UTC these lie outside the years that can be written
        *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:00-23:59"),
    ],
)
def test_text_that_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_instant(text)


@given(YEARS_1_TO_9999)
def test_an_instant_comes_back_from_its_text(instant: int) -> None:
    text = iso(instant)
    assert text.endswith("Z")
    assert parse_instant(text) == instant


@given(st.datetimes(timezones=st.timezones() | st.just(UTC)))
def test_whatever_is_read_can_be_written(moment: datetime) -> None:
    try:
        instant = parse_instant(moment.isoformat())
    except ValueError:
        return
    assert parse_instant(iso(instant)) == instant


def test_instants_are_written_with_a_fraction_only_where_there_is_one() -> None:
    assert iso(0) == "1970-01-01T00:00:00Z"
    assert iso(1_723_161_600_000_000) == "2024-08-09T00:00:00Z"
    assert iso(1_723_161_600_250_000) == "2024-08-09T00:00:00.250000Z"
    assert iso(-1) == "1969-12-31T23:59:59.999999Z"


def ended(due: DueWindows, by: int | None) -> list[Window]:
    found = []
    while due.next(by) is not None:
        found.append(due.take())
    return found


def test_a_closed_bar_makes_each_of_its_windows_due_once() -> None:
    due = DueWindows()
    for minute in (58, 59, 59):
        due.noted(minute * MINUTE)
    assert len(due) == 7
    assert ended(due, HOUR - 1) == [("1m", 58 * MINUTE, 59 * MINUTE)]
    assert ended(due, HOUR - 1) == []
    assert ended(due, HOUR) == [
        ("1m", 59 * MINUTE, HOUR),
        ("5m", 55 * MINUTE, HOUR),
        ("15m", 45 * MINUTE, HOUR),
        ("1h", 0, HOUR),
    ]
    assert ended(due, HOUR) == []
    assert ended(due, None) == [("4h", 0, 4 * HOUR), ("1d", 0, DAY)]
    assert not due


def test_a_bar_closed_again_makes_its_windows_due_again() -> None:
    due = DueWindows()
    due.noted(0)
    ended(due, None)
    due.noted(0)
    assert [timeframe for timeframe, _, _ in ended(due, None)] == list(TIMEFRAMES)


def test_a_window_put_back_is_the_next_again() -> None:
    due = DueWindows()
    due.noted(0)
    first = due.take()
    assert first not in due
    due.put(first)
    due.put(first)
    assert (due.next(None), len(due)) == (first, len(TIMEFRAMES))
