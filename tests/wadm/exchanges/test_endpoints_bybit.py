"""What Bybit's REST interface is asked about the market, and how its answers are read.

Its time and its list are recorded; the others are written as its documentation shows them.
"""

import json
from decimal import Decimal
from typing import Any

import pytest
from endpoint_kit import START, answer, endpoints, hostile, queries, spoiled
from hypothesis import given
from hypothesis import strategies as st

from wadm.exchanges.base import PageError, RateLimited, Request
from wadm.market import MINUTE, BookChange

LINEAR, SPOT = "bybit", "bybit_spot"


def said(result: object, code: int = 0, message: str = "OK") -> bytes:
    whole = {
        "retCode": code,
        "retMsg": message,
        "result": result,
        "retExtInfo": {},
        "time": 1_789_299_611_008,
    }
    return json.dumps(whole).encode()


def contract(symbol: str = "BTCUSDT", **change: Any) -> dict[str, Any]:
    """Return a contract as https://bybit-exchange.github.io/docs/v5/market/instrument shows it."""
    return {
        "symbol": symbol, "contractType": "LinearPerpetual", "status": "Trading", "baseCoin": "BTC",
        "quoteCoin": "USDT", "launchTime": "1584230400000", "deliveryTime": "0", "priceScale": "2",
        "priceFilter": {"minPrice": "0.10", "maxPrice": "1999999.80", "tickSize": "0.10"},
        "lotSizeFilter": {"maxOrderQty": "1190.000", "minOrderQty": "0.001", "qtyStep": "0.001"}, **change,
    }  # fmt: skip


