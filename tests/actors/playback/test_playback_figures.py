"""What both exchanges' REST interfaces tell of symbols as a whole: exact, and of the playback's position."""

import json
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playback_recordings import NS, aggregate, trade

from actors.playback.binance_market import FUTURES, SPOT, Market
from actors.playback.binance_rest import BinanceRest
from actors.playback.bybit_rest import BybitRest
from actors.playback.candles import Candle, Deal, candles
from actors.playback.capture import Capture, Frame, read_capture
from actors.playback.fineness import assets, finest
from actors.playback.names import stream_of

TESTS = Path(__file__).parents[2]
BYBIT = TESTS / "captures" / "fastmm" / "bybit_spot_btcusdt_20260913.gz"
TICKERS = TESTS / "captures" / "fastmm" / "bybit_tickers_20260930.gz"
MINUTE = 60_000
BEGIN = 1_723_161_240_000  # a whole minute, ms


def capture_of(bodies: Sequence[bytes]) -> Capture:
    frames = [Frame(NS + at, str(stream_of(body)), body) for at, body in enumerate(bodies)]
    return Capture(frames, [], tuple(dict.fromkeys(frame.stream for frame in frames)))


def binance(market: Market, bodies: Sequence[bytes], target: str) -> tuple[int, Any]:
    capture = capture_of(bodies)
    service = BinanceRest(market, capture)
    service.read(capture.frames)
    reply = service.answer(market.prefix + target, {})
    return reply.status, json.loads(reply.body)


# --- candles ---


prices = st.decimals(1, 10**6, places=4)
deals = st.builds(Deal, st.integers(0, 3000), prices, prices, st.booleans(), st.integers(1, 9))


@given(st.lists(deals, max_size=20), st.sampled_from([1, 7, 1000]), st.integers(0, 6))
def test_candles_are_exact_and_leave_no_interval_out(
    given_deals: list[Deal], interval: int, origin: int
) -> None:
    found = candles(given_deals, interval, origin)
    assert [one.start for one in found] == [one.start for one in candles(given_deals[::-1], interval, origin)]
    if not given_deals:
        assert found == []
        return
    assert [one.start for one in found] == list(range(found[0].start, found[-1].start + 1, interval))
    assert found[0].start <= min(deal.time for deal in given_deals) < found[0].start + interval
    assert (found[0].start - origin) % interval == 0
    for before, candle in zip([None, *found], found, strict=False):
        inside = sorted(
            (deal for deal in given_deals if candle.start <= deal.time < candle.start + interval),
            key=lambda deal: deal.time,
        )
        if not inside:
            assert before is not None
            assert candle == Candle(candle.start, *[before.close] * 4)  # type: ignore[arg-type]
            continue
        assert (candle.open, candle.close) == (inside[0].price, inside[-1].price)
        assert (candle.low, candle.high) == (min(d.price for d in inside), max(d.price for d in inside))
        assert candle.volume == sum(deal.quantity for deal in inside)
        assert candle.count == sum(deal.trades for deal in inside)
        assert Fraction(candle.turnover) == sum(Fraction(d.price) * Fraction(d.quantity) for d in inside)
        assert candle.bought == sum(deal.quantity for deal in inside if deal.bought)


BODIES = [
    trade("btcusdt", 1, p="10.50", q="2.000", T=BEGIN + 5, m=False),
    trade("btcusdt", 2, p="10.20", q="0.125", T=BEGIN + 59_999, m=True),
    trade("btcusdt", 3, p="11.00", q="1.000", T=BEGIN + 3 * MINUTE, m=False),
]
FIRST = [BEGIN, "10.5", "10.5", "10.2", "10.2", "2.125", BEGIN + 59_999, "22.275", 2, "2", "21", "0"]
THIRD = [BEGIN + 3 * MINUTE, *["11"] * 4, "1", BEGIN + 4 * MINUTE - 1, "11", 1, "1", "11", "0"]


