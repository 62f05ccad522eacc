"""Missed trades from Binance's REST interface: what is asked, how answers are read, and what is filled."""

import json
import random
from collections.abc import Iterable, Sequence

import attrs
import pytest
from codec_kit import AT, recorded, rows
from hypothesis import given
from hypothesis import strategies as st

from wadm.exchanges.base import Event, Filled, Gap, History, PageError, Rejected
from wadm.exchanges.contiguity import Missing, Positions
from wadm.exchanges.registry import EXCHANGES, find
from wadm.ledger import Ledger
from wadm.market import IdKind, Instrument, Trades

BITCOIN = Instrument("binance", "BTCUSDT")
FIRST = 1_000


def written(number: int, **change: object) -> dict[str, object]:
    """Return a trade as ``historicalTrades`` writes it."""
    return {
        "id": number, "price": "61837.63000000", "qty": f"0.0{number}", "quoteQty": "1",
        "time": 1_723_161_255_342 + number, "isBuyerMaker": number % 2 == 0, "isBestMatch": True, **change,
    }  # fmt: skip


def aggregated(number: int, first: int, last: int) -> dict[str, object]:
    """Return an aggregate trade as ``aggTrades`` writes it."""
    return {"a": number, "p": "0.10", "q": "3.5", "f": first, "l": last, "T": 1_723_161_255_342, "m": True}


def frame(number: int) -> bytes:
    """Return the same trade as the stream writes it."""
    row = written(number)
    data = {"e": "trade", "E": row["time"], "s": "BTCUSDT", "t": number, "p": row["price"], "q": row["qty"]}
    data |= {"T": row["time"], "m": row["isBuyerMaker"], "M": True}
    return json.dumps({"stream": "btcusdt@trade", "data": data}).encode()


@attrs.define
class Desk:
    """One symbol's stream and its history, which share positions and ledger."""

    exchange: str = "binance"
    ledger: Ledger = attrs.field(factory=Ledger)
    positions: Positions = attrs.field(init=False)
    events: list[Event] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.positions = find(self.exchange).positions()

    @property
    def history(self) -> History:
        made = find(self.exchange).history
        assert made is not None
        return made({"BTCUSDT": attrs.evolve(BITCOIN, exchange=self.exchange)}, self.positions, self.ledger)

    def hear(self, numbers: Iterable[int]) -> None:
        codec = find(self.exchange).codec({"BTCUSDT": BITCOIN}, self.positions, self.ledger)
        self.events += codec.receive([frame(number) for number in numbers], AT)

    def take(self, wanted: Missing, page: Sequence[dict[str, object]], kind: IdKind = IdKind.TRADE) -> None:
        history = self.history
        read = history.page(kind, json.dumps(page).encode())
        self.events += history.take("BTCUSDT", kind, wanted, read, AT)

    def ids(self) -> list[int]:
        return [int(row[0]) for row in rows(self.events)]

    def filled(self) -> list[tuple[int, int]]:
        return [(one.first, one.last) for one in self.events if isinstance(one, Filled)]

    def missing(self) -> list[tuple[int, int]]:
        return [tuple(one) for ranges in self.positions.missing().values() for one in ranges]  # type: ignore[misc]

    def balanced(self) -> bool:
        return bool(self.ledger.statement(len(self.ids()))["balanced"])


# --- what is asked ---


@pytest.mark.parametrize(
    ("exchange", "kind", "path", "limit", "key"),
    [
        ("binance", IdKind.TRADE, "/api/v3/historicalTrades", "500", None),
        ("binance", IdKind.AGG_TRADE, "/api/v3/aggTrades", "1000", None),
        ("binance_usdm", IdKind.TRADE, "/fapi/v1/historicalTrades", "500", "X-MBX-APIKEY"),
        ("binance_usdm", IdKind.AGG_TRADE, "/fapi/v1/aggTrades", "1000", None),
    ],
)
def test_each_market_is_asked_in_its_own_way(
    exchange: str, kind: IdKind, path: str, limit: str, key: str | None
) -> None:
    request = Desk(exchange).history.request("BTCUSDT", kind, 77)
    assert (request.path, request.key_header) == (path, key)
    assert request.query == {"symbol": "BTCUSDT", "fromId": "77", "limit": limit}


