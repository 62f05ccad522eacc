"""REST beside the WebSockets: the capture's trades as far as it was played, as Binance writes them."""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence, Set
from contextlib import asynccontextmanager
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import h11
import httpx2
import msgspec
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from playback_recordings import NS, aggregate, listen, trade, write_capture

from actors.playback.binance import BINANCE
from actors.playback.binance_market import FUTURES, SPOT, Market
from actors.playback.binance_rest import BinanceRest, quote_quantity
from actors.playback.capture import Capture, Frame, read_capture
from actors.playback.client import Host
from actors.playback.dialect import Reply
from actors.playback.history import History, Series
from actors.playback.names import stream_of
from actors.playback.player import Player
from actors.playback.process import LocalExchange, local_exchange
from actors.playback.rest import SLICE, RestDesk
from wadm.exchanges import binance_rest as reader

RECORDED = Path(__file__).parents[2] / "captures" / "hftbacktest"
USDM = [RECORDED / "usdm_btcusdt_20240718.gz"]
SPOT_TRADES = [RECORDED / f"spot_{symbol}_20240808_trades.gz" for symbol in ("btcusdt", "ethusdt")]
KEY = {"X-MBX-APIKEY": "any"}


# --- what is answered ---


def capture_of(bodies: Sequence[bytes]) -> Capture:
    frames = [Frame(NS + at, str(stream_of(body)), body) for at, body in enumerate(bodies)]
    return Capture(frames, [], tuple(dict.fromkeys(frame.stream for frame in frames)))


def answer(
    market: Market, bodies: Sequence[bytes], target: str, headers: Mapping[str, str] | None = None
) -> tuple[int, Any]:
    """Ask for ``target`` when all of ``bodies`` are played."""
    capture = capture_of(bodies)
    service = BinanceRest(market, capture)
    service.read(capture.frames)
    reply = service.answer(target, {"x-mbx-apikey": "any"} if headers is None else headers)
    return reply.status, json.loads(reply.body)


def test_a_spot_trade() -> None:
    assert answer(SPOT, [trade("btcusdt", 7)], "/api/v3/historicalTrades?symbol=BTCUSDT&fromId=0", {}) == (
        200,
        [
            {
                "id": 7,
                "price": "61837.63000000",
                "qty": "0.02000000",
                "quoteQty": "1236.75260000",
                "time": 1723161255349,
                "isBuyerMaker": True,
                "isBestMatch": True,
            }
        ],
    )


def test_a_futures_trade() -> None:
    bodies = [trade("btcusdt", 7, p="63943.90", q="0.003", m=False, X="MARKET")]
    assert answer(FUTURES, bodies, "/fapi/v1/historicalTrades?symbol=BTCUSDT") == (
        200,
        [
            {
                "id": 7,
                "price": "63943.90",
                "qty": "0.003",
                "quoteQty": "191.8317",
                "time": 1723161255349,
                "isBuyerMaker": False,
            }
        ],
    )


@pytest.mark.parametrize("market", [SPOT, FUTURES])
def test_an_aggregate_trade(market: Market) -> None:
    status, found = answer(
        market, [aggregate("btcusdt", 7, 20, 23)], market.prefix + "aggTrades?symbol=BTCUSDT"
    )
    expected = {"a": 7, "p": "0.10", "q": "3.0", "f": 20, "l": 23, "T": 1723161255342, "m": False}
    assert (status, found) == (200, [expected | ({"M": True} if market is SPOT else {})])


def test_trades_outside_of_the_market_are_left_out() -> None:
    bodies = [
        trade("btcusdt", number, X=origin)
        for number, origin in enumerate(["MARKET", "INSURANCE_FUND", "MARKET"])
    ]
    _, found = answer(FUTURES, bodies, "/fapi/v1/historicalTrades?symbol=BTCUSDT&fromId=0")
    assert [one["id"] for one in found] == [0, 2]


