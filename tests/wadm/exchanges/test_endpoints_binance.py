"""What Binance's REST interface is asked about the market, and how its recorded answers are read."""

import json
from decimal import Decimal

import pytest
from endpoint_kit import HOUR, START, answer, endpoints, hostile, queries, spoiled
from hypothesis import given
from hypothesis import strategies as st

from wadm.exchanges.base import PageError, Request
from wadm.market import MINUTE, BookChange

SPOT, FUTURES = "binance", "binance_usdm"

RECORDED = {
    "clock": "fastmm/binance_server_time.json",
    "listing": "fastmm/binance_usdm_exchange_info.json",
    "turnover": "gocryptotrader/binance_usdm_ticker_24hr.json",
    "depth": "fastmm/binance_usdm_depth_snapshot.json",
    "candles": "gocryptotrader/binance_klines_1m.json",
}


# --- what is asked ---


@pytest.mark.parametrize(
    ("exchange", "asked", "path", "query", "weight"),
    [
        (SPOT, "clock", "/api/v3/time", {}, 1),
        (SPOT, "listing", "/api/v3/exchangeInfo", {"showPermissionSets": "false"}, 20),
        (SPOT, "turnover", "/api/v3/ticker/24hr", {}, 80),
        (SPOT, "depth", "/api/v3/depth", {"symbol": "BTCUSDT", "limit": "5000"}, 250),
        (FUTURES, "clock", "/fapi/v1/time", {}, 1),
        (FUTURES, "listing", "/fapi/v1/exchangeInfo", {}, 1),
        (FUTURES, "turnover", "/fapi/v1/ticker/24hr", {}, 40),
        (FUTURES, "depth", "/fapi/v1/depth", {"symbol": "BTCUSDT", "limit": "1000"}, 20),
    ],
)
def test_each_market_is_asked_in_its_own_way(
    exchange: str, asked: str, path: str, query: dict[str, str], weight: int
) -> None:
    assert queries(exchange)[asked].request == Request(path, query, weight=weight)