def test_only_exchanges_whose_ids_count_up_have_a_history() -> None:
    for exchange in EXCHANGES.values():
        assert (exchange.history is not None) == exchange.ids_count_up


# --- how answers are read ---


def test_a_page_is_put_in_the_order_of_its_ids() -> None:
    body = json.dumps([written(number) for number in (7, 5, 6)]).encode()
    assert [trade.id for trade in Desk().history.page(IdKind.TRADE, body)] == [5, 6, 7]


def test_an_aggregate_stands_for_all_its_fills() -> None:
    desk = Desk()
    desk.positions.of("BTCUSDT", IdKind.AGG_TRADE).restore(4)
    desk.take(Missing(5, 5), [aggregated(5, 100, 107)], IdKind.AGG_TRADE)
    ((trade_id, _, price, quantity, count),) = rows(desk.events)
    assert (trade_id, str(price), str(quantity), count) == (5, "0.1", "-3.5", 8)


@pytest.mark.parametrize(
    ("kind", "body", "why"),
    [
        (IdKind.TRADE, b"", "not_json"),
        (IdKind.TRADE, b"[{", "not_json"),
        (IdKind.TRADE, b"<html>", "not_json"),
        (IdKind.TRADE, b'[{"id":1}]', "missing_field"),
        (IdKind.TRADE, b'[{"id":"1"}]', "ill_typed_field"),
        (IdKind.TRADE, b"{}", "ill_typed_field"),
        (IdKind.TRADE, b'[{"x":' + b"[" * 100_000, "nested_too_deeply"),
        (IdKind.TRADE, json.dumps([aggregated(1, 1, 1)]).encode(), "missing_field"),
        (IdKind.AGG_TRADE, json.dumps([written(1)]).encode(), "missing_field"),
    ],
)
def test_an_answer_that_is_no_page_says_what_it_is(kind: IdKind, body: bytes, why: str) -> None:
    path = "historicalTrades" if kind is IdKind.TRADE else "aggTrades"
    with pytest.raises(PageError, match=f"^binance sent a page of {path} that is {why}$"):
        Desk().history.page(kind, body)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    for kind in IdKind:
        try:
            Desk().history.page(kind, body)
        except PageError:
            continue


# --- what is taken ---


def test_of_a_page_only_what_is_wanted_is_taken() -> None:
    desk = Desk()
    desk.hear([10, 15])
    desk.take(Missing(11, 12), [written(number) for number in range(9, 15)])
    assert desk.ids() == [10, 15, 11, 12]
    assert desk.filled() == [(11, 12)]
    assert desk.missing() == [(13, 14)]
    assert desk.balanced()


def test_what_a_page_passes_over_is_no_market_trade_and_has_come() -> None:
    desk = Desk()
    desk.hear([10, 20])
    desk.take(Missing(11, 19), [written(number) for number in (10, 13, 14, 20)])
    assert desk.ids() == [10, 20, 13, 14]
    assert desk.missing() == []
    assert sorted(number for first, last in desk.filled() for number in range(first, last + 1)) == [
        *range(11, 20)
    ]


def test_of_what_was_before_its_first_trade_a_page_says_nothing() -> None:
    desk = Desk()
    desk.hear([10, 20])
    desk.take(Missing(11, 19), [written(number) for number in range(15, 21)])
    assert desk.missing() == [(11, 14)]


def test_what_is_not_missing_is_not_taken_twice() -> None:
    desk = Desk()
    desk.hear([10, 15])
    for _ in range(2):
        desk.take(Missing(11, 14), [written(number) for number in range(10, 16)])
    assert desk.ids() == [10, 15, 11, 12, 13, 14]
    assert desk.ledger.total().duplicate == 4
    assert desk.balanced()


def test_an_empty_page_changes_nothing() -> None:
    desk = Desk()
    desk.hear([10, 15])
    desk.take(Missing(11, 14), [])
    assert desk.missing() == [(11, 14)]


