"""Recorded trades: what the product folds batch by batch is what the oracle finds in the whole list."""

import gzip
from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from itertools import accumulate, cycle, pairwise
from pathlib import Path

import oracle
import pytest
from agreement import assert_same_path, assert_same_profile, assert_same_ratio, assert_same_volumes
from generated import run_of, unscaled
from oracle import Trade

from wadm.analytics.order_flow import order_flow
from wadm.bar import Bar, merge
from wadm.market import MINUTE
from wadm.series import BarSeries
from wadm.sessions import UTC_DAY
from wadm.timeframes import TIMEFRAMES

FOLDER = Path(__file__).parents[1] / "captures" / "hftbacktest"
RECORDINGS = sorted(FOLDER.glob("*.gz"))
#: As many trades as come in one batch: single ones, small runs, bursts.
BATCHES = (1, 3, 1, 17, 64, 2, 500)


@cache
def recorded(path: Path) -> list[Trade]:
    with gzip.open(path, "rt") as lines:
        return oracle.read_trades(lines, path.name.split("_")[1].upper())


@cache
def series(path: Path) -> BarSeries:
    """The recording folded in batches, with market time moving on as it came."""
    made = BarSeries()
    trades = recorded(path)
    edges = [0]
    for size in cycle(BATCHES):
        edges.append(min(edges[-1] + size, len(trades)))
        if edges[-1] == len(trades):
            break
    highest = accumulate((trade.at_ms for trade in trades), max)
    times = list(highest)
    for first, last in pairwise(edges):
        assert made.fold(run_of(trades[first:last])) == 0
        made.advance(times[last - 1] * 1000)
    return made


def whole(path: Path) -> tuple[int, int]:
    extent = series(path).extent()
    assert extent is not None
    return extent


def ticks(path: Path) -> Decimal:
    return Decimal("0.1") if path.name.startswith("usdm_btcusdt") else Decimal("0.01")


def in_order_of_bars(trades: Sequence[Trade]) -> list[Trade]:
    """Minute after minute, in each minute as they arrived."""
    return sorted(trades, key=lambda trade: trade.at_ms // oracle.MINUTE_MS)


def test_there_are_recordings() -> None:
    assert {path.name.split("_")[1] for path in RECORDINGS} >= {"btcusdt", "ethusdt"}
    assert all(len(recorded(path)) > 100 for path in RECORDINGS)


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name)
def test_volumes_prices_and_the_path_of_delta(path: Path) -> None:
    merged = series(path).merged(*whole(path))
    trades = recorded(path)
    assert_same_volumes(merged, trades)
    assert_same_path(merged, in_order_of_bars(trades))
    assert merged.exact_path == (trades == sorted(trades))


@pytest.mark.parametrize("row_size", ["tick", "7 ticks", "0.5", "1", "10", "25", "33.3"])
@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name)
def test_profiles_of_the_whole(path: Path, row_size: str) -> None:
    size = {"tick": ticks(path), "7 ticks": 7 * ticks(path)}.get(row_size) or Decimal(row_size)
    assert_same_profile(series(path).merged(*whole(path)), recorded(path), size)


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name)
def test_every_window_of_every_timeframe(path: Path, timeframe: str) -> None:
    length = TIMEFRAMES[timeframe]
    found = oracle.windows(recorded(path), length // 1000)
    assert found
    for start_ms, trades in found.items():
        start = start_ms * 1000
        bar = series(path).merged(start, start + length)
        assert (bar.start, bar.end) == (start, start + length)
        assert_same_volumes(bar, trades)
        assert_same_path(bar, in_order_of_bars(trades))
        assert_same_profile(bar, trades, Decimal(5), shares=[Decimal("0.7")])


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name)
def test_order_flow_minute_by_minute(path: Path) -> None:
    trades = recorded(path)
    for start_ms, held in oracle.windows(trades, oracle.MINUTE_MS).items():
        start, end = start_ms * 1000, start_ms * 1000 + MINUTE
        session = series(path).merged(UTC_DAY.window(start)[0], end)
        flow = order_flow(series(path).merged(start, end), session)
        expected = oracle.flow(held)
        assert unscaled(flow.delta, flow.quantity_decimals) == expected.delta
        assert unscaled(flow.delta_high, flow.quantity_decimals) == expected.delta_high
        assert unscaled(flow.delta_low, flow.quantity_decimals) == expected.delta_low
        assert unscaled(flow.volume, flow.quantity_decimals) == expected.volume
        assert unscaled(flow.cvd, flow.quantity_decimals) == oracle.cvd(trades, end // 1000)
        assert_same_ratio(flow.imbalance_ratio, expected.imbalance)


@pytest.mark.parametrize("size", [1, 7, 10**9])
def test_the_size_of_the_batches_does_not_matter(size: int) -> None:
    path = RECORDINGS[0]
    trades = recorded(path)
    bars: dict[int, Bar] = {}
    for start_ms, held in oracle.windows(trades, oracle.MINUTE_MS).items():
        bar = bars[start_ms] = Bar(start_ms * 1000, start_ms * 1000 + MINUTE)
        for first in range(0, len(held), size):
            bar.fold(run_of(held[first : first + size]))
    extent = whole(path)
    merged = merge((bars[start] for start in sorted(bars)), *extent)
    expected = series(path).merged(*extent)
    merged.rescale(8, 8)
    expected.rescale(8, 8)
    assert merged == expected