def test_what_is_not_a_trade_is_passed_over() -> None:
    bodies = [
        b'{"stream":"btcusdt@trade","data":{"t":1}}',
        b'{"stream":"btcusdt@trade","data":{"t":1,"p":"\xff"}}',
        b'{"stream":"btcusdt@depth","data":{"t":2,"p":"1","q":"1","T":1,"m":true}}',
        b'{"stream":"!bookTicker","data":{}}',
        trade("btcusdt", 3),
        b'{"e":"trade","s":"BTCUSDT","t":4,"p":"1","q":"1","T":1,"m":true}',
    ]
    _, found = answer(SPOT, bodies, "/api/v3/historicalTrades?symbol=BTCUSDT&fromId=0")
    assert [one["id"] for one in found] == [3, 4]


@pytest.mark.parametrize(
    ("market", "endpoint", "query", "ids"),
    [
        (SPOT, "historicalTrades", "&fromId=10&limit=3", range(10, 13)),
        (SPOT, "historicalTrades", "&fromId=1199&limit=3", range(1199, 1200)),
        (SPOT, "historicalTrades", "&fromId=1200", range(0)),
        (SPOT, "historicalTrades", "&fromId=99999999999999999999", range(0)),
        (SPOT, "historicalTrades", "&limit=3", range(1197, 1200)),
        (SPOT, "historicalTrades", "", range(700, 1200)),
        (SPOT, "historicalTrades", "&fromId=0", range(500)),
        (SPOT, "historicalTrades", "&fromId=0&limit=1000", range(1000)),
        (SPOT, "historicalTrades", "&fromId=0&limit=5000", range(1000)),
        (FUTURES, "historicalTrades", "&fromId=0&limit=500", range(500)),
        (FUTURES, "aggTrades", "&fromId=0&limit=1000", range(1000)),
    ],
)
def test_pages(market: Market, endpoint: str, query: str, ids: range) -> None:
    bodies = [body for number in range(1200) for body in (trade("b", number), aggregate("b", number, 0, 0))]
    status, found = answer(market, bodies, f"{market.prefix}{endpoint}?symbol=B{query}")
    assert status == 200
    assert [one["id" if endpoint == "historicalTrades" else "a"] for one in found] == list(ids)


@pytest.mark.parametrize(
    ("market", "path", "status", "code"),
    [
        (SPOT, "/api/v3/historicalTrades?symbol=DOGEUSDT", 400, -1121),
        (SPOT, "/api/v3/historicalTrades?symbol=b", 400, -1121),
        (SPOT, "/api/v3/aggTrades", 400, -1102),
        (SPOT, "/api/v3/aggTrades?symbol=", 400, -1102),
        (SPOT, "/api/v3/aggTrades?symbol=B&symbol=B", 400, -1102),
        (SPOT, "/api/v3/aggTrades?symbol=B&fromId=", 400, -1102),
        (SPOT, "/api/v3/aggTrades?symbol=B&fromId=-1", 400, -1102),
        (SPOT, "/api/v3/aggTrades?symbol=B&fromId=1e3", 400, -1102),
        (SPOT, "/api/v3/aggTrades?symbol=B&fromId=%D9%A3", 400, -1102),
        (SPOT, "/api/v3/aggTrades?symbol=B&limit=ten", 400, -1102),
        (SPOT, "/api/v3/aggTrades?symbol=B&limit=0", 400, -1130),
        (FUTURES, "/fapi/v1/historicalTrades?symbol=B&limit=501", 400, -1130),
        (FUTURES, "/fapi/v1/aggTrades?symbol=B&limit=1001", 400, -1130),
        (SPOT, "/api/v3/avgPrice?symbol=B", 404, -1000),
        (SPOT, "/fapi/v1/ping", 404, -1000),
        (FUTURES, "/api/v3/ping", 404, -1000),
        (SPOT, "/", 404, -1000),
        (SPOT, "//[", 404, -1000),
    ],
)
def test_errors(market: Market, path: str, status: int, code: int) -> None:
    found, error = answer(market, [trade("b", 1)], path)
    assert (found, error["code"]) == (status, code)
    assert error["msg"]


