"""What a daemon says of its own trades: checks and gaps in its status, alarms in its health."""

import json
from pathlib import Path
from typing import Any

import trio
from spine import BITCOIN, FakeExchange, plan_of, spine, trade

from actors.answers.overview import Overview
from actors.gaps.soundness import LISTED
from wadm.exchanges.base import Gap
from wadm.market import MINUTE, IdKind

#: 2024-08-09T00:00:00Z
START = 1_723_161_600_000_000
KEY = BITCOIN.key


def candle(minute: int, volume: str = "60") -> bytes:
    """Return the frame of a closed candle of a minute with 60 trades of 1 at 100, by buyers all."""
    start = (START + minute * MINUTE) // 1_000
    k = {
        "t": start, "T": start + 59_999, "s": "BTCUSDT", "i": "1m", "f": 1, "L": 60, "o": "100.0", "c": "100",
        "h": "100.00", "l": "100", "v": volume, "n": 60, "x": True, "q": "6000", "V": "60.0", "Q": "6000",
        "B": "0",
    }  # fmt: skip
    data = {"e": "kline", "E": start + 60_000, "s": "BTCUSDT", "k": k}
    return json.dumps({"stream": "btcusdt@kline_1m", "data": data}, separators=(",", ":")).encode()


def minutes(*lost: int) -> list[bytes]:
    """Return a trade a second for five minutes, without some, and a candle behind each minute."""
    frames: list[bytes] = []
    for number in range(300):
        if number and number % 60 == 0:
            frames.append(candle(number // 60 - 1, "60" if number != 180 else "61"))
        if number not in lost:
            frames.append(trade(number + 1, START + number * 1_000_000))
    return frames


async def status_of(directory: Path, frames: list[bytes]) -> dict[str, Any]:
    with trio.fail_after(20):
        async with spine(directory, FakeExchange(frames), plan_of(instruments=[BITCOIN])) as running:
            await running.complete()
            return await Overview(running.runtime).status(fresh=True)


async def test_the_candles_of_a_stream_check_the_bars(tmp_path: Path) -> None:
    status = await status_of(tmp_path, minutes())
    checks = status["symbols"][0]["checks"]
    # The first minute is the one in which receiving began.
    assert (checks["candles_checked"], checks["candles_differing"]) == (3, 1)
    assert checks["candle_differences"] == [
        {"minute": "2024-08-09T00:02:00Z", "volume": {"ours": "60", "theirs": "61"}}
    ]
    assert status["health"]["status"] == "degraded"
    assert any("differs from its candles" in reason for reason in status["health"]["reasons"])
    assert status["gaps"] == []
    assert status["gap_totals"] == {}
    assert status["rest"] == {}


async def test_minutes_with_known_gaps_are_no_alarm(tmp_path: Path) -> None:
    status = await status_of(tmp_path, minutes(100, 150))
    checks = status["symbols"][0]["checks"]
    assert (checks["candles_checked"], checks["candles_differing"]) == (1, 0)
    assert status["gap_totals"] == {KEY: {"open": 2, "unfillable": 0, "suspected": 0, "ids_missing": 2}}
    assert [(gap["kind"], gap["first"]) for gap in status["gaps"]] == [("known", 101), ("known", 151)]


async def test_a_status_lists_the_newest_gaps_and_counts_all(tmp_path: Path) -> None:
    with trio.fail_after(20):
        async with spine(tmp_path, None, plan_of(instruments=[BITCOIN])) as running:
            memory = running.runtime.symbols[KEY]
            for number in range(LISTED + 30):
                memory.note_gap(
                    Gap("binance", "BTCUSDT", IdKind.TRADE, 10 * number, 10 * number + 1, START + number)
                )
            overview = Overview(running.runtime)
            status: dict[str, Any] = await overview.status(fresh=True)
            assert [gap["first"] for gap in status["gaps"]] == [10 * at for at in range(30, LISTED + 30)]
            assert status["gap_totals"][KEY]["open"] == LISTED + 30
            assert len(await overview.gaps()) == LISTED + 30