@pytest.mark.parametrize(
    ("exchange", "minutes", "limit", "weight"),
    [
        (SPOT, 1, 1, 2),
        (SPOT, 1_000, 1_000, 2),
        (FUTURES, 99, 99, 1),
        (FUTURES, 100, 100, 2),
        (FUTURES, 500, 500, 5),
        (FUTURES, 1_000, 1_000, 5),
        (FUTURES, 5_000, 1_000, 5),
    ],
)
def test_candles_are_asked_for_to_the_minute_and_weigh_by_their_number(
    exchange: str, minutes: int, limit: int, weight: int
) -> None:
    request = endpoints(exchange).candles("BTCUSDT", START, START + minutes * MINUTE).request
    assert request.query == {
        "symbol": "BTCUSDT",
        "interval": "1m",
        "startTime": str(START // 1_000),
        "endTime": str((START + (limit - 1) * MINUTE) // 1_000),
        "limit": str(limit),
    }
    assert request.weight == weight


# --- how recorded answers are read ---


def test_time() -> None:
    read = endpoints(SPOT).clock().read
    assert read(answer("fastmm/binance_server_time.json")) == 1_789_295_119_833_000
    assert read(answer("fastmm/binance_usdm_server_time.json")) == 1_789_469_329_816_000


def test_the_list_of_spot_symbols_has_those_that_no_longer_trade_and_exact_ticks() -> None:
    page = endpoints(SPOT).listing().read(answer("gocryptotrader/binance_exchange_info.json"))
    assert page.cursor == ""
    assert [
        (one.instrument.key, one.instrument.tick, one.instrument.step, one.base, one.quote, one.trading)
        for one in page.listed
    ] == [
        ("binance:ETHBTC", Decimal("0.00001"), Decimal("0.0001"), "ETH", "BTC", True),
        ("binance:EOSETH", Decimal("0.0000001"), Decimal("0.1"), "EOS", "ETH", False),
        ("binance:BTCUSDT", Decimal("0.01"), Decimal("0.00001"), "BTC", "USDT", True),
        ("binance:HSRBTC", Decimal("0.000001"), Decimal("0.01"), "HSR", "BTC", False),
    ]
    # "0.01000000" is written without the zeros that mean nothing.
    assert str(page.listed[2].instrument.tick) == "0.01"


def test_the_list_of_futures() -> None:
    page = endpoints(FUTURES).listing().read(answer("fastmm/binance_usdm_exchange_info.json"))
    assert [(one.instrument.key, one.instrument.tick, one.instrument.step) for one in page.listed] == [
        ("binance_usdm:BTCUSDT", Decimal("0.1"), Decimal("0.0001")),
        ("binance_usdm:ETHUSDT", Decimal("0.01"), Decimal("0.001")),
    ]


@pytest.mark.parametrize("tick", ["0.00000000", "0", "", "-0.01", "abc", "1e-2", "0." + "0" * 30 + "1"])
def test_a_tick_that_is_none_is_not_known(tick: str) -> None:
    whole = json.loads(answer("fastmm/binance_exchange_info.json"))
    whole["symbols"][0]["filters"][0]["tickSize"] = tick
    (one,) = endpoints(SPOT).listing().read(json.dumps(whole).encode()).listed
    assert (one.instrument.tick, one.instrument.step) == (None, Decimal("0.00001"))


def test_a_symbol_without_filters_is_listed_without_tick_and_step() -> None:
    whole = json.loads(answer("fastmm/binance_exchange_info.json"))
    whole["symbols"][0]["filters"] = []
    (one,) = endpoints(SPOT).listing().read(json.dumps(whole).encode()).listed
    assert (one.instrument.tick, one.instrument.step, one.trading) == (None, None, True)


def test_turnover_is_that_in_quote() -> None:
    spot = endpoints(SPOT).turnover().read(answer("gocryptotrader/binance_ticker_24hr.json"))
    assert spot["ETHBTC"] == Decimal("1211.29369168")
    assert len(spot) == 6
    futures = endpoints(FUTURES).turnover().read(answer("gocryptotrader/binance_usdm_ticker_24hr.json"))
    assert futures["BTCUSDT"] == Decimal("10941924833.36")


def test_a_turnover_that_is_no_number_leaves_its_symbol_out() -> None:
    body = b'[{"symbol":"A","quoteVolume":""},{"symbol":"B","quoteVolume":"7.50"}]'
    assert endpoints(SPOT).turnover().read(body) == {"B": Decimal("7.5")}


def test_a_book_of_the_futures_says_when_it_was_so() -> None:
    book = endpoints(FUTURES).depth("BTCUSDT").read(answer("fastmm/binance_usdm_depth_snapshot.json"))
    assert book.change is BookChange.SNAPSHOT
    assert (book.first, book.last, book.previous, book.at) == (
        429_014_264_524, 429_014_264_524, None, 1_789_469_329_554_000,
    )  # fmt: skip
    assert (book.price_decimals, book.quantity_decimals) == (1, 4)
    assert book.bids[0] == (770_448, 1_538)
    assert book.asks[0] == (770_459, 431_063)


def test_a_book_of_spot_does_not_and_all_its_levels_are_exact() -> None:
    body = answer("fastmm/binance_depth_snapshot.json")
    book, written = endpoints(SPOT).depth("BTCUSDT").read(body), json.loads(body)
    assert (book.last, book.at) == (1_801_494, 0)
    for levels, texts in ((book.bids, written["bids"]), (book.asks, written["asks"])):
        assert [
            (Decimal(price).scaleb(-book.price_decimals), Decimal(quantity).scaleb(-book.quantity_decimals))
            for price, quantity in levels
        ] == [(Decimal(price), Decimal(quantity)) for price, quantity in texts]


def test_an_empty_book_is_one() -> None:
    book = endpoints(SPOT).depth("BTCUSDT").read(b'{"lastUpdateId":1,"bids":[],"asks":[]}')
    assert (list(book.bids), list(book.asks)) == ([], [])


def test_candles_are_those_asked_for() -> None:
    body = answer("gocryptotrader/binance_klines_1m.json")
    candles = endpoints(SPOT).candles("BTCUSDT", START, START + HOUR).read(body)
    assert [one.start for one in candles] == list(range(START, START + HOUR, MINUTE))
    assert all(one.closed and one.end == one.start + MINUTE for one in candles)
    first = candles[0]
    assert (first.exchange, first.symbol, first.interval) == (SPOT, "BTCUSDT", "1m")
    assert (first.open, first.high, first.low, first.close) == tuple(
        map(Decimal, ("9033.34", "9039.99", "9032.75", "9033.15"))
    )
    assert (first.volume, first.turnover) == (Decimal("31.192968"), Decimal("281893.08800082"))
    assert (first.buy_volume, first.count) == (Decimal("6.358103"), 282)
    some = endpoints(SPOT).candles("BTCUSDT", START + MINUTE, START + 3 * MINUTE).read(body)
    assert [one.start for one in some] == [START + MINUTE, START + 2 * MINUTE]


def test_a_candle_that_ends_behind_what_was_asked_for_is_taken_for_open() -> None:
    body = answer("gocryptotrader/binance_klines_1m.json")
    candles = endpoints(SPOT).candles("BTCUSDT", START, START + 3 * MINUTE // 2).read(body)
    assert [one.closed for one in candles] == [True, False]


def test_a_range_without_a_minute_has_no_candle() -> None:
    body = answer("gocryptotrader/binance_klines_1m.json")
    assert endpoints(SPOT).candles("BTCUSDT", START, START).read(body) == []


# --- what cannot be read ---


@pytest.mark.parametrize(
    ("asked", "body"),
    [
        ("clock", b""),
        ("clock", b"[]"),
        ("clock", b'{"serverTime":"1789295119833"}'),
        ("clock", b'{"serverTime":-1}'),
        ("clock", b'{"serverTime":1789295119833.5}'),
        ("clock", b'{"serverTime":1789295119}'),  # seconds
        ("clock", b'{"serverTime":' + b"9" * 4_000 + b"}"),
        ("clock", b'{"serverTime":"\xff"}'),
        ("clock", b"[" * 100_000),
        ("clock", b"<html>"),
        ("listing", b'{"symbols":null}'),
        ("listing", b'{"symbols":[{"symbol":""}]}'),
        ("listing", b'{"code":-1003,"msg":"Too many requests."}'),
        ("turnover", b'{"code":-1121,"msg":"Invalid symbol."}'),
        ("depth", b'{"lastUpdateId":-1,"bids":[],"asks":[]}'),
        ("depth", b'{"lastUpdateId":9223372036854775808,"bids":[],"asks":[]}'),
        ("depth", b'{"lastUpdateId":1,"bids":[["1"]],"asks":[]}'),
        ("depth", b'{"lastUpdateId":1,"bids":[["1","2","3"]],"asks":[]}'),
        ("depth", b'{"lastUpdateId":1,"bids":[[1,2]],"asks":[]}'),
        ("depth", b'{"lastUpdateId":1,"bids":[["0","2"]],"asks":[]}'),
        ("depth", b'{"lastUpdateId":1,"bids":[["-1","2"]],"asks":[]}'),
        ("depth", b'{"lastUpdateId":1,"bids":[["1","-2"]],"asks":[]}'),
        ("depth", b'{"lastUpdateId":1,"bids":[["1\\n2","2"]],"asks":[]}'),
        ("depth", b'{"lastUpdateId":1,"bids":[["1e5","2"]],"asks":[]}'),
        ("depth", b'{"lastUpdateId":1,"bids":[["1000000000","2"],["0.0000000001","2"]],"asks":[]}'),
        ("depth", b'{"lastUpdateId":1,"bids":[["0.' + b"0" * 18 + b'1","2"]],"asks":[]}'),
        ("depth", b'{"lastUpdateId":1,"bids":[["' + b"1" * 5_000 + b'","2"]],"asks":[]}'),
        ("candles", b"[[1]]"),
        ("candles", b'{"code":-1121,"msg":"Invalid symbol."}'),
    ],
)
def test_what_cannot_be_read_is_a_page_error_that_says_what_it_should_have_been(
    asked: str, body: bytes
) -> None:
    with pytest.raises(PageError, match=r"binance's .* cannot be read"):
        queries(SPOT)[asked].read(body)


@pytest.mark.parametrize(
    ("field", "value"),
    [(1, "x"), (2, "9000"), (3, "9100"), (4, "-1"), (5, "1e5"), (8, -1), (0, 1_588_740_120_001)],
)
def test_a_candle_that_is_none_is_a_page_error(field: int, value: object) -> None:
    rows = json.loads(answer("gocryptotrader/binance_klines_1m.json"))
    rows[0][field] = value
    with pytest.raises(PageError):
        queries(SPOT)["candles"].read(json.dumps(rows).encode())


def test_of_a_hostile_answer_an_error_says_little() -> None:
    with pytest.raises(PageError) as caught:
        queries(SPOT)["depth"].read(b'{"lastUpdateId":1,"bids":[["' + b"x" * 100_000 + b'","2"]],"asks":[]}')
    assert len(str(caught.value)) < 300


@given(st.sampled_from(sorted(RECORDED)), st.data())
def test_a_cut_or_spoiled_answer_is_read_or_a_page_error_and_nothing_else(
    asked: str, data: st.DataObject
) -> None:
    body = answer(RECORDED[asked])
    if data.draw(st.booleans()):
        with pytest.raises(PageError):
            queries(SPOT)[asked].read(body.rstrip()[: data.draw(st.integers(0, len(body.rstrip()) - 1))])
        return
    body = spoiled(body, data.draw(st.integers(0, 2_000)), data.draw(hostile))
    try:
        queries(SPOT)[asked].read(body)
    except PageError as error:
        assert str(error).startswith("binance's")  # noqa: PT017  # it may as well be read
