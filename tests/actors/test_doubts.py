"""Minutes with gaps: once they have ended, the exchange is asked what it counted in them."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import httpx2

from actors.gaps.doubts import PAGE, Doubts
from actors.memory import SymbolMemory
from actors.plan import Plan, PlannedConnection
from actors.rest import Rest
from actors.runtime import Runtime, open_runtime
from wadm.bar import Bar
from wadm.exchanges.base import Filled, Gap
from wadm.market import MINUTE, SECOND, IdKind, Instrument
from wadm.settings import Settings

#: 2024-08-09T00:00:00Z
START = 1_723_161_600_000_000
SPOT = Instrument("binance", "BTCUSDT", Decimal("0.01"), Decimal("0.1"))


@attrs.define
class Binance:
    """A far side that gives candles of one trade of 1 at 100, or what it is told to."""

    answers: list[httpx2.Response] = attrs.field(factory=list)
    asked: list[tuple[int, int]] = attrs.field(factory=list)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        assert request.url.path == "/api/v3/klines"
        start, end = (int(request.url.params[name]) for name in ("startTime", "endTime"))
        self.asked.append((_minute(start * 1_000), _minute(end * 1_000)))
        if self.answers:
            return self.answers.pop(0)
        rows: list[list[Any]] = [
            [at, "100", "100", "100", "100", "1.0", at + 59_999, "100", 1, "1.0", "100", "0"]
            for at in range(start, end + 1, 60_000)
        ]
        return httpx2.Response(200, content=json.dumps(rows))


def _minute(at: int) -> int:
    return (at - START) // MINUTE


def missed(memory: SymbolMemory, at: int, first: int = 5, last: int = 9) -> None:
    memory.note_gap(Gap("binance", "BTCUSDT", IdKind.TRADE, first, last, at))
    memory.note_filled(Filled("binance", "BTCUSDT", IdKind.TRADE, first, last, at))


class Asking:
    """One symbol's memory and the actor's part that settles its doubts."""

    def __init__(self, runtime: Runtime, far: Binance) -> None:
        self.far, self.memory = far, runtime.symbols[SPOT.key]
        self.doubts = Doubts(runtime, "binance")

    def come_to(self, minutes: int, seconds: int = 0) -> None:
        self.memory.market_time = START + minutes * MINUTE + seconds * SECOND


async def _with(far: Binance, directory: Path, *, playback: bool, test: Any) -> None:
    streams = ("btcusdt@trade",)
    connection = PlannedConnection("connection:binance#1", "binance", "ws://x", streams, (SPOT.key,))
    plan = Plan({SPOT.key: SPOT}, {SPOT.key: IdKind.TRADE}, (connection,), playback=playback, rest={})
    async with (
        open_runtime(Settings(), plan, directory) as runtime,
        httpx2.AsyncClient(transport=httpx2.MockTransport(far)) as client,
    ):
        runtime.rest = Rest(client, {"binance": "http://binance.test"}, playback)
        await test(Asking(runtime, far))


async def test_a_minute_is_asked_for_once_it_has_ended(tmp_path: Path) -> None:
    async def test(asking: Asking) -> None:
        missed(asking.memory, START + 3 * MINUTE + SECOND)
        asking.come_to(4, 9)
        assert asking.doubts.any()
        assert not asking.doubts.ended()
        await asking.doubts.settle()
        assert asking.far.asked == []
        asking.come_to(4, 10)
        assert asking.doubts.ended()
        await asking.doubts.settle()
        assert asking.far.asked == [(3, 3)]
        assert asking.memory.candles.knows(START + 3 * MINUTE)
        assert not asking.doubts.any()

    await _with(Binance(), tmp_path, playback=False, test=test)


async def test_minutes_between_the_trades_around_a_gap_are_all_asked_for_page_by_page(tmp_path: Path) -> None:
    async def test(asking: Asking) -> None:
        asking.memory.closed.put(Bar(START, START + MINUTE))
        missed(asking.memory, START + 100 * MINUTE)
        asking.come_to(500)
        await asking.doubts.settle()
        assert asking.far.asked == [(0, 100)]
        assert PAGE > 100

    await _with(Binance(), tmp_path, playback=False, test=test)


async def test_a_candle_that_came_by_itself_is_not_asked_for(tmp_path: Path) -> None:
    async def test(asking: Asking) -> None:
        missed(asking.memory, START + 3 * MINUTE)
        asking.memory.candles.tell(START + 3 * MINUTE, {"volume": "1"})
        asking.come_to(9)
        await asking.doubts.settle()
        assert asking.far.asked == []
        assert not asking.doubts.any()

    await _with(Binance(), tmp_path, playback=False, test=test)


async def test_an_exchange_that_does_not_give_them_is_not_asked_again(tmp_path: Path) -> None:
    async def test(asking: Asking) -> None:
        missed(asking.memory, START + 3 * MINUTE)
        asking.come_to(9)
        await asking.doubts.settle()
        assert asking.far.asked == [(3, 3)]
        assert not asking.doubts.any()

    far = Binance(answers=[httpx2.Response(400, content=b'{"code":-1121,"msg":"Invalid symbol."}')])
    await _with(far, tmp_path, playback=False, test=test)


async def test_a_recordings_exchange_is_not_asked(tmp_path: Path) -> None:
    async def test(asking: Asking) -> None:
        missed(asking.memory, START + 3 * MINUTE)
        asking.come_to(9)
        assert not asking.doubts.any()
        await asking.doubts.settle()
        assert asking.far.asked == []

    await _with(Binance(), tmp_path, playback=True, test=test)
