"""Answers about the recordings, 36 hours of LTCUSDT among them, are the oracle's: window by window."""

from decimal import Decimal
from pathlib import Path

import agreeing
import oracle
import oracle_measures as measures
import oracle_windows as windows
import pytest
from agreeing import How
from agreement import assert_same_path, assert_same_profile, assert_same_volumes
from recordings import LITECOIN, RECORDINGS, recorded

from wadm.analytics.naked import past_pocs
from wadm.analytics.profile import profile

D = Decimal
SESSIONS = ("00:00@UTC", "17:00@America/Chicago", "09:15@Asia/Kolkata")
SEVENTY = D("0.7")
every_recording = pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name.partition(".")[0])


def row_sizes(path: Path) -> list[Decimal]:
    tick = recorded(path).instrument.tick
    assert tick is not None
    return [tick, 7 * tick, 100 * tick]


def extent(path: Path) -> tuple[int, int]:
    market = recorded(path)
    first = min(trade.at_ms for trade in market.trades)
    return first // windows.MINUTE_MS * windows.MINUTE_MS, market.now_ms


def test_the_recording_of_litecoin_is_whole() -> None:
    market = recorded(LITECOIN)
    assert len(market.trades) == 152_763
    assert len(market.series.closed.starts) > 1_500  # minutes without a trade are none


@every_recording
@pytest.mark.parametrize("timeframe", windows.LENGTHS_MS)
def test_every_window_of_every_timeframe_by_both_methods(path: Path, timeframe: str) -> None:
    market, length = recorded(path), windows.LENGTHS_MS[timeframe]
    sizes = row_sizes(path)
    for number, (start, trades) in enumerate(sorted(oracle.windows(market.trades, length).items())):
        bar = market.series.merged(start * 1000, (start + length) * 1000)
        assert_same_volumes(bar, trades)
        assert_same_path(bar, trades)
        # long windows at every row size, short ones by turns
        chosen = sizes if length >= 3_600_000 else sizes[number % 3 :][:1]
        for size in chosen:
            assert_same_profile(bar, trades, size, shares=[SEVENTY])


# The long recording takes seconds for each: one that changes its clocks stands for the others there.
@pytest.mark.parametrize(
    ("session", "path"),
    [(session, path) for session in SESSIONS for path in RECORDINGS if path is not LITECOIN]
    + [(SESSIONS[1], LITECOIN), (SESSIONS[0], LITECOIN)],
    ids=lambda one: one.name.partition(".")[0] if isinstance(one, Path) else None,
)
def test_sessions_composites_and_naked_pocs(path: Path, session: str) -> None:
    market = recorded(path)
    size = row_sizes(path)[1]
    for start, end in windows.sessions_of(market.trades, session):
        agreeing.profile(market, start, end, How(size))
        agreeing.flow(market, start, end, session)
        agreeing.nodes(market, start, end, size, smoothing=2, prominence=D("0.1"))
        if session.endswith("Chicago"):
            agreeing.cvd(market, start, end, "4h", session)
            agreeing.vwap(market, start, end)
        else:
            agreeing.developing(market, start, end, "4h", How(size))
    start, end = windows.session_window(session, market.now_ms - 1)
    # the present session by name, by the other method
    agreeing.profile(
        market, start, end, How(size, SEVENTY, "single_row"), timeframe="session", session=session
    )
    agreeing.composite(market, 3, session, How(size, D("0.68"), "single_row"))
    agreeing.pocs(market, 3, session, size, SEVENTY)


#: Windows of each recording, short enough that there are several.
SHORTER = [(path, "1m") for path in RECORDINGS if path != LITECOIN] + [(LITECOIN, "1h"), (LITECOIN, "4h")]


@pytest.mark.parametrize(("path", "timeframe"), SHORTER, ids=lambda one: getattr(one, "name", one))
def test_naked_pocs_of_shorter_windows(path: Path, timeframe: str) -> None:
    market, length = recorded(path), windows.LENGTHS_MS[timeframe]
    first, last = extent(path)
    spans = [(at, at + length) for at in range(first // length * length, last, length)]
    size = row_sizes(path)[1]
    made = [(*span, profile(market.series.merged(span[0] * 1000, span[1] * 1000), size)) for span in spans]
    found = past_pocs(made)
    assert [(one.start, one.end, one.row * size, one.touched_in) for one in found] == measures.past_pocs(
        market.trades, spans, size, SEVENTY
    )
    assert path != LITECOIN or timeframe == "4h" or {one.naked for one in found} == {True, False}


@every_recording
def test_flow_footprints_candles_orders_and_vpin(path: Path) -> None:
    market = recorded(path)
    first, last = extent(path)
    middle = (first + last) // 2 // 3_600_000 * 3_600_000
    hour = (
        (max(first, middle - 1_800_000), min(last, middle + 1_800_000))
        if last - first > 3_600_000
        else (first, last)
    )
    size = row_sizes(path)[1]
    for start in range(hour[0], hour[1], 29 * windows.MINUTE_MS if path == LITECOIN else windows.MINUTE_MS):
        agreeing.flow(market, start, start + windows.MINUTE_MS, "17:00@America/Chicago")
    agreeing.footprint(market, *hour, "5m", size, ratio=D(3), minimum=D(1), least=3)
    agreeing.footprint(market, *hour, "1h", size, ratio=D("1.5"), minimum=D(0), least=2)
    agreeing.developing(market, *hour, "5m", How(size, SEVENTY, "single_row"))
    for bar in ("5m", "15m", "1h", "4h", "1d"):
        agreeing.candles(market, first, last, bar)
    agreeing.cvd(market, *hour, "5m", "17:00@America/Chicago")
    for quantile, least in ((D("0.99"), D(0)), (D("0.9"), D(10_000)), (D("0.5"), D("1234.5"))):
        agreeing.large_trades(market, *hour, quantile, least)
    agreeing.trade_sizes(market, first, last)
    volume = oracle.flow(market.trades).volume
    bucket = measures.rounded(oracle.Fraction(volume) / 700, 3)
    agreeing.vpin(market, *hour, bucket, 7)
    agreeing.vpin(market, first, max(last, first + 2 * 3_600_000), bucket, 50)
