"""What is counted of each connection, and of all together."""

import trio
import trio.testing

from actors.connections.collectors import NAMED, Collectors
from actors.connections.memory import ConnectionMemory
from wadm.market import SECOND


def memory(number: int, *streams: str) -> ConnectionMemory:
    return ConnectionMemory(f"connection:binance#{number}", "binance", streams)


async def test_each_connection_tells_what_it_carries_and_counts(
    autojump_clock: trio.testing.MockClock,
) -> None:
    await trio.sleep(100)
    one = memory(1, "btcusdt@trade", "ethusdt@trade", "xusdt@trade")
    one.state, one.connects, one.rollovers, one.gaps = "connected", 3, 4, 5
    one.frames, one.trades, one.bytes = 600, 700, 80_000
    one.acknowledged, one.heard = 2, 1
    one.silent, one.refused = {"ethusdt@trade": 40.0}, {"xusdt@trade": "Invalid symbol"}
    one.last_frame_at, one.connected_at = 98.5, 1_723_161_600 * SECOND
    one.lag.add(20_000, 99)
    one.lag.add(900_000)
    (told,) = Collectors({one.name: one}).each()
    lag = told.pop("lag_ms")
    assert isinstance(lag, dict)
    assert 20 <= lag["p50"] <= lag["p99"] <= 21.5
    assert told == {
        "name": "connection:binance#1",
        "exchange": "binance",
        "state": "connected",
        "reason": "",
        "connected_since": "2024-08-09T00:00:00Z",
        "streams": 3,
        "streams_acknowledged": 2,
        "streams_heard": 1,
        "streams_silent": 1,
        "streams_refused": 1,
        "silent": {"ethusdt@trade": 60},
        "refused": {"xusdt@trade": "Invalid symbol"},
        "frames": 600,
        "frames_per_second": 0.0,
        "trades": 700,
        "trades_per_second": 0.0,
        "bytes": 80_000,
        "bytes_per_second": 0.0,
        "reconnects": 2,
        "rollovers": 4,
        "gaps": 5,
        "last_frame_age": 1.5,
    }


async def test_a_connection_that_never_was_has_no_ages() -> None:
    (told,) = Collectors({"one": memory(1)}).each()
    assert (told["connected_since"], told["last_frame_age"]) == (None, None)
    assert told["lag_ms"] == {"p50": None, "p99": None}


async def test_all_together() -> None:
    one, other = memory(1, "btcusdt@trade"), memory(2, "ethusdt@trade", "xusdt@trade")
    one.state, one.frames, one.connects = "connected", 10, 2
    other.frames, other.gaps, other.silent = 7, 1, {"xusdt@trade": 0.0}
    collectors = Collectors({"one": one, "other": other})
    total = collectors.total(collectors.each())
    assert (total["collectors"], total["connected"]) == (2, 1)
    assert (total["streams"], total["streams_silent"], total["streams_refused"]) == (3, 1, 0)
    assert (total["frames"], total["reconnects"], total["gaps"]) == (17, 1, 1)


async def test_silent_and_refused_streams_are_alarms_and_named_within_reason() -> None:
    one = memory(1, *(f"x{number}usdt@trade" for number in range(100)))
    collectors = Collectors({"one": one})
    assert collectors.alarms() == []
    one.silent = dict.fromkeys(one.streams, 0.0)
    one.refused = {"badusdt@trade": "no"}
    assert collectors.alarms() == [
        "connection:binance#1: silent: x0usdt@trade, x1usdt@trade, x2usdt@trade and 97 more",
        "connection:binance#1: refused: badusdt@trade",
    ]
    (told,) = collectors.each()
    silent = told["silent"]
    assert isinstance(silent, dict)
    assert (len(silent), told["streams_silent"]) == (NAMED, 100)
