"""Streams go on connections within every limit, each once, and what is carried already never moves."""

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wadm.allotment import Carrier, allot
from wadm.channels import streams_of, usual
from wadm.exchanges.base import Exchange, LimitError, Limits
from wadm.exchanges.registry import EXCHANGES

symbols = st.lists(st.integers(0, 40).map(lambda number: f"S{'X' * (number % 7)}{number}USDT"), unique=True)
limits = st.builds(
    Limits,
    streams_per_connection=st.none() | st.integers(1, 30),
    comfortable_streams=st.none() | st.integers(1, 30),
    characters_per_connection=st.none() | st.integers(60, 500),
)


@st.composite
def limited(draw: st.DrawFn) -> Exchange:
    exchange = EXCHANGES[draw(st.sampled_from(sorted(EXCHANGES)))]
    return attrs.evolve(exchange, limits=draw(limits))


def streams(exchange: Exchange, names: list[str]) -> list[str]:
    return [stream for name in names for stream in streams_of(exchange, usual(exchange), name)]


def assert_sound(exchange: Exchange, carriers: list[Carrier], wanted: list[str]) -> None:
    carried = [stream for carrier in carriers for stream in carrier.streams]
    assert sorted(carried) == sorted(wanted)
    names = [carrier.name for carrier in carriers]
    assert len(set(names)) == len(names)
    most = exchange.limits
    for carrier in carriers:
        assert list(exchange.routes(carrier.streams)) in ([], [carrier.route])
        for bound in (most.streams_per_connection, most.comfortable_streams):
            assert bound is None or len(carrier.streams) <= bound
        characters = sum(map(len, carrier.streams))
        assert most.characters_per_connection is None or characters <= most.characters_per_connection


@given(limited(), symbols)
def test_every_stream_is_carried_once_within_every_limit(exchange: Exchange, names: list[str]) -> None:
    wanted = streams(exchange, names)
    carriers = allot(exchange, wanted)
    assert_sound(exchange, carriers, wanted)
    assert all(carrier.streams for carrier in carriers)


@given(limited(), symbols, st.data())
def test_what_comes_and_goes_moves_nobody_else(
    exchange: Exchange, names: list[str], data: st.DataObject
) -> None:
    carriers = allot(exchange, streams(exchange, names))
    gone = data.draw(st.sets(st.sampled_from(names)) if names else st.just(set()))
    fresh = [f"N{number}USDT" for number in range(data.draw(st.integers(0, 20)))]
    kept = [name for name in names if name not in gone]
    left = [
        attrs.evolve(one, streams=tuple(s for s in one.streams if exchange.stream_symbol(s) not in gone))
        for one in carriers
    ]
    wanted = streams(exchange, [*kept, *fresh])
    after = allot(exchange, wanted, left)
    assert_sound(exchange, after, wanted)
    for before, now in zip(left, after, strict=False):
        assert (now.name, now.route) == (before.name, before.route)
        assert now.streams[: len(before.streams)] == before.streams


@given(st.sampled_from(sorted(EXCHANGES)), symbols)
def test_a_symbols_streams_of_a_route_stay_together(name: str, names: list[str]) -> None:
    exchange = EXCHANGES[name]
    carriers = allot(exchange, streams(exchange, names))
    for symbol in names:
        found = [
            carrier.route
            for carrier in carriers
            if symbol in {exchange.stream_symbol(stream) for stream in carrier.streams}
        ]
        assert len(set(found)) == len(found)


def test_room_is_used_before_there_is_another_connection() -> None:
    exchange = attrs.evolve(EXCHANGES["binance"], limits=Limits(streams_per_connection=3))
    first = allot(exchange, ["a@trade", "b@trade", "c@trade", "d@trade"])
    assert [(one.name, one.streams) for one in first] == [
        ("connection:binance#1", ("a@trade", "b@trade", "c@trade")),
        ("connection:binance#2", ("d@trade",)),
    ]
    without = [attrs.evolve(first[0], streams=("a@trade", "c@trade")), first[1]]
    assert [one.streams for one in allot(exchange, ["e@trade"], without)] == [
        ("a@trade", "c@trade", "e@trade"),
        ("d@trade",),
    ]


def test_the_streams_of_a_symbol_join_those_it_has() -> None:
    exchange = attrs.evolve(EXCHANGES["binance"], limits=Limits(streams_per_connection=3))
    carriers = [
        Carrier("connection:binance#1", "/stream", ("a@trade",)),
        Carrier("connection:binance#2", "/stream", ("b@trade",)),
    ]
    assert allot(exchange, ["b@bookTicker"], carriers)[1].streams == ("b@trade", "b@bookTicker")


def test_the_name_of_a_connection_that_has_gone_is_free_again() -> None:
    exchange = attrs.evolve(EXCHANGES["binance"], limits=Limits(streams_per_connection=1))
    carriers = [Carrier("connection:binance#2", "/stream", ("b@trade",))]
    assert [one.name for one in allot(exchange, ["c@trade"], carriers)] == [
        "connection:binance#2",
        "connection:binance#1",
    ]


def test_futures_connections_stay_comfortable_and_bybits_within_its_characters() -> None:
    names = [f"SYMBOL{number}USDT" for number in range(400)]
    futures = EXCHANGES["binance_usdm"]
    assert max(len(one.streams) for one in allot(futures, streams(futures, names))) <= 200
    bybit = EXCHANGES["bybit"]
    carriers = allot(bybit, streams(bybit, names))
    assert 1 < len(carriers) < 10
    assert all(sum(map(len, one.streams)) <= 21_000 for one in carriers)


def test_a_stream_that_no_connection_can_carry_is_refused() -> None:
    exchange = attrs.evolve(EXCHANGES["bybit"], limits=Limits(characters_per_connection=20))
    with pytest.raises(LimitError, match="no connection can carry 'publicTrade"):
        allot(exchange, ["publicTrade.BTCUSDTUSDTUSDT"])
