"""Symbols are followed and left while others go on as if nothing had happened."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from market import Followed, Market, followed, settings_of

from actors import plan
from actors.following import followed as kept
from actors.following.choosing import Choosing
from actors.storage.reader import DataReader
from wadm.market import Instrument
from wadm.questions import MissingParameter, QuestionError, UnknownExchange, UnknownParameter, UnknownSymbol
from wadm.sections import ExchangeSettings
from wadm.selected import Selected
from wadm.settings import Settings

BITCOIN, ETHER, SOLANA = "binance:BTCUSDT", "binance:ETHUSDT", "binance:SOLUSDT"
SOL = Instrument("binance", "SOLUSDT", Decimal("0.01"), Decimal("0.001"))


@asynccontextmanager
async def following(path: Path, *symbols: str, **told: Any) -> AsyncIterator[tuple[Followed, Market]]:
    market = Market()
    with trio.fail_after(30):
        async with followed(path, market, settings_of(*symbols, **told)) as running:
            await running.until_traded(*(f"binance:{symbol}" for symbol in symbols))
            yield running, market


@asynccontextmanager
async def undisturbed(running: Followed, *keys: str) -> AsyncIterator[None]:
    """Hold that nothing happens to these symbols but trades, and nothing to their connection."""
    names = [f"{kind}:{key}" for key in keys for kind in ("aggregator", "book")] + ["connection:binance#1"]
    before = {name: attrs.evolve(running.status(name), uptime=0, mailbox=None) for name in names}
    connects = running.runtime.connections["connection:binance#1"].connects
    yield
    await running.until_traded(*keys)
    for name, status in before.items():
        now = attrs.evolve(running.status(name), uptime=0, mailbox=None)
        assert (now.incarnation, now.restarts, now.state) == (
            status.incarnation, status.restarts, status.state
        )  # fmt: skip
    assert running.runtime.connections["connection:binance#1"].connects == connects
    for key in keys:
        assert running.runtime.symbols[key].gaps.known == []
        account = running.runtime.ledger.account(key)
        assert (account.duplicate, account.rejected, account.shed) == (0, {}, {})


def balanced(running: Followed) -> bool:
    return bool(running.runtime.statement()["balanced"])


def stored(directory: Path, symbol: str) -> int:
    """Return how many trades of a symbol are found in a data directory."""
    reader = DataReader.open(directory)
    try:
        start, end = reader.span("binance", symbol) or (0, 0)
        bar = reader.merged("binance", symbol, start, end)
        return bar.buy_trades + bar.sell_trades
    finally:
        reader.close()


# --- following ---


async def test_a_symbol_is_followed_while_others_go_on(tmp_path: Path) -> None:
    async with following(tmp_path, "BTCUSDT", "ETHUSDT") as (running, market):
        async with undisturbed(running, BITCOIN, ETHER):
            await running.following.follow("binance", [SOL])
            assert running.following.current("binance") == {"BTCUSDT", "ETHUSDT", "SOLUSDT"}
            await running.until_traded(SOLANA)
        assert [request for socket in market.sockets for request in socket.requests] == [
            ("SUBSCRIBE", ["btcusdt@trade", "ethusdt@trade"]),
            ("SUBSCRIBE", ["solusdt@trade"]),
        ]
        assert running.runtime.symbols[SOLANA].instrument == SOL
        assert balanced(running)


async def test_the_first_symbol_of_an_exchange_brings_its_connections(tmp_path: Path) -> None:
    async with following(tmp_path) as (running, market):
        assert market.sockets == []
        await running.following.follow("binance", [SOL])
        await running.until_traded(SOLANA)
        assert list(running.runtime.connections) == ["connection:binance#1"]


async def test_routes_have_connections_of_their_own_which_come_and_go(tmp_path: Path) -> None:
    settings = settings_of(exchange="binance_usdm", streams=("trades", "book"))
    market = Market()
    with trio.fail_after(30):
        async with followed(tmp_path, market, settings) as running:
            await running.following.follow("binance_usdm", [Instrument("binance_usdm", "BTCUSDT")])
            names = {"connection:binance_usdm#1", "connection:binance_usdm#2"}
            assert running.runtime.connections.keys() == names
            assert names <= running.names()
            await running.following.unfollow("binance_usdm", ["BTCUSDT"], "a test")
            while running.runtime.connections:  # noqa: ASYNC110
                await trio.sleep(0.002)
            assert market.sockets == []
            assert not names & running.names()
            assert running.runtime.outboxes.keys() & names == set()


async def test_a_symbol_already_followed_changes_nothing(tmp_path: Path) -> None:
    async with following(tmp_path, "BTCUSDT") as (running, market), undisturbed(running, BITCOIN):
        await running.following.follow("binance", [Instrument("binance", "BTCUSDT")])
        assert len(market.sockets[0].requests) == 1


# --- leaving ---


async def test_a_symbol_is_left_with_all_that_came_of_it_kept(tmp_path: Path) -> None:
    async with following(tmp_path, "BTCUSDT", "ETHUSDT") as (running, market):
        async with undisturbed(running, BITCOIN):
            await running.following.unfollow("binance", ["ETHUSDT"], "a test")
            runtime = running.runtime
            for held in (runtime.symbols, runtime.aggregators, runtime.books, runtime.book_mailboxes):
                assert list(held) == [BITCOIN]
            assert list(runtime.instruments_of("binance")) == ["BTCUSDT"]
            assert f"aggregator:{ETHER}" not in running.names()
            assert market.sockets[0].requests[-1] == ("UNSUBSCRIBE", ["ethusdt@trade"])
        account = running.runtime.ledger.account(ETHER)
        assert account.applied == account.received == market.traded["ETHUSDT"]
        assert balanced(running)
        counted = account.applied
    assert stored(tmp_path, "ETHUSDT") == counted


async def test_what_comes_after_the_end_is_of_an_unknown_symbol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with following(tmp_path, "BTCUSDT", "ETHUSDT") as (running, market):
        market.hard_of_hearing = True
        async with undisturbed(running, BITCOIN):
            await running.following.unfollow("binance", ["ETHUSDT"], "a test")
        stranger = running.runtime.ledger.account("binance:?")
        assert stranger.rejected["unknown_symbol"] > 0
        assert balanced(running)


async def test_a_symbol_followed_anew_is_counted_on_and_never_twice(tmp_path: Path) -> None:
    async with following(tmp_path, "BTCUSDT", "ETHUSDT") as (running, market):
        for _ in range(3):
            async with undisturbed(running, BITCOIN):
                await running.following.unfollow("binance", ["ETHUSDT"], "a test")
                await running.following.follow("binance", [Instrument("binance", "ETHUSDT")])
                await running.until_traded(ETHER)
        memory = running.runtime.symbols[ETHER]
        assert memory.gaps.known == []
        await running.following.unfollow("binance", ["ETHUSDT"], "a test")
        account = running.runtime.ledger.account(ETHER)
        assert (account.applied, account.duplicate) == (market.traded["ETHUSDT"], 0)
        assert balanced(running)
    assert stored(tmp_path, "ETHUSDT") == market.traded["ETHUSDT"]


async def test_what_was_traded_while_nobody_followed_is_a_gap_of_known_size(tmp_path: Path) -> None:
    async with following(tmp_path, "BTCUSDT", "ETHUSDT") as (running, market):
        await running.following.unfollow("binance", ["ETHUSDT"], "a test")
        last = market.traded["ETHUSDT"]
        market.traded["ETHUSDT"] += 7
        await running.following.follow("binance", [Instrument("binance", "ETHUSDT")])
        await running.until_traded(ETHER)
        (gap,) = running.runtime.symbols[ETHER].gaps.open
        assert (gap.first, gap.last) == (last + 1, last + 7)


# --- kills ---


@pytest.mark.parametrize("seed", range(4))
async def test_whoever_is_killed_meanwhile_it_becomes_as_it_shall_be(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    async with following(tmp_path, "BTCUSDT", "ETHUSDT") as (running, market):
        names = [f"X{number}USDT" for number in range(8)]
        for _ in range(12):
            symbols = chance.sample(names, 3)
            left = dict.fromkeys(chance.sample(names, 3), "a test")
            running.following.want("binance", symbols, left)
            await trio.sleep(chance.uniform(0, 0.03))
            running.root.kill("services/follower")
            victims = [name for name in running.names() if name.startswith(("aggregator:X", "connection:"))]
            if victims:
                victim = chance.choice(sorted(victims))
                crew = "connections" if victim.startswith("connection") else "aggregators"
                running.root.kill(f"{crew}/{victim}")
        wanted = running.following.current("binance")
        await running.following.changed.wait_for(lambda: running.following.is_so("binance"))
        keys = {f"binance:{symbol}" for symbol in wanted}
        assert running.runtime.symbols.keys() == keys
        await running.until_traded(*keys, trades=5)
        assert {name for name in running.names() if name.startswith("aggregator:")} == {
            f"aggregator:{key}" for key in keys
        }
        assert {stream.partition("@")[0].upper() for stream in market.sockets[0].streams} == wanted


async def test_a_symbol_wanted_again_while_it_is_left_is_followed_in_the_end(tmp_path: Path) -> None:
    async with following(tmp_path, "BTCUSDT", "ETHUSDT") as (running, _):
        running.following.want("binance", (), {"ETHUSDT": "a test"})
        while ETHER not in running.following.leaving:  # noqa: ASYNC110
            await trio.sleep(0.001)
        running.root.kill("services/follower")
        await running.following.follow("binance", [Instrument("binance", "ETHUSDT")])
        await running.until_traded(ETHER)
        assert running.following.is_so("binance")


# --- settings ---


async def test_new_settings_change_symbols_and_streams_and_nothing_else(tmp_path: Path) -> None:
    async with following(tmp_path, "BTCUSDT", "ETHUSDT") as (running, market):
        async with undisturbed(running, BITCOIN):
            running.following.configure(settings_of("BTCUSDT", "SOLUSDT", streams=("trades", "quotes")))
            await running.following.changed.wait_for(lambda: running.following.is_so("binance"))
            assert running.following.current("binance") == {"BTCUSDT", "SOLUSDT"}
            await running.until_traded(SOLANA)
        assert set(market.sockets[0].streams) == {
            "btcusdt@trade", "btcusdt@bookTicker", "solusdt@trade", "solusdt@bookTicker"
        }  # fmt: skip


async def test_an_exchange_may_come_and_go_with_the_settings(tmp_path: Path) -> None:
    async with following(tmp_path, "BTCUSDT") as (running, _):
        both = Settings(
            exchanges={
                **settings_of("BTCUSDT").exchanges,
                "bybit": ExchangeSettings("wss://other", ("BTCUSDT",), streams=("trades",)),
            }
        )
        running.following.configure(both)
        await running.following.changed.wait_for(lambda: "bybit:BTCUSDT" in running.runtime.symbols)
        assert running.runtime.plan.rest["bybit"] == "https://api.bybit.com"
        running.following.configure(settings_of("BTCUSDT"))
        await running.following.changed.wait_for(lambda: "bybit:BTCUSDT" not in running.runtime.symbols)
        assert running.following.current("bybit") == set()


async def test_what_was_added_and_removed_by_hand_outlives_new_settings(tmp_path: Path) -> None:
    settings = settings_of("BTCUSDT", "ETHUSDT")
    selected = {"binance": Selected(frozenset({"SOLUSDT"}), frozenset({"ETHUSDT"}))}
    what = plan.live(settings, {}, selected)
    assert sorted(what.instruments) == [BITCOIN, SOLANA]
    with trio.fail_after(30):
        async with followed(tmp_path, Market(), settings, what) as running:
            running.following.configure(settings_of("BTCUSDT", "ETHUSDT", "XRPUSDT"))
            await running.following.changed.wait_for(lambda: running.following.is_so("binance"))
            assert running.following.current("binance") == {"BTCUSDT", "SOLUSDT", "XRPUSDT"}
            await running.following.follow("binance", [Instrument("binance", "ETHUSDT")])
            assert ETHER not in running.runtime.symbols


async def test_an_exchange_of_patterns_alone_says_what_it_waits_for(tmp_path: Path) -> None:
    async with following(tmp_path) as (running, _):
        running.following.configure(settings_of("top:20", "*USDC"))
        (alarm,) = running.following.alarms()
        assert alarm.startswith("binance follows no symbol yet")
        assert "TOP:20, *USDC" in alarm
        assert running.following.answer()[0]["waits_for_list"] is True
        await running.following.follow("binance", [SOL])
        assert running.following.alarms() == []
        # What the list has chosen is not undone by settings that still ask for patterns.
        running.following.configure(settings_of("top:10"))
        assert running.following.current("binance") == {"SOLUSDT"}


async def test_a_new_tick_is_taken_over_while_trades_come(tmp_path: Path) -> None:
    async with following(tmp_path, "BTCUSDT") as (running, market), undisturbed(running, BITCOIN):
        fine = Instrument("binance", "BTCUSDT", Decimal("0.001"), Decimal("0.5"))
        running.following.retick(fine)
        market.prices["BTCUSDT"] = "100.001"
        await running.until_traded(BITCOIN)
        assert running.runtime.symbols[BITCOIN].instrument is fine
        assert running.runtime.symbols[BITCOIN].last_price == "100.001"


# --- by hand ---


async def test_a_choice_by_hand_is_kept_and_outlives_a_restart(tmp_path: Path) -> None:
    async with following(tmp_path, "BTCUSDT", "ETHUSDT") as (running, _):
        choosing = Choosing(running.runtime)
        answer, fresh = await choosing.add({"exchange": "binance", "symbol": "solusdt"})
        assert (answer["symbol"], answer["state"], fresh) == ("SOLUSDT", "followed", True)
        again, fresh = await choosing.add({"exchange": "binance", "symbol": "SOLUSDT"})
        assert (again["state"], fresh) == ("followed", False)
        gone = await choosing.remove({"exchange": "binance", "symbol": "ETHUSDT"})
        assert gone == {"exchange": "binance", "symbol": "ETHUSDT", "state": "left", "reason": None}
    selected = kept.load(tmp_path)
    assert selected == {"binance": Selected(frozenset({"SOLUSDT"}), frozenset({"ETHUSDT"}))}
    settings = settings_of("BTCUSDT", "ETHUSDT")
    with trio.fail_after(30):
        async with followed(tmp_path, Market(), settings, plan.live(settings, {}, selected)) as running:
            assert sorted(running.runtime.symbols) == [BITCOIN, SOLANA]
            choosing = Choosing(running.runtime)
            await choosing.add({"exchange": "binance", "symbol": "ETHUSDT"})
            await choosing.remove({"exchange": "binance", "symbol": "SOLUSDT"})
    assert kept.load(tmp_path) == {}


WRONG: list[tuple[dict[str, object], type[QuestionError]]] = [
    ({}, MissingParameter),
    ({"exchange": "binance"}, MissingParameter),
    ({"exchange": "binanc", "symbol": "BTCUSDT"}, UnknownExchange),
    ({"exchange": 5, "symbol": "BTCUSDT"}, UnknownExchange),
    ({"exchange": "binance", "symbol": "BTC/USDT"}, QuestionError),
    ({"exchange": "binance", "symbol": "X" * 41}, QuestionError),
    ({"exchange": "binance", "symbol": 5}, QuestionError),
    ({"exchange": "binance", "symbol": "BTCUSDT", "tick": "1"}, UnknownParameter),
]


@pytest.mark.parametrize(("given", "error"), WRONG, ids=str)
async def test_a_wrong_choice_is_refused_and_changes_nothing(
    tmp_path: Path, given: dict[str, object], error: type[QuestionError]
) -> None:
    async with followed(tmp_path, Market(), settings_of()) as running:
        choosing = Choosing(running.runtime)
        for choose in (choosing.add, choosing.remove):
            with pytest.raises(QuestionError) as refusal:
                await choose(given)
            assert type(refusal.value) is error
        with pytest.raises(UnknownSymbol, match="BTCUSDT"):
            await choosing.remove({"exchange": "binance", "symbol": "BTCUSDT"})
        running.runtime.following = None
        with pytest.raises(QuestionError, match="a recording is followed as it is"):
            await choosing.add({"exchange": "binance", "symbol": "BTCUSDT"})
    assert not (tmp_path / kept.NAME).exists()