@pytest.mark.parametrize("headers", [{}, {"x-mbx-apikey": ""}])
def test_the_futures_want_a_key_for_trades(headers: Mapping[str, str]) -> None:
    refusal = {"code": -2014, "msg": "API-key format invalid."}
    bodies = [trade("b", 1)]
    assert answer(FUTURES, bodies, "/fapi/v1/historicalTrades?symbol=B", headers) == (401, refusal)
    assert answer(FUTURES, bodies, "/fapi/v1/aggTrades?symbol=B", headers) == (200, [])
    assert answer(SPOT, bodies, "/api/v3/historicalTrades?symbol=B", headers)[0] == 200


@pytest.mark.parametrize("market", [SPOT, FUTURES])
def test_the_exchange_lives_when_the_capture_was_made(market: Market) -> None:
    capture = Capture([Frame(at * 10**9, "b@trade", trade("b", at)) for at in (5, 6, 7)], [], ("b@trade",))
    service = BinanceRest(market, capture)
    assert service.answer(market.prefix + "ping", {}) == Reply(200, b"{}")
    assert service.answer(market.prefix + "time", {}) == Reply(200, b'{"serverTime":5000}')
    service.read(capture.frames[:2])
    service.read([])
    assert service.answer(market.prefix + "time", {}) == Reply(200, b'{"serverTime":6000}')


def series_of(ids: Sequence[int], outside: Set[int]) -> Series[int]:
    """A series whose rows are their ids; those ``outside`` are no market trades."""
    series: Series[int] = Series()
    for number in ids:
        series.add(number, None if number in outside else number)
    return series


ids_of_trades = st.lists(st.integers(0, 15), max_size=30)


@given(ids_of_trades, st.sets(st.integers(0, 15)), st.integers(0, 17), st.integers(1, 10))
def test_a_page_ascends_up_to_what_was_not_recorded(
    ids: list[int], outside: set[int], from_id: int, limit: int
) -> None:
    page = series_of(ids, outside).page(from_id, limit)
    shown = sorted(number for number in set(ids) - outside if number >= from_id)
    assert page == shown[: len(page)]
    assert bool(page) == bool(shown)
    assert len(page) <= limit
    if page:
        assert set(range(page[0], page[-1] + 1)) <= set(ids)
    if page and len(page) < min(limit, len(shown)):
        assert not set(range(page[-1] + 1, shown[len(page)])) <= set(ids)


@given(ids_of_trades, st.sets(st.integers(0, 15)), st.integers(1, 10))
def test_the_newest_are_shown_whatever_is_missing(ids: list[int], outside: set[int], limit: int) -> None:
    newest = sorted(set(ids))[-limit:]
    assert series_of(ids, outside).page(None, limit) == [one for one in newest if one not in outside]


amounts = st.decimals(0, 10**9, places=8).map(lambda amount: f"{amount:f}") | st.from_regex(
    r"\A\d{1,9}(\.\d{1,8})?\Z"
).filter(str.isascii)


@given(amounts, amounts)
def test_quote_quantities_are_exact(price: str, quantity: str) -> None:
    written = quote_quantity(price, quantity)
    assert "E" not in written
    assert Fraction(written) == Fraction(price) * Fraction(quantity)
    decimals, price_decimals = (len(text.partition(".")[2]) for text in (written, price))
    assert decimals >= price_decimals
    assert decimals == price_decimals or written[-1] != "0"


