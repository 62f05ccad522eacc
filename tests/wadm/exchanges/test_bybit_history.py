"""Bybit's newest trades: read whatever order they come in, known ones dropped, the rest taken exactly."""

import json
from decimal import Decimal
from typing import Any

import pytest

from wadm.exchanges.base import PageError, RateLimited, RecentTrades
from wadm.exchanges.contiguity import Positions
from wadm.exchanges.registry import find
from wadm.ledger import Ledger
from wadm.market import IdKind, Instrument, Trades

#: 2024-08-09T00:00:00Z in ms
START = 1_723_161_600_000
AT = 1_798_761_600_000_000


def row(
    name: str, later: int, price: str = "60000.5", size: str = "0.010", side: str = "Buy"
) -> dict[str, Any]:
    """A row as the exchange's documentation shows it."""
    return {
        "execId": name, "symbol": "BTCUSDT", "price": price, "size": size, "side": side,
        "time": str(START + later), "isBlockTrade": False, "isRPITrade": False,
    }  # fmt: skip


def body(*rows: dict[str, Any], code: int = 0, message: str = "OK") -> bytes:
    """An answer; the newest trade comes first."""
    result = {"category": "linear", "list": list(reversed(rows))}
    answer = {"retCode": code, "retMsg": message, "result": result, "retExtInfo": {}, "time": START}
    return json.dumps(answer).encode()


def recent(exchange: str = "bybit") -> tuple[RecentTrades, Positions, Ledger]:
    of, ledger = find(exchange), Ledger()
    positions = of.positions()
    instruments = {"BTCUSDT": Instrument(exchange, "BTCUSDT", Decimal("0.1"), Decimal("0.001"))}
    assert of.recent is not None
    return of.recent(instruments, positions, ledger), positions, ledger


@pytest.mark.parametrize(
    ("exchange", "category", "limit"), [("bybit", "linear", "1000"), ("bybit_spot", "spot", "60")]
)
def test_as_many_are_asked_for_as_the_market_gives(exchange: str, category: str, limit: str) -> None:
    request = recent(exchange)[0].newest("BTCUSDT").request
    assert request.path == "/v5/market/recent-trade"
    assert request.query == {"category": category, "symbol": "BTCUSDT", "limit": limit}


def test_a_page_comes_oldest_first_and_trades_of_one_time_keep_their_order() -> None:
    read = recent()[0].newest("BTCUSDT").read
    page = read(body(row("a", 0), row("b", 5), row("c", 5), row("d", 9)))
    assert [trade.id for trade in page] == ["a", "b", "c", "d"]


def test_what_is_wanted_is_taken_and_what_is_known_is_a_duplicate() -> None:
    asked, positions, ledger = recent()
    positions.of("BTCUSDT", IdKind.TRADE).check("b")
    page = asked.newest("BTCUSDT").read(
        body(row("a", 0), row("b", 1), row("c", 2, side="Sell"), row("d", 3), row("e", 4))
    )
    (trades,) = asked.take("BTCUSDT", (START + 1) * 1_000, (START + 3) * 1_000, page, AT)
    assert isinstance(trades, Trades)
    assert trades.ids == ["c", "d"]
    assert trades.times == [(START + 2) * 1_000, (START + 3) * 1_000]
    assert (trades.prices, trades.price_decimals) == ([600_005, 600_005], 1)
    assert (trades.signed_quantities, trades.quantity_decimals) == ([-10, 10], 3)
    account = ledger.account("bybit:BTCUSDT")
    assert (account.received, account.duplicate) == (3, 1)
    assert asked.take("BTCUSDT", (START + 1) * 1_000, (START + 3) * 1_000, page, AT) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"side": "Neither"}, "unknown_side"),
        ({"price": "-1"}, "price_not_positive"),
        ({"size": "much"}, "quantity_not_a_number"),
        ({"execId": ""}, "id_out_of_range"),
    ],
)
def test_a_trade_that_makes_no_sense_is_rejected_alone(change: dict[str, str], reason: str) -> None:
    asked, _, ledger = recent()
    page = asked.newest("BTCUSDT").read(body(row("a", 0), row("b", 1) | change))
    events = asked.take("BTCUSDT", 0, 1 << 62, page, AT)
    assert [event.ids for event in events if isinstance(event, Trades)] == [["a"]]
    assert sum(ledger.account("bybit:BTCUSDT").rejected.values()) == 1, reason
    assert ledger.statement(1)["balanced"]


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"retCode":0}', b'{"retCode":0,"result":{}}',
        b'{"retCode":0,"result":{"list":[{}]}}', body(row("a", 0))[:-30],
        body(row("a", 0) | {"time": "9" * 5_000}), body(row("a", 0) | {"time": "soon"}),
        body(row("a", 0) | {"size": 1}),
    ],
)  # fmt: skip
def test_an_answer_that_cannot_be_read_is_a_page_error(answer: bytes) -> None:
    with pytest.raises(PageError):
        recent()[0].newest("BTCUSDT").read(answer)


def test_refusals_are_told_apart() -> None:
    read = recent()[0].newest("BTCUSDT").read
    with pytest.raises(RateLimited):
        read(body(code=10_006, message="Too many visits!"))
    with pytest.raises(PageError, match="params error"):
        read(body(code=10_001, message="params error"))
