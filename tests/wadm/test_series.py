"""The series of one-minute bars against a model that keeps every trade."""

from collections.abc import Sequence
from decimal import Decimal

import pytest
from agreement import assert_same_path, assert_same_profile, assert_same_volumes
from generated import batches, numbers, run_of
from hypothesis import given
from hypothesis import strategies as st
from oracle import Trade

from wadm.bar import Bar, decode, encode, merge
from wadm.market import DAY, HOUR, MINUTE, SECOND
from wadm.series import BarSeries, ClosedBars

D = Decimal
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
KEEP = 2 * HOUR
SPAN_MS = 6 * HOUR_MS


def trade(at_ms: int, number: int = 1, price: str = "1", quantity: str = "1", *, buy: bool = True) -> Trade:
    return Trade(at_ms, number, D(price), D(quantity), buy)


class Model:
    """What the series should hold: trades by minute, in the order they came."""

    def __init__(self) -> None:
        self.open: dict[int, list[Trade]] = {}
        self.closed: dict[int, list[Trade]] = {}
        self.revisions: dict[int, int] = {}

    def fold(self, trades: Sequence[Trade]) -> int:
        too_old = 0
        for one in trades:
            start = one.at_ms * 1000 // MINUTE * MINUTE
            if start not in self.open:
                if start in self.closed:
                    self.open[start] = list(self.closed[start])
                    self.revisions[start] += 1
                elif self.closed and start < max(self.closed) + MINUTE - KEEP:
                    too_old += 1
                    continue
                else:
                    self.open[start] = []
                    self.revisions[start] = 0
            self.open[start].append(one)
        return too_old

    def close(self, starts: Sequence[int]) -> list[int]:
        for start in sorted(starts):
            self.closed[start] = self.open.pop(start)
        if self.closed:
            oldest = max(self.closed) - KEEP
            self.closed = {start: held for start, held in self.closed.items() if start >= oldest}
        return sorted(starts)

    def between(self, start: int, end: int) -> list[Trade]:
        held = self.closed | self.open
        return [one for at in sorted(held) if start <= at < end for one in held[at]]

    def in_order(self, start: int, end: int) -> bool:
        held = self.closed | self.open
        return all(held[at] == sorted(held[at]) for at in held if start <= at < end)


def check(series: BarSeries, model: Model, start: int, end: int) -> None:
    merged, trades = series.merged(start, end), model.between(start, end)
    assert (merged.start, merged.end) == (start, end)
    assert_same_volumes(merged, trades)
    assert_same_path(merged, trades)
    assert merged.exact_path == model.in_order(start, end)
    assert_same_profile(merged, trades, D("0.5"), shares=[D("0.7")])