@given(st.lists(st.integers(0, 5), max_size=5))
def test_a_history_read_in_pieces_is_the_same(cuts: list[int]) -> None:
    frames = capture_of([trade("b", number) for number in (3, 1, 4, 1, 5)]).frames
    whole, pieces = History(), History()
    whole.read(frames)
    for start, stop in zip([0, *sorted(cuts)], [*sorted(cuts), 5], strict=True):
        pieces.read(frames[start:stop])
    assert pieces.trades("B").page(0, 9) == whole.trades("B").page(0, 9)


# --- HTTP, in memory ---


class Echo:
    """A service that answers with what it was asked and how much it has read."""

    def __init__(self) -> None:
        self.reads: list[int] = []

    def read(self, frames: Sequence[Frame]) -> None:
        self.reads.append(len(frames))

    def answer(self, target: str, headers: Mapping[str, str]) -> Reply:
        return Reply(200, f"{target} {headers.get('host')} {sum(self.reads)}".encode())

    def refusal(self, seconds: int, *, banned: bool) -> Reply:
        return Reply(418 if banned else 429, b"", (("Retry-After", str(seconds)),))

    def used(self, weight: int) -> tuple[tuple[str, str], ...]:
        return (("Used", str(weight)),)

    def present(self, stream: str) -> bytes | None:
        return None


class Line:
    """A connection to a server in memory, at a playback's position."""

    def __init__(self, stream: trio.abc.Stream, service: Echo) -> None:
        self.stream = stream
        self.service = service
        self.position = 0
        self._http = h11.Connection(h11.CLIENT)

    async def read(self) -> tuple[int, bytes]:
        """Read one response."""
        if self._http.our_state is h11.IDLE:
            self._http.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
            self._http.send(h11.EndOfMessage())
        status, body = 0, b""
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(bytes(await self.stream.receive_some()))
            elif isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += event.data
            else:
                assert isinstance(event, h11.EndOfMessage)
                if self._http.their_state is h11.DONE:
                    self._http.start_next_cycle()
                return status, body


@asynccontextmanager
async def _line() -> AsyncIterator[Line]:
    client, server = trio.testing.memory_stream_pair()
    frames = [Frame(NS, "b@trade", b"{}")] * (3 * SLICE)
    player = Player(Capture(frames, [], ("b@trade",)), 1.0)
    line = Line(client, Echo())
    desk = RestDesk(line.service, frames, lambda: line.position)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Host(BINANCE, player, desk).serve, server)
        yield line
        nursery.cancel_scope.cancel()


GET = b"GET /%d HTTP/1.1\r\nHost: here\r\n\r\n"


async def test_a_connection_is_kept(autojump_clock: object) -> None:
    async with _line() as line:
        for number in range(3):
            await line.stream.send_all(GET % number)
            assert await line.read() == (200, b"/%d here 0" % number)
            await trio.sleep(1000)


async def test_requests_may_come_at_once(autojump_clock: object) -> None:
    async with _line() as line:
        await line.stream.send_all(
            GET % 1 + GET % 2 + b"GET /3 HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
        )
        assert [await line.read() for _ in range(3)] == [
            (200, b"/%d here 0" % number) for number in (1, 2, 3)
        ]
        assert await line.stream.receive_some() == b""


async def test_requests_may_come_byte_by_byte(autojump_clock: object) -> None:
    async with _line() as line:
        for byte in GET % 1 + GET % 2:
            await line.stream.send_all(bytes((byte,)))
            await trio.sleep(0.01)
        assert [await line.read() for _ in range(2)] == [(200, b"/1 here 0"), (200, b"/2 here 0")]


async def test_a_handshake_may_come_byte_by_byte(autojump_clock: object) -> None:
    async with _line() as line:
        for byte in (
            b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        ):
            await line.stream.send_all(bytes((byte,)))
            await trio.sleep(0.01)
        assert bytes(await line.stream.receive_some()).startswith(b"HTTP/1.1 101 ")