def calm(minute: int) -> list[object]:
    start = BEGIN + minute * MINUTE
    return [start, *["10.2"] * 4, "0", start + MINUTE - 1, "0", 0, "0", "0", "0"]


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("", [FIRST, calm(1), calm(2), THIRD]),
        ("&limit=1", [THIRD]),
        (f"&startTime={BEGIN + 1}&limit=2", [calm(1), calm(2)]),
        (f"&startTime={BEGIN}&endTime={BEGIN}", [FIRST]),
        (f"&endTime={BEGIN + MINUTE}", [FIRST, calm(1)]),
        (f"&startTime={BEGIN + 9 * MINUTE}", []),
    ],
)
@pytest.mark.parametrize("market", [SPOT, FUTURES])
def test_binance_candles(market: Market, query: str, rows: list[list[object]]) -> None:
    assert binance(market, BODIES, f"klines?symbol=BTCUSDT&interval=1m{query}") == (200, rows)


def test_candles_of_aggregate_trades() -> None:
    bodies = [aggregate("btcusdt", 7, 20, 23, T=BEGIN, p="2", q="3")]
    _, rows = binance(FUTURES, bodies, "klines?symbol=BTCUSDT&interval=1h")
    assert rows == [[BEGIN // 3_600_000 * 3_600_000, *["2"] * 4, "3", rows[0][6], "6", 4, "3", "6", "0"]]


def test_weeks_begin_on_mondays() -> None:
    _, rows = binance(SPOT, BODIES, "klines?symbol=BTCUSDT&interval=1w")
    assert [row[0] for row in rows] == [1_722_816_000_000]  # Monday 2024-08-05


@pytest.mark.parametrize(
    ("query", "code"),
    [("symbol=BTCUSDT", -1102), ("symbol=BTCUSDT&interval=2m", -1120), ("symbol=X&interval=1m", -1121)],
)
def test_candles_that_are_refused(query: str, code: int) -> None:
    status, error = binance(SPOT, BODIES, f"klines?{query}")
    assert (status, error["code"]) == (400, code)


# --- lists and days ---


def test_steps_are_as_fine_as_what_was_recorded() -> None:
    status, found = binance(SPOT, [*BODIES, trade("ethbtc", 1, p="0.03450000", q="7")], "exchangeInfo")
    assert status == 200
    listed = {one["symbol"]: one for one in found["symbols"]}
    assert {name: (one["baseAsset"], one["quoteAsset"], one["status"]) for name, one in listed.items()} == {
        "BTCUSDT": ("BTC", "USDT", "TRADING"),
        "ETHBTC": ("ETH", "BTC", "TRADING"),
    }
    steps = {
        name: {
            filter_["filterType"]: filter_.get("tickSize") or filter_["stepSize"]
            for filter_ in one["filters"]
        }
        for name, one in listed.items()
    }
    assert steps == {
        "BTCUSDT": {"PRICE_FILTER": "0.1", "LOT_SIZE": "0.001"},
        "ETHBTC": {"PRICE_FILTER": "0.0001", "LOT_SIZE": "1"},
    }
    _, one = binance(FUTURES, BODIES, "exchangeInfo?symbol=BTCUSDT")
    assert [symbol["contractType"] for symbol in one["symbols"]] == ["PERPETUAL"]


def test_book_changes_show_steps_too() -> None:
    found = finest(read_capture([BYBIT]).frames)
    assert {symbol: (one.tick, one.step) for symbol, one in found.items()} == {"BTCUSDT": ("0.1", "0.000001")}


@pytest.mark.parametrize(
    ("symbol", "split"),
    [("BTCUSDT", ("BTC", "USDT")), ("ETHBTC", ("ETH", "BTC")), ("USDT", ("USDT", "")), ("XYZ", ("XYZ", ""))],
)
def test_assets(symbol: str, split: tuple[str, str]) -> None:
    assert assets(symbol) == split


def test_the_last_day() -> None:
    now = (NS // 1_000_000) - 2
    old = trade("btcusdt", 0, p="99", q="9", T=now - 86_400_000)
    bodies = [trade("btcusdt", 1, p="10", q="2", T=now), trade("btcusdt", 2, p="11", q="1", T=now)]
    status, day = binance(SPOT, [old, *bodies], "ticker/24hr?symbol=BTCUSDT")
    assert status == 200
    expected = {"lastPrice": "11", "openPrice": "10", "highPrice": "11", "lowPrice": "10", "priceChange": "1"}
    expected |= {"volume": "3", "quoteVolume": "31"}
    assert {name: day[name] for name in expected} == expected
    assert day["count"] == 2
    _, days = binance(SPOT, [*bodies, trade("b", 1, T=1)], "ticker/24hr")
    assert [(one["symbol"], one["quoteVolume"]) for one in days] == [("BTCUSDT", "31"), ("B", "0")]


# --- Bybit ---


def bybit(
    target: str, capture: Capture | None = None, category: str = "spot", played: int | None = None
) -> tuple[int, Any]:
    capture = capture or read_capture([BYBIT])
    service = BybitRest(category, capture)
    service.read(capture.frames[:played])
    reply = service.answer("/v5/market/" + target, {})
    assert reply.status == 200
    answer = json.loads(reply.body)
    return answer["retCode"], answer["result"]


def trades_of(capture: Capture) -> list[dict[str, Any]]:
    return [
        one
        for frame in capture.frames
        if frame.stream.startswith("publicTrade.")
        for one in json.loads(frame.body)["data"]
    ]


def test_bybit_lives_when_the_capture_was_made() -> None:
    capture = read_capture([BYBIT])
    for played, at in ((0, capture.first_at), (3, capture.frames[2].at)):
        assert bybit("time", capture, played=played) == (
            0,
            {"timeSecond": str(at // 10**9), "timeNano": str(at)},
        )


def test_recent_trades_are_the_newest_first() -> None:
    expected = [one["i"] for one in trades_of(read_capture([BYBIT]))][::-1]
    code, found = bybit("recent-trade?category=spot&symbol=BTCUSDT")
    assert (code, [one["execId"] for one in found["list"]]) == (0, expected)
    assert found["list"][0] | {"seq": ""} == {
        "execId": "2100000000188691544",
        "symbol": "BTCUSDT",
        "price": "77140.5",
        "size": "0.00389",
        "side": "Sell",
        "time": "1789299681098",
        "isBlockTrade": False,
        "isRPITrade": False,
        "seq": "",
    }
    _, found = bybit("recent-trade?category=spot&symbol=BTCUSDT&limit=2")
    assert [one["execId"] for one in found["list"]] == expected[:2]


@pytest.mark.parametrize(("category", "most"), [("spot", 60), ("linear", 1000)])
def test_recent_trades_are_so_many_at_most(category: str, most: int) -> None:
    data = [{"T": at, "s": "B", "S": "Buy", "v": "1", "p": "1", "i": str(at)} for at in range(1200)]
    body = json.dumps({"topic": "publicTrade.B", "type": "snapshot", "ts": 1, "data": data}).encode()
    capture = Capture([Frame(NS, "publicTrade.B", body)], [], ("publicTrade.B",))
    _, found = bybit(f"recent-trade?category={category}&symbol=B&limit=1000", capture, category)
    assert [one["execId"] for one in found["list"]] == [str(at) for at in range(1199, 1199 - most, -1)]


def test_bybit_candles_are_the_newest_first() -> None:
    found = trades_of(read_capture([BYBIT]))
    minute = found[0]["T"] // MINUTE * MINUTE
    assert {one["T"] // MINUTE * MINUTE for one in found} == {minute}
    code, answer = bybit("kline?category=spot&symbol=BTCUSDT&interval=1")
    volume = sum(Decimal(one["v"]) for one in found)
    turnover = sum(Decimal(one["v"]) * Decimal(one["p"]) for one in found)
    assert code == 0
    (row,) = answer["list"]
    assert row[:5] == [str(minute), "77140.5", "77140.7", "77140.1", "77140.5"]
    assert (Decimal(row[5]), Decimal(row[6])) == (volume, turnover)
    data = [{"T": at * MINUTE, "s": "B", "S": "Buy", "v": "1", "p": str(at + 1), "i": ""} for at in range(4)]
    body = json.dumps({"topic": "publicTrade.B", "type": "snapshot", "ts": 1, "data": data}).encode()
    capture = Capture([Frame(NS, "publicTrade.B", body)], [], ("publicTrade.B",))
    for query, minutes in (
        ("", [3, 2, 1, 0]),
        ("&limit=2", [3, 2]),
        (f"&start={MINUTE}&limit=2", [2, 1]),
        (f"&start={MINUTE}&end={3 * MINUTE}&limit=2", [3, 2]),
        (f"&end={MINUTE}", [1, 0]),
    ):
        _, answer = bybit(f"kline?symbol=B&interval=1{query}", capture, "linear")
        assert [int(row[0]) // MINUTE for row in answer["list"]] == minutes


def test_bybit_depth_is_of_the_position() -> None:
    capture = read_capture([BYBIT])
    last = [json.loads(frame.body) for frame in capture.frames if frame.stream == "orderbook.50.BTCUSDT"][-1]
    code, found = bybit("orderbook?category=spot&symbol=BTCUSDT&limit=3", capture)
    assert (code, found["u"], found["seq"]) == (0, last["data"]["u"], last["data"]["seq"])
    assert (found["s"], len(found["b"]), len(found["a"])) == ("BTCUSDT", 3, 3)
    assert found["b"][0] == ["77140.5", "0.236197"]
    assert bybit("orderbook?category=spot&symbol=BTCUSDT", capture, played=0)[0] == 10001


def test_bybit_lists_and_days() -> None:
    code, found = bybit("instruments-info?category=spot&symbol=BTCUSDT")
    (one,) = found["list"]
    assert (code, found["nextPageCursor"], one["status"], one["baseCoin"]) == (0, "", "Trading", "BTC")
    assert (one["priceFilter"]["tickSize"], one["lotSizeFilter"]["basePrecision"]) == ("0.1", "0.000001")
    _, days = bybit("tickers?category=spot")
    (day,) = days["list"]
    assert (day["symbol"], day["lastPrice"], day["prevPrice24h"]) == ("BTCUSDT", "77140.5", "77140.5")
    _, days = bybit("tickers?category=linear", read_capture([TICKERS]), "linear")
    assert [one["symbol"] for one in days["list"]] == ["BTCUSDT", "ETHUSDT"]
    assert days["list"][0]["turnover24h"].startswith("3732")


@pytest.mark.parametrize(
    "target",
    [
        "kline?category=spot&symbol=BTCUSDT&interval=2",
        "kline?category=spot&symbol=NONE&interval=1",
        "recent-trade?category=spot",
        "recent-trade?category=linear&symbol=BTCUSDT",
        "recent-trade?category=spot&symbol=BTCUSDT&limit=0",
        "recent-trade?category=spot&symbol=BTCUSDT&limit=x",
        "instruments-info?category=option",
    ],
)
def test_what_bybit_refuses(target: str) -> None:
    assert bybit(target) == (10001, {})


def test_what_bybit_has_not() -> None:
    service = BybitRest("spot", read_capture([BYBIT]))
    for target in ("/", "/v5/market/none", "/v5/time"):
        assert service.answer(target, {}).status == 404


def test_bybit_refuses_by_code_and_then_by_status() -> None:
    service = BybitRest("spot", read_capture([BYBIT]))
    told = service.refusal(2, banned=False)
    assert (told.status, json.loads(told.body)["retCode"]) == (200, 10006)
    ((name, until),) = told.headers
    assert name == "X-Bapi-Limit-Reset-Timestamp"
    assert int(until) == read_capture([BYBIT]).first_at // 1_000_000 + 2000
    assert service.refusal(600, banned=True).status == 403
