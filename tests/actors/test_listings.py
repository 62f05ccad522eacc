"""What is followed keeps in step with what the exchanges list, by the clock and without a network."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from rest_answers import RestAnswers

from actors.following.following import Following
from actors.following.listing_memory import ListingMemory
from actors.following.listings import AGAIN, PERIOD, RETRY, Listings
from actors.memory import SymbolMemory
from actors.rest import NotNow
from supervision import Context
from wadm.exchanges.base import Request
from wadm.market import HOUR, IdKind, Instrument
from wadm.sections import ExchangeSettings
from wadm.selected import Selected
from wadm.series import ClosedBars
from wadm.settings import Settings

INFO, TICKERS = "/api/v3/exchangeInfo", "/api/v3/ticker/24hr"
INSTRUMENTS = "/v5/market/instruments-info"


def of_binance(*symbols: str) -> Settings:
    return Settings(exchanges={"binance": ExchangeSettings("wss://spot", symbols)})


@attrs.define(eq=False)
class Exchange:
    """What Binance lists: tick by symbol, those that do not trade, and turnover."""

    ticks: dict[str, str]
    halted: set[str] = attrs.field(factory=set)
    turnover: dict[str, int] = attrs.field(factory=dict)

    def info(self, _request: Request) -> object:
        return {"symbols": [self._listed(symbol, tick) for symbol, tick in self.ticks.items()]}

    def tickers(self, _request: Request) -> object:
        return [{"symbol": symbol, "quoteVolume": str(one)} for symbol, one in self.turnover.items()]

    def _listed(self, symbol: str, tick: str) -> object:
        filters = [
            {"filterType": "PRICE_FILTER", "tickSize": tick},
            {"filterType": "LOT_SIZE", "stepSize": "0.001"},
        ]
        status = "BREAK" if symbol in self.halted else "TRADING"
        quote = "USDT" if symbol.endswith("USDT") else "BTC"
        return {
            "symbol": symbol, "status": status, "baseAsset": symbol.removesuffix(quote),
            "quoteAsset": quote, "filters": filters,
        }  # fmt: skip


@attrs.define(eq=False)
class Bench:
    """The actor with the real book-keeping of what is followed, but nobody who opens a connection."""

    exchange: Exchange
    settings: Settings
    playback: bool = False
    rest: RestAnswers = attrs.field(factory=RestAnswers)
    symbols: dict[str, SymbolMemory] = attrs.field(factory=dict)
    listings: dict[str, ListingMemory] = attrs.field(factory=dict)
    following: Following = attrs.field(init=False)
    actor: Listings = attrs.field(init=False)
    incarnation: int = 0

    def __attrs_post_init__(self) -> None:
        self.rest.answers = {INFO: self.exchange.info, TICKERS: self.exchange.tickers}
        runtime: Any = SimpleNamespace(
            plan=SimpleNamespace(playback=self.playback, listing={}, selected={}),
            rest=self.rest,
            symbols=self.symbols,
            books={},
            connections={},
            listings=self.listings,
            instruments_of=self.instruments_of,
        )
        self.following = Following(runtime, self.settings)
        self.following.configure(self.settings)
        self.actor = Listings(runtime, self.following)

    def instruments_of(self, exchange: str) -> dict[str, Instrument]:
        return {
            one.instrument.symbol: one.instrument
            for one in self.symbols.values()
            if one.instrument.exchange == exchange
        }

    def current(self, exchange: str = "binance") -> list[str]:
        return sorted(self.following.current(exchange))

    def remove(self, symbol: str) -> None:
        """Remove a symbol by hand."""
        self.following.selected["binance"] = Selected(removed=frozenset({symbol}))
        self.following.want("binance", (), {symbol: "removed by hand"})

    def tick(self, symbol: str) -> Decimal | None:
        return self.following.listing[f"binance:{symbol}"].tick

    @property
    def memory(self) -> ListingMemory:
        return self.listings["binance"]

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        self.incarnation += 1
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.actor.run, Context("listings", self.incarnation))
            await trio.testing.wait_all_tasks_blocked()
            yield
            nursery.cancel_scope.cancel()


def down(_request: Request) -> object:
    raise NotNow("it is down", 1.0)


async def later(seconds: float) -> None:
    """Let time pass, and whatever is due by then happen."""
    await trio.sleep(seconds)
    await trio.testing.wait_all_tasks_blocked()


# --- what comes, goes and changes ---


async def test_symbols_by_pattern_are_followed_as_they_are_listed_and_left_as_they_end(
    autojump_clock: trio.testing.MockClock,
) -> None:
    exchange = Exchange({"BTCUSDT": "0.01", "ETHUSDT": "0.01", "ETHBTC": "0.00001"})
    bench = Bench(exchange, of_binance("*USDT"))
    async with bench.run():
        assert bench.current() == ["BTCUSDT", "ETHUSDT"]
        exchange.ticks["NEWUSDT"] = "0.1"
        exchange.halted.add("ETHUSDT")
        await later(PERIOD - 1)
        assert bench.current() == ["BTCUSDT", "ETHUSDT"]
        await later(1)
        assert bench.current() == ["BTCUSDT", "NEWUSDT"]
        assert bench.tick("NEWUSDT") == Decimal("0.1")
        assert bench.memory.left == {"ETHUSDT": "it does not trade now"}
        exchange.halted.clear()
        await later(PERIOD)
        assert bench.current() == ["BTCUSDT", "ETHUSDT", "NEWUSDT"]
        assert bench.memory.left == {}
    assert bench.rest.times(TICKERS) == []


async def test_what_is_gone_from_the_list_is_left_at_the_second_look(
    autojump_clock: trio.testing.MockClock,
) -> None:
    exchange = Exchange({"BTCUSDT": "0.01", "OLDUSDT": "0.01"})
    bench = Bench(exchange, of_binance("BTCUSDT", "OLDUSDT"))
    async with bench.run():
        del exchange.ticks["OLDUSDT"]
        await later(PERIOD)
        assert bench.current() == ["BTCUSDT", "OLDUSDT"]
        assert bench.memory.answer()["missed"] == ["OLDUSDT"]
        await later(PERIOD)
        assert bench.current() == ["BTCUSDT"]
        assert bench.memory.answer()["left"] == {"OLDUSDT": "the exchange no longer lists it"}


async def test_the_first_by_turnover_follow_the_turnover(autojump_clock: trio.testing.MockClock) -> None:
    exchange = Exchange(
        {f"{one}USDT": "0.01" for one in "ABCD"}, turnover={"AUSDT": 9, "BUSDT": 8, "CUSDT": 7}
    )
    bench = Bench(exchange, of_binance("top:2"))
    async with bench.run():
        assert bench.current() == ["AUSDT", "BUSDT"]
        exchange.turnover = {"DUSDT": 10, "AUSDT": 9, "BUSDT": 8, "CUSDT": 7}
        await later(PERIOD)
        assert bench.current() == ["AUSDT", "BUSDT", "DUSDT"]  # B is third of two: it stays
        exchange.turnover["CUSDT"] = 20
        await later(PERIOD)
        assert bench.current() == ["AUSDT", "CUSDT", "DUSDT"]


async def test_a_tick_that_changes_is_taken_over_and_one_that_the_list_leaves_out_is_kept(
    autojump_clock: trio.testing.MockClock,
) -> None:
    exchange = Exchange({"BTCUSDT": "0.01"})
    bench = Bench(exchange, of_binance("BTCUSDT"))
    known = Instrument("binance", "BTCUSDT", Decimal("0.01"), Decimal("0.00001"))
    bench.symbols[known.key] = SymbolMemory(known, ClosedBars(HOUR), IdKind.TRADE)
    bench.following.runtime.books[known.key] = SimpleNamespace(instrument=known)  # type: ignore[assignment]
    async with bench.run():
        assert bench.symbols[known.key].instrument.step == Decimal("0.001")
        exchange.ticks["BTCUSDT"] = "0.1"
        await later(PERIOD)
        assert bench.symbols[known.key].instrument.tick == Decimal("0.1")
        exchange.ticks["BTCUSDT"] = "0"
        await later(PERIOD)
        assert bench.symbols[known.key].instrument.tick == Decimal("0.1")


async def test_all_pages_of_a_list_are_read(autojump_clock: trio.testing.MockClock) -> None:
    bench = Bench(Exchange({}), Settings(exchanges={"bybit": ExchangeSettings("wss://linear", ("*USDT",))}))

    def page(request: Request) -> object:
        number = int(request.query.get("cursor") or 0)
        one = {
            "symbol": f"{'ABC'[number]}USDT", "status": "Trading", "baseCoin": "A", "quoteCoin": "USDT",
            "priceFilter": {"tickSize": "0.1"}, "lotSizeFilter": {"qtyStep": "0.1"},
        }  # fmt: skip
        cursor = str(number + 1) if number < 2 else ""
        return {"retCode": 0, "result": {"list": [one], "nextPageCursor": cursor}}

    bench.rest.answers[INSTRUMENTS] = page
    async with bench.run():
        assert bench.current("bybit") == ["AUSDT", "BUSDT", "CUSDT"]


# --- what is asked for changes ---


async def test_something_else_that_is_asked_for_is_looked_up_soon_but_not_too_often(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bench = Bench(Exchange({"BTCUSDT": "1", "ETHUSDT": "1", "LTCUSDT": "1"}), of_binance("BTCUSDT"))
    async with bench.run():
        assert bench.rest.times(INFO) == [0]
        bench.following.configure(of_binance("*USDT"))
        await later(AGAIN)
        assert bench.current() == ["BTCUSDT", "ETHUSDT", "LTCUSDT"]
        bench.remove("LTCUSDT")
        await later(1)
        bench.following.configure(of_binance("E*"))
        await later(1)
        assert bench.rest.times(INFO) == [0, AGAIN]
        await later(AGAIN)
        assert bench.current() == ["ETHUSDT"]
        assert bench.rest.times(INFO) == [0, AGAIN, 2 * AGAIN]


async def test_what_was_removed_by_hand_is_not_brought_back_by_a_pattern(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bench = Bench(Exchange({"BTCUSDT": "1", "ETHUSDT": "1"}), of_binance("*USDT"))
    bench.remove("ETHUSDT")
    async with bench.run():
        await later(3 * PERIOD)
        assert bench.current() == ["BTCUSDT"]


async def test_an_exchange_that_is_asked_for_later_is_looked_at_then(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bench = Bench(Exchange({"BTCUSDT": "1"}), Settings())
    async with bench.run():
        await later(5)
        bench.following.configure(of_binance("*"))
        await later(1)
        assert bench.current() == ["BTCUSDT"]
        bench.following.configure(of_binance())
        await later(AGAIN)
        assert bench.current() == []
        bench.following.configure(Settings())
        await later(1)
        assert bench.listings == {}


async def test_what_is_read_while_something_else_is_asked_for_decides_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bench = Bench(Exchange({"BTCUSDT": "1", "ETHUSDT": "1"}), of_binance("*USDT"))
    plain = bench.rest.answers[INFO]

    def meanwhile(request: Request) -> object:
        bench.rest.answers[INFO] = plain
        bench.following.configure(of_binance("ETH*"))
        return plain(request)

    bench.rest.answers[INFO] = meanwhile
    async with bench.run():
        assert bench.current() == []
        await later(AGAIN)
        assert bench.current() == ["ETHUSDT"]


# --- what cannot be read ---


@pytest.mark.parametrize(
    "broken",
    [
        down,
        lambda _: b"<html>",
        lambda _: {"symbols": []},
        lambda _: {"symbols": [{"symbol": "BTCUSDT"}]},
        lambda _: {"code": -1003, "msg": "Too many requests."},
    ],
    ids=["down", "not json", "empty", "cut", "error"],
)
async def test_a_list_that_cannot_be_read_changes_nothing_and_is_asked_for_again(
    autojump_clock: trio.testing.MockClock, broken: Any
) -> None:
    bench = Bench(Exchange({"BTCUSDT": "1", "ETHUSDT": "1"}), of_binance("*USDT"))
    sound = bench.rest.answers[INFO]
    async with bench.run():
        bench.rest.answers[INFO] = broken
        await later(PERIOD)
        assert bench.current() == ["BTCUSDT", "ETHUSDT"]
        await later(5)
        answer = bench.memory.answer()
        assert answer["error"]
        assert answer["age"] == PERIOD + 5
        bench.rest.answers[INFO] = sound
        await later(RETRY)
        assert (bench.memory.answer()["error"], bench.memory.answer()["age"]) == (None, 5.0)


async def test_without_turnover_the_first_by_turnover_stay_who_they_are(
    autojump_clock: trio.testing.MockClock,
) -> None:
    exchange = Exchange({"AUSDT": "1", "BUSDT": "1"}, turnover={"AUSDT": 9, "BUSDT": 8})
    bench = Bench(exchange, of_binance("top:1"))
    async with bench.run():
        bench.rest.answers[TICKERS] = down
        await later(PERIOD)
        assert bench.current() == ["AUSDT"]


async def test_a_list_without_end_is_none(autojump_clock: trio.testing.MockClock) -> None:
    bench = Bench(Exchange({}), Settings(exchanges={"bybit": ExchangeSettings("wss://linear", ("*",))}))
    bench.rest.answers[INSTRUMENTS] = lambda _: {"retCode": 0, "result": {"list": [], "nextPageCursor": "x"}}
    async with bench.run():
        assert "no end" in str(bench.listings["bybit"].answer()["error"])


async def test_a_symbol_that_nobody_lists_is_followed_and_told_of(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bench = Bench(Exchange({"BTCUSDT": "1"}), of_binance("BTCUSDT", "NONEUSDT"))
    async with bench.run():
        await later(3 * PERIOD)
        assert bench.current() == ["BTCUSDT", "NONEUSDT"]
        assert bench.memory.answer()["unknown"] == ["NONEUSDT"]


# --- the actor's own life ---


async def test_a_crash_does_not_bring_the_next_look_forward(autojump_clock: trio.testing.MockClock) -> None:
    bench = Bench(Exchange({"BTCUSDT": "1"}), of_binance("*"))

    def crash(_request: Request) -> object:
        raise RuntimeError("a bug")

    sound, bench.rest.answers[INFO] = bench.rest.answers[INFO], crash
    with pytest.RaisesGroup(RuntimeError):
        async with bench.run():
            await trio.sleep_forever()
    bench.rest.answers[INFO] = sound
    async with bench.run():
        await later(RETRY - 1)
        assert bench.current() == []
        await later(1)
        assert bench.current() == ["BTCUSDT"]


async def test_a_recording_has_no_list(autojump_clock: trio.testing.MockClock) -> None:
    bench = Bench(Exchange({"BTCUSDT": "1"}), of_binance("*"), playback=True)
    async with bench.run():
        await later(PERIOD)
        assert bench.rest.asked == []