async def test_what_was_played_is_read_once_in_slices(autojump_clock: object) -> None:
    async with _line() as line:
        line.position = 2 * SLICE + 10
        await line.stream.send_all(GET % 1)
        assert await line.read() == (200, b"/1 here %d" % line.position)
        assert line.service.reads == [SLICE, SLICE, 10]
        line.position += 5
        await line.stream.send_all(GET % 2 + GET % 3)
        await line.read()
        await line.read()
        assert line.service.reads == [SLICE, SLICE, 10, 5]


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"HEAD"])
async def test_other_methods_are_refused(autojump_clock: object, method: bytes) -> None:
    async with _line() as line:
        await line.stream.send_all(
            method + b" /x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" + GET % 1
        )
        assert await line.read() == (405, b"")
        assert await line.read() == (200, b"/1 here 0")


@pytest.mark.parametrize(
    ("garbage", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"GET /" + b"x" * 100_000, b"431"),
    ],
)
async def test_garbage_is_refused(autojump_clock: object, garbage: bytes, status: bytes) -> None:
    async with _line() as line:
        await line.stream.send_all(garbage)
        received = b"".join([bytes(chunk) async for chunk in line.stream])
        assert received.startswith(b"HTTP/1.1 " + status)


async def test_a_body_that_breaks_off_ends_the_connection(autojump_clock: object) -> None:
    async with _line() as line:
        await line.stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
        assert await line.stream.receive_some() == b""


# --- over sockets, of a process ---


def expected_trades(paths: Sequence[Path], symbol: str, frames: slice = slice(None)) -> list[dict[str, Any]]:
    """The capture's market trades of a symbol, as a history shows them."""
    found = []
    for frame in read_capture(paths).frames[frames]:
        data = json.loads(frame.body)["data"]
        if frame.stream == f"{symbol.lower()}@trade" and data.get("X", "MARKET") == "MARKET":
            found.append({"id": data["t"], "price": data["p"], "qty": data["q"], "time": data["T"]})
    return sorted(found, key=lambda one: one["id"])


async def _pages(exchange: LocalExchange, path: str, symbol: str) -> list[dict[str, Any]]:
    """All trades of a symbol, page by page."""
    found: list[dict[str, Any]] = []
    async with httpx2.AsyncClient(base_url=exchange.rest_url, headers=KEY) as client:
        while True:
            from_id = found[-1]["id"] + 1 if found else 0
            response = await client.get(path, params={"symbol": symbol, "fromId": from_id, "limit": 500})
            assert response.status_code == 200
            assert response.headers["content-type"] == "application/json;charset=UTF-8"
            msgspec.json.decode(response.content, type=list[reader.Trade], strict=True)
            page = response.json()
            if not page:
                return found
            for one in page:
                assert Decimal(one["quoteQty"]) == Decimal(one["price"]) * Decimal(one["qty"])
            found += [{key: one[key] for key in ("id", "price", "qty", "time")} for one in page]


async def test_nothing_before_playback_begins() -> None:
    async with local_exchange(SPOT_TRADES, exchange="binance") as exchange:
        assert await _pages(exchange, "/api/v3/historicalTrades", "BTCUSDT") == []


@pytest.fixture
def halting(tmp_path: Path) -> Callable[[int], Path]:
    """A recording that is played at once up to a frame, and stands still there for an hour."""

    def halt(stop: int) -> Path:
        frames = [frame.body for frame in read_capture(SPOT_TRADES).frames]
        offsets = [0.0 if at < stop else 3600.0 for at in range(len(frames))]
        return write_capture(tmp_path / "halting", frames, offsets)

    return halt


@pytest.mark.parametrize("stop", [1, 7001])
async def test_in_the_middle_there_is_what_was_played(halting: Callable[[int], Path], stop: int) -> None:
    """Whether or not anybody received it."""
    path = halting(stop)
    async with local_exchange(
        [path], exchange="binance", speed=1, start_after=0, marks=[stop - 1]
    ) as exchange:
        assert await anext(exchange.marks) == stop - 1
        for symbol in ("BTCUSDT", "ETHUSDT"):
            found = await _pages(exchange, "/api/v3/historicalTrades", symbol)
            assert found == expected_trades(SPOT_TRADES, symbol, slice(stop))