def kline(start: int, **change: str) -> list[str]:
    row = {"open": "17071", "high": "17073.5", "low": "17027", "close": "17055.5", "volume": "268611"}
    row |= {"turnover": "15.74462667", **change}
    return [str(start // 1_000), *row.values()]


BOOK = {
    "s": "BTCUSDT", "a": [["65557.7", "16.606555"], ["65557.80", "0"]], "b": [["65485.47", "47.081829"]],
    "ts": 1_716_863_719_031, "u": 230_704, "seq": 1_432_604_333, "cts": 1_716_863_718_905,
}  # fmt: skip
TICKERS = [{"symbol": "BTCUSDT", "turnover24h": "2352.94950", "volume24h": "49337318"}]
ANSWERS = {
    "clock": answer("fastmm/bybit_server_time.json"),
    "listing": said({"category": "linear", "list": [contract()], "nextPageCursor": "x"}),
    "turnover": said({"category": "linear", "list": TICKERS}),
    "depth": said(BOOK),
    "candles": said({"symbol": "BTCUSDT", "category": "linear", "list": [kline(START)]}),
}


# --- what is asked ---


@pytest.mark.parametrize(
    ("exchange", "asked", "path", "query"),
    [
        (LINEAR, "clock", "time", {}),
        (LINEAR, "listing", "instruments-info", {"category": "linear", "limit": "1000"}),
        (SPOT, "listing", "instruments-info", {"category": "spot", "limit": "1000"}),
        (LINEAR, "turnover", "tickers", {"category": "linear"}),
        (LINEAR, "depth", "orderbook", {"category": "linear", "symbol": "BTCUSDT", "limit": "1000"}),
        (SPOT, "depth", "orderbook", {"category": "spot", "symbol": "BTCUSDT", "limit": "200"}),
    ],
)
def test_each_market_is_asked_in_its_own_way(
    exchange: str, asked: str, path: str, query: dict[str, str]
) -> None:
    assert queries(exchange)[asked].request == Request(f"/v5/market/{path}", query)


def test_candles_are_asked_for_with_their_category_which_would_be_linear_otherwise() -> None:
    request = endpoints(SPOT).candles("BTCUSDT", START, START + 5_000 * MINUTE).request
    assert request.query == {
        "category": "spot", "symbol": "BTCUSDT", "interval": "1", "start": str(START // 1_000),
        "end": str((START + 999 * MINUTE) // 1_000), "limit": "1000",
    }  # fmt: skip


def test_a_further_page_of_the_list_is_asked_for_by_its_cursor() -> None:
    first = endpoints(LINEAR).listing().read(ANSWERS["listing"])
    assert endpoints(LINEAR).listing(first.cursor).request.query["cursor"] == "x"


# --- how answers are read ---


def test_time_is_told_in_nanoseconds() -> None:
    assert endpoints(LINEAR).clock().read(ANSWERS["clock"]) == 1_789_299_611_107_028


def test_the_recorded_list_of_spot_symbols_tells_steps_as_a_precision() -> None:
    page = endpoints(SPOT).listing().read(answer("fastmm/bybit_instruments_info.json"))
    (one,) = page.listed
    assert (one.instrument.key, one.instrument.tick, one.instrument.step) == (
        "bybit_spot:BTCUSDT", Decimal("0.1"), Decimal("0.000001"),
    )  # fmt: skip
    assert (one.base, one.quote, one.trading, page.cursor) == ("BTC", "USDT", True, "")


def test_contracts_have_a_step_and_those_before_their_launch_do_not_trade() -> None:
    contracts = [contract(), contract("NEWUSDT", status="PreLaunch", priceFilter={"tickSize": "0"})]
    page = endpoints(LINEAR).listing().read(said({"list": contracts, "nextPageCursor": ""}))
    traded, new = page.listed
    assert (traded.instrument.tick, traded.instrument.step) == (Decimal("0.1"), Decimal("0.001"))
    assert str(traded.instrument.tick) == "0.1"
    assert (new.instrument.tick, new.trading) == (None, False)


def test_turnover_is_that_in_quote() -> None:
    rows = [*TICKERS, {"symbol": "NEWUSDT", "turnover24h": ""}]
    assert endpoints(LINEAR).turnover().read(said({"list": rows})) == {"BTCUSDT": Decimal("2352.9495")}


def test_a_book_has_the_id_of_its_last_update() -> None:
    book = endpoints(LINEAR).depth("BTCUSDT").read(ANSWERS["depth"])
    assert book.change is BookChange.SNAPSHOT
    assert (book.first, book.last, book.previous, book.at) == (230_704, 230_704, None, 1_716_863_719_031_000)
    assert (book.price_decimals, book.quantity_decimals) == (2, 6)
    assert list(book.bids) == [(6_548_547, 47_081_829)]
    assert list(book.asks) == [(6_555_770, 16_606_555), (6_555_780, 0)]


def test_candles_come_newest_first_and_are_turned_round() -> None:
    rows = [kline(START + minute * MINUTE) for minute in (3, 2, 1, 0)]
    candles = endpoints(LINEAR).candles("BTCUSDT", START, START + 3 * MINUTE).read(said({"list": rows}))
    assert [one.start for one in candles] == [START, START + MINUTE, START + 2 * MINUTE]
    first = candles[0]
    assert (first.open, first.low, first.turnover) == (Decimal(17071), Decimal(17027), Decimal("15.74462667"))
    assert (first.buy_volume, first.count, first.closed) == (None, None, True)


# --- what is refused, and what cannot be read ---


@pytest.mark.parametrize("asked", sorted(ANSWERS))
def test_a_refusal_names_its_code_and_message(asked: str) -> None:
    with pytest.raises(
        PageError, match=r"bybit's .* is refused: Not supported symbols \(retCode 10001\)"
    ) as no:
        queries(LINEAR)[asked].read(said({}, 10_001, "Not supported symbols"))
    assert not isinstance(no.value, RateLimited)


@pytest.mark.parametrize("asked", sorted(ANSWERS))
def test_too_many_requests_are_told_apart(asked: str) -> None:
    with pytest.raises(RateLimited, match="Too many visits"):
        queries(LINEAR)[asked].read(said({}, 10_006, "Too many visits!"))


@pytest.mark.parametrize(
    ("asked", "body"),
    [
        ("clock", b""),
        ("clock", b'{"retCode":"0"}'),
        ("clock", said({"timeNano": "-1"})),
        ("clock", said({"timeNano": "1789299611"})),
        ("clock", said({"timeNano": "9" * 5_000})),
        ("clock", said({"timeNano": "١٢"})),
        ("clock", said(None)),
        ("listing", said({"list": [contract(symbol="")]})),
        ("listing", said({"list": [{"symbol": "BTCUSDT"}]})),
        ("listing", said({"list": {}})),
        ("turnover", said({"list": [{"symbol": "BTCUSDT"}]})),
        ("depth", said({**BOOK, "u": -1})),
        ("depth", said({**BOOK, "ts": 0})),
        ("depth", said({**BOOK, "b": [["-1", "1"]]})),
        ("depth", said({**BOOK, "b": [["1", "much"]]})),
        ("candles", said({"list": [["1"]]})),
        ("candles", said({"list": [kline(START, low="18000")]})),
        ("candles", said({"list": [kline(START, volume="-1")]})),
        ("candles", said({"list": [kline(START + 1_000)]})),
    ],
)
def test_what_cannot_be_read_is_a_page_error(asked: str, body: bytes) -> None:
    with pytest.raises(PageError, match=r"bybit's .* cannot be read"):
        queries(LINEAR)[asked].read(body)


@given(st.sampled_from(sorted(ANSWERS)), st.data())
def test_a_cut_or_spoiled_answer_is_read_or_a_page_error_and_nothing_else(
    asked: str, data: st.DataObject
) -> None:
    body = ANSWERS[asked].strip()
    if data.draw(st.booleans()):
        with pytest.raises(PageError):
            queries(LINEAR)[asked].read(body[: data.draw(st.integers(0, len(body) - 1))])
        return
    try:
        queries(LINEAR)[asked].read(spoiled(body, data.draw(st.integers(0, 100)), data.draw(hostile)))
    except PageError as error:
        assert str(error).startswith("bybit's")  # noqa: PT017  # it may as well be read
