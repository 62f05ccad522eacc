"""The server's own books, and Binance's ``depth`` out of them: right at every position of a playback."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trio
from playback_recordings import NS, listen, write_capture

from actors.playback.binance_market import FUTURES, SPOT, Market
from actors.playback.binance_rest import BinanceRest
from actors.playback.book import Book
from actors.playback.capture import Capture, Frame, Snapshot, read_capture
from actors.playback.depth import DiffBooks
from actors.playback.gate import Gate
from actors.playback.process import LocalExchange, local_exchange

RECORDED = Path(__file__).parents[2] / "captures" / "hftbacktest"
USDM = [RECORDED / f"usdm_{symbol}_20240718.gz" for symbol in ("btcusdt", "ethusdt")]
STREAM = "btcusdt@depth@100ms"


def diff(first: int, last: int, bid: str, previous: int | None = None) -> bytes:
    """A diff that sets the quantity of the bid at 10."""
    data = {"e": "depthUpdate", "E": last, "T": last - 1, "s": "BTCUSDT", "U": first, "u": last}
    data |= {} if previous is None else {"pu": previous}
    data |= {"b": [["10.00", bid]], "a": [["11.00", "1.0"]]}
    return json.dumps({"stream": STREAM, "data": data}).encode()


def seed(last: int) -> bytes:
    bids = [["10.00", "5.0"], ["9.50", "2.0"], ["9.00", "1.0"]]
    return json.dumps(
        {"lastUpdateId": last, "E": 1, "T": 2, "bids": bids, "asks": [["12.00", "7.0"]]}
    ).encode()


def capture_of(bodies: Sequence[bytes], snapshots: Sequence[tuple[float, bytes]] = ()) -> Capture:
    """A capture of one diff a µs, and snapshots at these µs."""
    frames = [Frame(NS + at * 1000, STREAM, body) for at, body in enumerate(bodies)]
    seeds = [Snapshot(NS + int(at * 1000), "BTCUSDT", body) for at, body in snapshots]
    return Capture(frames, seeds, (STREAM,))


def depth(capture: Capture, played: int, query: str = "", market: Market = SPOT) -> tuple[int, Any]:
    service = BinanceRest(market, capture)
    service.read(capture.frames[:played])
    reply = service.answer(f"{market.prefix}depth?symbol=BTCUSDT{query}", {})
    return reply.status, json.loads(reply.body)


def test_a_book_keeps_its_levels_in_order() -> None:
    book = Book([("9", "1"), ("10", "2"), ("9.5", "3")], [("12", "1"), ("11", "2"), ("100", "3")])
    book.change([("9.50", "0.000"), ("8", "1"), ("7", "0")], [("12", "9")])
    assert book.bids.best(9) == [("10", "2"), ("9", "1"), ("8", "1")]
    assert book.bids.best(1) == [("10", "2")]
    assert book.asks.best(2) == [("11", "2"), ("12", "9")]


SPOT_DIFFS = [diff(91, 95, "1.0"), diff(96, 104, "2.0"), diff(105, 110, "3.0"), diff(111, 112, "0.0")]


@pytest.mark.parametrize(("played", "last", "best"), [(2, 104, "2.0"), (3, 110, "3.0"), (4, 112, None)])
def test_the_answer_is_of_the_position(played: int, last: int, best: str | None) -> None:
    """The snapshot came when two diffs had been played, the second of which it has in part."""
    status, found = depth(capture_of(SPOT_DIFFS, [(1.5, seed(100))]), played)
    first = [] if best is None else [["10.00", best]]
    assert (status, found["lastUpdateId"]) == (200, last)
    assert found == {
        "lastUpdateId": last,
        "bids": [*first, ["9.50", "2.0"], ["9.00", "1.0"]],
        "asks": [["11.00", "1.0"], ["12.00", "7.0"]],
    }


@pytest.mark.parametrize(
    ("at", "played", "status"),
    [(1.5, 1, 503), (1.5, 2, 200), (-1, 0, 200), (0, 0, 200), (9, 3, 503), (9, 4, 200)],
)
def test_the_first_answer_comes_when_the_snapshot_came(at: float, played: int, status: int) -> None:
    capture = capture_of(SPOT_DIFFS, [(at, seed(95))])
    assert depth(capture, played)[0] == status


def test_without_a_snapshot_there_is_no_book() -> None:
    capture = capture_of(SPOT_DIFFS)
    status, found = depth(capture, 4)
    assert (status, found["code"]) == (503, -1001)
    service = BinanceRest(SPOT, capture)
    assert not service.answer("/api/v3/depth?symbol=BTCUSDT", {}).early
    service = BinanceRest(SPOT, capture_of(SPOT_DIFFS, [(1.5, seed(100))]))
    assert service.answer("/api/v3/depth?symbol=BTCUSDT", {}).early


def test_futures_follow_the_update_before() -> None:
    diffs = [diff(91, 95, "1.0", 90), diff(99, 104, "2.0", 95), diff(107, 110, "3.0", 104)]
    status, found = depth(capture_of(diffs, [(1, seed(100))]), 3, market=FUTURES)
    assert status == 200
    assert {key: found[key] for key in ("lastUpdateId", "E", "T")} == {
        "lastUpdateId": 110,
        "E": 110,
        "T": 109,
    }
    assert found["bids"][0] == ["10.00", "3.0"]


@pytest.mark.parametrize(
    "diffs",
    [
        [diff(101, 105, "1.0"), diff(107, 110, "2.0"), diff(111, 112, "3.0")],
        [diff(101, 105, "1.0", 100), diff(107, 110, "2.0", 106), diff(111, 112, "3.0", 110)],
        [diff(104, 105, "1.0"), diff(106, 107, "1.0")],
    ],
)
def test_after_a_gap_there_is_no_book_until_the_next_snapshot(diffs: Sequence[bytes]) -> None:
    assert depth(capture_of(diffs, [(0, seed(100))]), 9)[0] == 503
    last = json.loads(diffs[-1])["data"]["u"]
    status, found = depth(capture_of(diffs, [(0, seed(100)), (9, seed(last - 1))]), 9)
    assert (status, found["lastUpdateId"]) == (200, last)
    older = seed(102)  # than what followed the gap
    assert depth(capture_of(diffs, [(0, seed(100)), (9, older)]), 9)[0] == 503


@pytest.mark.parametrize(
    "body",
    [
        b'{"stream":"btcusdt@depth@100ms","data":{}}',
        diff(101, 102, "NaN"),
        diff(101, 102, "1e3"),
        diff(101, 102, "-1"),
        b'{"stream":"btcusdt@depth@100ms","data":{"U":1,"u":2,"b":[["\xff","1"]],"a":[]}}',
        b'{"stream":"btcusdt@depth@100ms","data":' + b"[" * 100_000,
    ],
)
def test_a_diff_recorded_broken_is_passed_over(body: bytes) -> None:
    status, found = depth(capture_of([body], [(0, seed(100))]), 1)
    assert (status, found["lastUpdateId"], found["bids"][0]) == (200, 100, ["10.00", "5.0"])


@pytest.mark.parametrize(
    ("market", "query", "levels"),
    [(SPOT, "", 100), (SPOT, "&limit=7", 7), (SPOT, "&limit=99999", 500), (FUTURES, "&limit=20", 20)],
)
def test_limits(market: Market, query: str, levels: int) -> None:
    book = json.dumps({"lastUpdateId": 1, "bids": [[f"{at}.0", "1"] for at in range(1, 501)], "asks": []})
    status, found = depth(capture_of([diff(1, 2, "1.0", 1)], [(0, book.encode())]), 0, query, market)
    assert (status, len(found["bids"])) == (200, levels)
    assert found["bids"][0] == ["500.0", "1"]


@pytest.mark.parametrize(
    ("market", "query", "code"),
    [(FUTURES, "&limit=7", -4021), (FUTURES, "&limit=2000", -1130), (SPOT, "&limit=0", -1130)],
)
def test_limits_that_are_refused(market: Market, query: str, code: int) -> None:
    status, found = depth(capture_of(SPOT_DIFFS, [(0, seed(100))]), 4, query, market)
    assert (status, found["code"]) == (400, code)


@pytest.mark.parametrize(
    ("market", "query", "weight"),
    [
        (SPOT, "depth?symbol=BTCUSDT", 5),
        (SPOT, "depth?symbol=BTCUSDT&limit=5000", 250),
        (SPOT, "klines?symbol=BTCUSDT&interval=1m", 2),
        (SPOT, "ticker/24hr", 80),
        (SPOT, "time", 1),
        (FUTURES, "depth?symbol=BTCUSDT&limit=1000", 20),
        (FUTURES, "klines?symbol=BTCUSDT&interval=1m&limit=100", 2),
    ],
)
def test_what_requests_weigh(market: Market, query: str, weight: int) -> None:
    service = BinanceRest(market, capture_of([diff(101, 102, "1.0")], [(0, seed(100))]))
    assert service.answer(market.prefix + query, {}).weight == weight


def test_the_books_are_those_that_were_recorded() -> None:
    """Best bid and ask, price and size, after every diff: those of the book ticker in that moment."""
    capture = read_capture(USDM)
    books, quotes, compared = DiffBooks(capture), dict[str, dict[str, Any]](), 0
    for frame in capture.frames:
        books.read([frame])
        data = json.loads(frame.body)["data"]
        if frame.stream.endswith("@bookTicker"):
            quotes[data["s"]] = data
        elif "@depth" in frame.stream and data["s"] in quotes:
            quote, found = quotes[data["s"]], books.find(data["s"])
            if found is not None and found.book is not None and quote["u"] == data["u"]:
                compared += 1
                assert found.book.bids.best(1) == [(quote["b"], quote["B"])]
                assert found.book.asks.best(1) == [(quote["a"], quote["A"])]
    assert compared > 50
    for symbol in ("BTCUSDT", "ETHUSDT"):
        found = books.find(symbol)
        assert found is not None
        assert (
            found.last
            == [
                json.loads(frame.body)["data"]["u"]
                for frame in capture.frames
                if frame.stream == f"{symbol.lower()}@depth@0ms"
            ][-1]
        )


def test_the_gate_is_closed_where_a_followed_book_was_fetched() -> None:
    capture = capture_of(SPOT_DIFFS, [(1.5, seed(100))])
    gate = Gate(capture, 5.0)
    assert gate.places == {2}
    assert not gate.closed(2, {"btcusdt@trade", "ethusdt@depth", "btcusdt@depth20"})
    assert not gate.closed(1, {STREAM})
    assert gate.closed(2, {STREAM})
    gate.fetched("BTCUSDT", 1)
    assert gate.closed(2, {STREAM})
    gate.fetched("BTCUSDT", 2)
    assert not gate.closed(2, {STREAM})
    assert not Gate(capture).places


async def test_playback_waits_for_who_fetches_the_book(tmp_path: Path) -> None:
    """The book is asked for before there is one, and had where it was recorded, at whatever speed."""
    bodies = [SPOT_DIFFS[0], SPOT_DIFFS[1], seed(100), *SPOT_DIFFS[2:]]
    path = write_capture(tmp_path / "capture", bodies)
    heard: list[tuple[list[bytes], int]] = []

    async def hear(exchange: LocalExchange) -> None:
        heard.append(await listen(exchange, f"/stream?streams={STREAM}"))

    async with (
        local_exchange([path], exchange="binance", wait_for_books=60) as exchange,
        httpx2.AsyncClient(base_url=exchange.rest_url) as client,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(hear, exchange)
        found = await client.get("/api/v3/depth?symbol=BTCUSDT")
        assert found.json()["lastUpdateId"] == 104
        assert found.headers["x-mbx-used-weight-1m"] == "5"
        assert (await client.get("/api/v3/ping")).headers["x-mbx-used-weight-1m"] == "6"
    assert heard == [(SPOT_DIFFS, 1000)]