@st.composite
def times(draw: st.DrawFn) -> int:
    """Times that cluster: on the edges of minutes and hours, and in a few minutes."""
    hour = draw(st.integers(0, SPAN_MS // HOUR_MS - 1)) * HOUR_MS
    minute = draw(st.sampled_from([0, 1, 2, 30, 59])) * MINUTE_MS
    return hour + minute + draw(st.sampled_from([0, 1, 30_000, 59_999]))


@st.composite
def any_trades(draw: st.DrawFn) -> list[Trade]:
    ids = st.integers(1, 10**6)
    return [
        Trade(draw(times()), draw(ids), draw(numbers(6, 2)), draw(numbers(9, 2)), draw(st.booleans()))
        for _ in range(draw(st.integers(0, 6)))
    ]


STARTS = st.integers(-1, SPAN_MS // MINUTE_MS) | st.sampled_from([0, 60, 120, 180, 240])
LENGTHS = st.sampled_from([1, 2, 5, 59, 60, 61, 120, 180, 240, 1440])


@given(st.data())
def test_any_window_is_the_merge_of_its_trades_whatever_came_late(data: st.DataObject) -> None:
    series, model = BarSeries(ClosedBars(keep=KEEP)), Model()
    seen: set[tuple[int, int]] = set()
    for _ in range(data.draw(st.integers(1, 10))):
        match data.draw(st.sampled_from(["fold", "fold", "fold", "advance", "finish", "ask"])):
            case "fold":
                fresh = [one for one in data.draw(any_trades()) if (one.at_ms, one.id) not in seen]
                fresh = list({(one.at_ms, one.id): one for one in fresh}.values())
                seen.update((one.at_ms, one.id) for one in fresh)
                too_old = sum(series.fold(run) for run in data.draw(batches(fresh)))
                assert too_old == model.fold(fresh)
            case "advance":
                now = data.draw(times()) * 1000 + data.draw(st.sampled_from([0, MINUTE, 2 * SECOND]))
                due = [start for start in model.open if start + MINUTE + series.grace <= now]
                closed = series.advance(now)
                assert [bar.start for bar in closed] == model.close(due)
                assert [bar.revision for bar in closed] == [model.revisions[bar.start] for bar in closed]
                assert not any(bar.partial for bar in closed)
            case "finish":
                now = data.draw(times()) * 1000
                closed = series.finish(now)
                assert [bar.start for bar in closed] == model.close(list(model.open))
                assert [bar.partial for bar in closed] == [bar.end > now for bar in closed]
            case _:
                start = data.draw(STARTS) * MINUTE
                check(series, model, start, start + data.draw(LENGTHS) * MINUTE)
    held = sorted(model.closed | model.open)
    assert series.extent() == ((held[0], held[-1] + MINUTE) if held else None)
    assert series.closed.starts == sorted(model.closed) == sorted(series.closed.packed)
    check(series, model, 0, SPAN_MS * 1000)
    for start in range(0, SPAN_MS * 1000, HOUR):
        check(series, model, start, start + HOUR)


def closed_hours(*hours: int) -> BarSeries:
    """One closed bar at the start of each hour, and one in its middle."""
    series = BarSeries()
    for number, hour in enumerate(hours):
        early, late = trade(hour * HOUR_MS, 2 * number), trade(hour * HOUR_MS + HOUR_MS // 2, 2 * number + 1)
        series.fold(run_of([early, late]))
        series.advance((hour + 1) * HOUR)
    return series


def test_a_bar_closes_when_its_end_and_the_grace_have_passed() -> None:
    series = BarSeries()
    series.fold(run_of([trade(59_999)]))
    assert series.advance(MINUTE + series.grace - 1) == []
    assert [bar.start for bar in series.advance(MINUTE + series.grace)] == [0]
    assert series.advance(DAY) == []


def test_a_trade_on_the_edge_of_a_minute_belongs_to_the_minute_it_begins() -> None:
    series = BarSeries()
    series.fold(run_of([trade(59_999, 1), trade(60_000, 2), trade(119_999, 3), trade(120_000, 4)]))
    assert {start: bar.buy_trades for start, bar in series.open.items()} == {0: 1, MINUTE: 2, 2 * MINUTE: 1}


def test_a_late_trade_revises_a_closed_bar_and_the_hour_it_stands_in() -> None:
    series = closed_hours(0, 1, 2)
    assert series.merged(0, 3 * HOUR).buy_volume == 6  # the hours are cached now
    series.fold(run_of([trade(HOUR_MS + 5, 99, quantity="10")]))
    assert series.merged(0, 3 * HOUR).buy_volume == 16  # before the revision is closed
    (revised,) = series.advance(4 * HOUR)
    assert (revised.start, revised.revision, revised.buy_volume) == (HOUR, 1, 11)
    assert series.merged(0, 3 * HOUR).buy_volume == 16
    assert series.merged(HOUR, 2 * HOUR).buy_volume == 12
    series.fold(run_of([trade(HOUR_MS + 6, 100)]))
    (again,) = series.advance(4 * HOUR)
    assert again.revision == 2
    stored = series.closed.get(HOUR)
    assert stored is not None
    assert stored == again


def test_a_late_bar_before_the_first_and_between_the_closed_ones_is_merged_in_its_place() -> None:
    series = closed_hours(5, 7)
    series.merged(0, 24 * HOUR)
    late = [trade(3 * HOUR_MS, 50, price="9"), trade(6 * HOUR_MS, 51, price="9", buy=False, quantity="7")]
    series.fold(run_of(late))
    for _ in range(2):
        merged = series.merged(0, 24 * HOUR)
        assert (merged.buy_volume, merged.sell_volume) == (5, 7)
        # +1 (3h) +2 (5h) -7 (6h) +2 (7h)
        assert (merged.delta_high, merged.delta_low, merged.delta) == (3, -4, -2)
        assert merged.open is not None
        assert merged.open[2] == 9
        series.advance(9 * HOUR)
    assert series.extent() == (3 * HOUR, 7 * HOUR + HOUR // 2 + MINUTE)


def test_a_trade_older_than_the_bars_kept_is_counted_and_not_folded() -> None:
    series = BarSeries(ClosedBars(keep=HOUR))
    series.fold(run_of([trade(10 * HOUR_MS)]))
    series.advance(11 * HOUR)
    oldest = 10 * HOUR_MS + MINUTE_MS - HOUR_MS
    assert series.fold(run_of([trade(oldest - 1, 2), trade(oldest, 3), trade(oldest - 1, 4)])) == 2
    assert series.merged(0, 24 * HOUR).buy_volume == 2


def test_a_bar_that_is_let_go_leaves_its_hour_too() -> None:
    series = BarSeries(ClosedBars(keep=HOUR))
    series.fold(run_of([trade(0, 1), trade(30 * MINUTE_MS, 2), trade(HOUR_MS, 3)]))
    series.advance(2 * HOUR)
    assert series.merged(0, 3 * HOUR).buy_volume == 3
    series.fold(run_of([trade(HOUR_MS + 15 * MINUTE_MS, 4)]))
    series.advance(2 * HOUR)
    assert series.merged(0, 3 * HOUR).buy_volume == 3
    assert series.merged(0, HOUR).buy_volume == 1
    assert set(series.closed.hours) <= {0, HOUR}


def test_what_stood_closed_is_bounded_by_what_is_kept() -> None:
    closed = ClosedBars(keep=2 * HOUR)
    for minute in range(600):
        closed.put(Bar(minute * MINUTE, (minute + 1) * MINUTE))
        list(closed.between(0, (minute + 1) * MINUTE))
    assert len(closed.starts) == len(closed.packed) == 121
    assert len(closed.hours) <= 4


def test_a_day_is_merged_from_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    series = BarSeries()
    for minute in range(24 * 60):
        series.fold(run_of([trade(minute * MINUTE_MS, minute)]))
    series.advance(2 * DAY)
    assert series.merged(0, DAY).buy_volume == 1440
    read: list[bytes] = []

    def counted(data: bytes) -> Bar:
        read.append(data)
        return decode(data)

    monkeypatch.setattr("wadm.bar.decode", counted)
    assert series.merged(0, DAY).buy_volume == 1440
    assert not read  # asked for again, it is there as it was
    assert series.merged(HOUR, DAY).buy_volume == 1380
    assert len(read) == 23 + 1


def test_a_day_that_grows_is_not_merged_from_its_start_again(monkeypatch: pytest.MonkeyPatch) -> None:
    series = BarSeries()
    for minute in range(23 * 60):
        series.fold(run_of([trade(minute * MINUTE_MS, minute)]))
    series.advance(23 * HOUR + SECOND)
    read: list[bytes] = []

    def counted(data: bytes) -> Bar:
        read.append(data)
        return decode(data)

    monkeypatch.setattr("wadm.bar.decode", counted)
    for minute in range(23 * 60, 24 * 60 + 10):
        series.fold(run_of([trade(minute * MINUTE_MS, minute)]))
        series.advance((minute + 1) * MINUTE + 2 * SECOND)
        assert series.merged(0, DAY + HOUR).buy_volume == minute + 1
    # 70 questions: the first goes through all, an hour's end through an hour, the others through a few bars.
    assert len(read) < (23 * 60 + 23) + 2 * (60 + 2) + 70 * (2 + 10)


def test_a_window_asked_for_all_the_time_costs_one_bar_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    series = closed_hours(0, 1)
    read: list[bytes] = []

    def counted(data: bytes) -> Bar:
        read.append(data)
        return decode(data)

    monkeypatch.setattr("wadm.bar.decode", counted)
    volume = series.merged(0, 3 * HOUR).buy_volume
    read.clear()
    for minute in range(120, 180):
        series.fold(run_of([trade(minute * MINUTE_MS, minute)]))
        series.advance((minute + 1) * MINUTE + 2 * SECOND)
        for _ in range(3):
            assert series.merged(0, 3 * HOUR).buy_volume == volume + minute - 119
        assert len(series.closed.merges) == 1
    assert len(read) <= 60 + 1
    for minute in (180, 181):
        series.fold(run_of([trade(minute * MINUTE_MS, minute)]))
        series.advance((minute + 1) * MINUTE + 2 * SECOND)
    assert not len(series.closed.merges)  # nobody asks any more


@given(st.data())
def test_what_is_remembered_of_merges_is_right_whatever_is_asked_and_put(data: st.DataObject) -> None:
    """Windows are asked for again and again while bars are added, revised and let go."""
    closed, volumes = ClosedBars(keep=5 * HOUR), dict[int, int]()
    minutes = st.integers(0, 500) | st.sampled_from([0, 5, 55, 60, 65, 120, 125, 180, 300, 360, 420])
    for number in range(data.draw(st.integers(1, 16))):
        if data.draw(st.booleans()):
            first = data.draw(minutes)
            for minute in range(first, first + data.draw(st.sampled_from([1, 1, 7, 60]))):
                closed.put(bar_of([trade(minute * MINUTE_MS, number, quantity=str(number + 1))], minute))
                volumes[minute] = number + 1
                newest = max(volumes)
                volumes = {at: held for at, held in volumes.items() if at >= newest - 300}
        start, end = sorted((data.draw(minutes), data.draw(minutes)))
        if data.draw(st.booleans()):  # as it is merged ahead
            for since, until in closed.missing(start * MINUTE, end * MINUTE):
                pieces = closed.parts(since, until)
                closed.stretches.keep(since, until, encode(merge(map(decode, pieces), since, until)))
        for _ in range(2):
            merged = closed.merged(start * MINUTE, end * MINUTE)
            assert merged.buy_volume == sum(held for at, held in volumes.items() if start <= at < end)
            assert (merged.start, merged.end) == (start * MINUTE, end * MINUTE)


def test_what_is_missing_is_what_would_be_merged_of_minutes() -> None:
    closed = closed_hours(0, 1).closed
    asked = (18 * MINUTE, HOUR + 40 * MINUTE)
    assert closed.missing(*asked) == [(20 * MINUTE, HOUR), (HOUR, HOUR + 30 * MINUTE)]  # of whole blocks
    closed.merged(*asked)
    assert closed.missing(*asked) == []
    assert ClosedBars().missing(*asked) == []


def bar_of(trades: Sequence[Trade], minute: int) -> Bar:
    bar = Bar(minute * MINUTE, (minute + 1) * MINUTE)
    bar.fold(run_of(trades))
    return bar


def test_a_window_of_ten_thousand_years_costs_no_more_than_the_bars_there_are() -> None:
    series = closed_hours(480_000, 480_001)
    asked = (-62_135_596_800_000_000, 253_402_300_740_000_000)
    assert [bar.start // HOUR for bar in series.closed.between(*asked)] == [480_000, 480_001, 480_001]
    assert series.merged(*asked).buy_volume == 4
    assert list(ClosedBars().between(*asked)) == []


def test_the_bar_still_going_on_at_the_end_is_partial_and_whole_once_it_went_on() -> None:
    series = BarSeries()
    series.fold(run_of([trade(5, 1), trade(60_005, 2)]))
    first, second = series.finish(MINUTE + 10)
    assert (first.partial, second.partial) == (False, True)
    assert series.merged(0, HOUR).partial
    series.fold(run_of([trade(60_010, 3)]))
    (second,) = series.advance(HOUR)
    assert (second.partial, second.revision, second.buy_volume) == (False, 1, 2)
    assert not series.merged(0, HOUR).partial


def test_a_bar_that_ends_with_the_data_is_whole() -> None:
    series = BarSeries()
    series.fold(run_of([trade(5)]))
    (bar,) = series.finish(MINUTE)
    assert not bar.partial


def test_what_was_answered_and_what_was_closed_stays_as_it_was() -> None:
    series = BarSeries()
    series.fold(run_of([trade(1, 1)]))
    answer = series.merged(0, MINUTE)
    (closed,) = series.finish(MINUTE)
    before = encode(answer), encode(closed)
    series.fold(run_of([trade(2, 2)]))
    assert (encode(answer), encode(closed)) == before


def test_closed_bars_know_since_when_they_are_all_there_are() -> None:
    for known, forgotten in ((0, 3 * HOUR - KEEP), (2 * HOUR, 2 * HOUR), (None, 3 * HOUR - KEEP)):
        closed = ClosedBars(KEEP, since=known)
        closed.put(Bar(0, MINUTE))
        closed.put(Bar(HOUR, HOUR + MINUTE))
        assert closed.since == known
        closed.put(Bar(3 * HOUR, 3 * HOUR + MINUTE))
        assert (closed.starts, closed.since) == ([HOUR, 3 * HOUR], forgotten)


def test_an_empty_series_answers_with_an_empty_bar() -> None:
    series = BarSeries()
    assert series.extent() is None
    assert series.fold(run_of([])) == 0
    assert series.advance(DAY) == series.finish(DAY) == []
    assert series.merged(0, HOUR) == Bar(0, HOUR)


def test_every_window_begins_and_ends_on_its_own_minute() -> None:
    series = BarSeries()
    for minute in range(180):
        series.fold(run_of([trade(minute * MINUTE_MS, minute)]))
        series.advance(minute * MINUTE)  # the last few minutes stay open
        if minute % 7 == 0:
            assert series.merged(0, 3 * HOUR).buy_volume == minute + 1
    edges = [0, 1, 2, 58, 59, 60, 61, 118, 119, 120, 121, 170, 177, 178, 179, 180]
    for start in edges:
        for end in edges:
            if start < end:
                merged = series.merged(start * MINUTE, end * MINUTE)
                assert merged.buy_volume == end - start
                assert (merged.open, merged.close) == (
                    (start * MINUTE, start, 1),
                    ((end - 1) * MINUTE, end - 1, 1),
                )