@pytest.mark.parametrize(
    ("paths", "name", "path", "symbols"),
    [
        (SPOT_TRADES, "binance", "/api/v3/historicalTrades", ("BTCUSDT", "ETHUSDT")),
        (USDM, "binance_usdm", "/fapi/v1/historicalTrades", ("BTCUSDT",)),
    ],
)
async def test_after_the_end_there_is_all(
    paths: Sequence[Path], name: str, path: str, symbols: Sequence[str]
) -> None:
    async with local_exchange(paths, exchange=name, start_after=0) as exchange:
        await exchange.done.wait()
        for symbol in symbols:
            found = await _pages(exchange, path, symbol)
            assert found == expected_trades(paths, symbol)
            assert found
        route = "/public/ws" if name == "binance_usdm" else "/ws"
        assert await listen(exchange, f"{route}/btcusdt@trade") == ([], 1000)
        assert await _pages(exchange, path, symbols[0]) == expected_trades(paths, symbols[0])


async def test_errors_over_http() -> None:
    async with (
        local_exchange(USDM, exchange="binance_usdm") as exchange,
        httpx2.AsyncClient(base_url=exchange.rest_url) as client,
    ):
        refused = await client.get("/fapi/v1/historicalTrades?symbol=BTCUSDT")
        assert (refused.status_code, refused.json()["code"]) == (401, -2014)
        unknown = await client.get("/fapi/v1/historicalTrades?symbol=NONE", headers=KEY)
        assert (unknown.status_code, unknown.json()) == (400, {"code": -1121, "msg": "Invalid symbol."})
        assert (await client.get("/nothing")).status_code == 404
        assert (await client.get("/fapi/v1/ping")).json() == {}
        assert (await client.post("/fapi/v1/ping")).status_code == 405


def _offenders() -> Iterator[bytes]:
    yield b""
    yield b"GET /api/v3/historicalTrades?symbol=BTCUSDT HTTP/1.1\r\nHo"  # and no more
    yield b"GET //[ HTTP/1.1\r\nHost: x\r\n\r\n"
    yield b"\x00" * 5000
    # Who asks for more and more and never reads:
    yield b"GET /api/v3/historicalTrades?symbol=BTCUSDT&limit=1000 HTTP/1.1\r\nHost: x\r\n\r\n" * 200


async def test_playback_and_rest_go_on_together_among_offenders() -> None:
    streams = "btcusdt@trade/ethusdt@trade"
    frames = [frame.body for frame in read_capture(SPOT_TRADES).frames]
    heard: list[tuple[list[bytes], int]] = []
    async with local_exchange(SPOT_TRADES, exchange="binance", speed=700) as exchange:
        offending = [await trio.open_tcp_stream("127.0.0.1", exchange.port) for _ in _offenders()]
        for stream, garbage in zip(offending, _offenders(), strict=True):
            await stream.send_all(garbage)

        async def hear() -> None:
            heard.append(await listen(exchange, f"/stream?streams={streams}"))

        async with trio.open_nursery() as nursery, httpx2.AsyncClient(base_url=exchange.rest_url) as client:
            nursery.start_soon(hear)
            newest, rising = 0, 0
            while not exchange.done.is_set():
                answer = await client.get("/api/v3/historicalTrades?symbol=BTCUSDT&limit=1")
                ids = [one["id"] for one in answer.json()]
                assert ids >= [newest] or not newest
                rising += ids > [newest]
                newest = max(ids, default=0)
                await trio.sleep(0.01)
        for stream in offending:
            await trio.aclose_forcefully(stream)
    assert heard == [(frames, 1000)]
    assert rising > 3