def test_a_symbol_that_is_not_known_gives_nothing() -> None:
    assert Desk().history.take("ETHUSDT", IdKind.TRADE, Missing(1, 2), [], AT) == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"price": "much"}, "not_a_number"),
        ({"qty": "0"}, "quantity_not_positive"),
        ({"time": 0}, "time_out_of_range"),
        ({"time": AT // 1_000 + 86_400_001}, "time_in_future"),
    ],
)
def test_a_trade_that_cannot_be_read_stays_missing_and_its_neighbours_are_taken(
    change: dict[str, object], why: str
) -> None:
    desk = Desk()
    desk.hear([10, 14])
    desk.take(Missing(11, 13), [written(10), written(11), written(12, **change), written(13), written(14)])
    assert 12 not in desk.ids()
    assert desk.ledger.total().rejected == {why: 1}
    assert desk.balanced()
    assert desk.missing() == [(12, 12)]
    assert [(event.first, event.last) for event in desk.events if isinstance(event, Gap)] == [(11, 13)]
    assert desk.filled() == [(11, 11), (13, 13)]
    if why != "time_in_future":
        assert [event.reason for event in desk.events if isinstance(event, Rejected)] == [why]


# --- whatever is lost ---


@st.composite
def losses(draw: st.DrawFn) -> tuple[set[int], set[int], int, int]:
    """Draw which of ``count`` trades are lost, which ids are no market trades, and a length of pages."""
    count = draw(st.integers(3, 60))
    inner = st.integers(FIRST + 1, FIRST + count - 2) if count > 3 else st.just(FIRST + 1)
    strangers = draw(st.sets(inner, max_size=count // 3))
    lost = draw(st.sets(inner, max_size=count))
    return lost, strangers, count, draw(st.integers(2, 12))


@given(losses())
def test_after_filling_nothing_is_missing_and_every_trade_is_there_once(
    drawn: tuple[set[int], set[int], int, int],
) -> None:
    lost, strangers, count, length = drawn
    everything = [number for number in range(FIRST, FIRST + count) if number not in strangers]
    heard = [number for number in everything if number not in lost]
    desk = Desk()
    desk.hear(heard)
    for first, last in desk.missing():
        wanted = first
        while wanted <= last:
            page = [number for number in everything if number >= wanted - 1][:length]
            desk.take(Missing(wanted, last), [written(number) for number in page])
            wanted = page[-1] + 1
    desk.hear(heard)  # a reconnect repeats what is known
    assert desk.missing() == []
    whole = Desk()
    whole.hear(everything)
    assert sorted(rows(desk.events)) == sorted(rows(whole.events))
    gone = [
        number for one in desk.events if isinstance(one, Gap) for number in range(one.first, one.last + 1)
    ]
    came = [number for first, last in desk.filled() for number in range(first, last + 1)]
    assert sorted(gone) == sorted(came)
    assert desk.balanced()


def test_recorded_trades_are_the_same_from_either_side() -> None:
    frames = [
        line for line in recorded("hftbacktest/spot_ethusdt_20240808_head.gz") if b'"e":"trade"' in line
    ][:100]
    listing = {"ETHUSDT": Instrument("binance", "ETHUSDT")}
    chance = random.Random(4)
    heard = [
        line for index, line in enumerate(frames) if index in (0, len(frames) - 1) or chance.random() < 0.5
    ]
    binance, ledger = find("binance"), Ledger()
    positions = binance.positions()
    events = binance.codec(listing, positions, ledger).receive(heard, AT)
    assert binance.history is not None
    history = binance.history(listing, positions, ledger)
    names = {"id": "t", "price": "p", "qty": "q", "time": "T", "isBuyerMaker": "m"}
    data = [json.loads(line)["data"] for line in frames]
    body = json.dumps([{name: one[short] for name, short in names.items()} for one in data]).encode()
    page = history.page(IdKind.TRADE, body)
    for missing in positions.missing()["ETHUSDT", IdKind.TRADE]:
        events += history.take("ETHUSDT", IdKind.TRADE, missing, page, AT)
    assert positions.missing() == {}
    whole = binance.codec(listing, binance.positions(), Ledger()).receive(frames, AT)
    assert sorted(rows(events)) == sorted(rows(whole))
    assert {type(event) for event in whole} == {Trades}
