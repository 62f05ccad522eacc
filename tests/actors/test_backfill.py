"""Gaps are filled from REST, over real sockets: exactly, in pages, and what cannot be filled says why."""

import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest
import trio
import trio.testing
from rest_server import Asked, Canned, RestServer, canned
from spine import (
    BITCOIN,
    CONNECTION,
    ETHER,
    FakeExchange,
    Spine,
    folded,
    journalled,
    plan_of,
    recorded,
    seeds,
    spine,
    trade,
    unordered,
    until,
)

from actors.messages import EndOfCapture
from supervision import Mailbox
from wadm.exchanges.base import Gap
from wadm.market import IdKind, Instrument

#: 2024-08-09T00:00:00Z
START = 1_723_161_600_000_000
KEY = BITCOIN.key
BACKFILL = "services/backfill"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.gaps.backfill.FIRST_RETRY", 0.002)
    monkeypatch.setattr("actors.gaps.backfill.PATIENCE", 0.002)


def trades(first: int, last: int, **change: Any) -> list[bytes]:
    """Return a trade every 100 ms, of changing price and quantity."""
    return [
        trade(number, START + number * 100_000, price=f"{100 + number % 7}", quantity=f"0.{number}", **change)
        for number in range(first, last + 1)
    ]


def without(frames: Sequence[bytes], *lost: range) -> list[bytes]:
    return [frame for frame in frames if not any(number_of(frame) in ids for ids in lost)]


def number_of(frame: bytes) -> int:
    return int(msgspec.json.decode(frame)["data"]["t"])


@asynccontextmanager
async def filling(
    directory: Path, heard: Sequence[bytes] | FakeExchange, rest: RestServer, *, playback: bool = True
) -> AsyncIterator[Spine]:
    """Play frames to a spine that can ask the server for what it misses."""
    exchange = heard if isinstance(heard, FakeExchange) else FakeExchange(heard)
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            await nursery.start(rest.run)
            async with spine(
                directory, exchange, plan_of(playback=playback, rest={"binance": rest.url})
            ) as run:
                yield run
                assert run.balanced()
            nursery.cancel_scope.cancel()


def everything_is_there(running: Spine, frames: Sequence[bytes]) -> None:
    """Memory and store hold what one fold of these frames makes, and the journal has each trade once."""
    runtime = running.runtime
    assert runtime.ledger.total().applied == len(frames)
    assert runtime.positions["binance"].missing() == {}
    for key, wanted in folded(frames).items():
        exchange, symbol = key.split(":")
        assert unordered(running.bars(key)) == unordered(wanted), key
        assert unordered(runtime.store.bars(exchange, symbol, 0, 1 << 62)) == unordered(wanted), key
        ids = journalled(runtime.journal, symbol)
        assert len(ids) == len(set(ids)) == sum(bar.buy_trades + bar.sell_trades for bar in wanted)
        assert runtime.symbols[key].gaps.known == []


def unfillable(running: Spine) -> list[tuple[int, int, str]]:
    known = running.runtime.symbols[KEY].gaps.known
    assert all(one.state == "unfillable" for one in known)
    return sorted((one.gap.first, one.gap.last, one.reason) for one in known)


# --- filled ---


async def test_a_lost_stretch_is_asked_for_page_by_page_and_filled_exactly(tmp_path: Path) -> None:
    frames = trades(1, 3_000)
    rest = RestServer(frames)
    async with filling(tmp_path, without(frames, range(501, 2_701)), rest) as running:
        await running.complete()
        everything_is_there(running, frames)
    # Each page begins with the trade before what is wanted: what is passed over behind it is no trade.
    assert [(one.first, one.limit) for one in rest.asked[:5]] == [
        (500, 500), (999, 500), (1_498, 500), (1_997, 500), (2_496, 500)
    ]  # fmt: skip
    assert {(one.path, one.symbol, one.key) for one in rest.asked} == {
        ("/api/v3/historicalTrades", "BTCUSDT", None)
    }
    assert len(rest.asked) == 5 + 1  # and what comes after the last trade


async def test_many_gaps_of_two_symbols_are_filled(tmp_path: Path) -> None:
    frames = recorded(3_000)
    chance = random.Random(7)
    lost = {
        index for start in range(200, 2_800, 130) for index in range(start, start + chance.randint(1, 60))
    }
    rest = RestServer(frames)
    async with filling(tmp_path, [f for i, f in enumerate(frames) if i not in lost], rest) as running:
        await running.complete()
        everything_is_there(running, frames)


async def test_what_is_lost_at_the_very_end_is_found(tmp_path: Path) -> None:
    frames = trades(1, 1_500)
    rest = RestServer(frames, page=70)
    async with filling(tmp_path, without(frames, range(1_200, 1_501)), rest) as running:
        await running.complete()
        everything_is_there(running, frames)


async def test_ids_that_a_page_passes_over_are_no_market_trades(tmp_path: Path) -> None:
    frames = without(trades(1, 900), range(300, 303), range(349, 350), range(870, 880))
    async with filling(
        tmp_path, without(frames, range(250, 350), range(860, 901)), RestServer(frames)
    ) as running:
        await running.complete()
        everything_is_there(running, frames)


@pytest.mark.parametrize("page", [1, 2, 3, 499])
async def test_pages_of_any_length_will_do(tmp_path: Path, page: int) -> None:
    frames = trades(1, 400)
    async with filling(tmp_path, without(frames, range(150, 170)), RestServer(frames, page=page)) as running:
        await running.complete()
        if page > 1:
            everything_is_there(running, frames)
        else:
            # A page of the trade before alone says that nothing follows it; then it is asked for what does.
            assert running.runtime.positions["binance"].missing() == {}


async def test_a_gap_noticed_while_another_is_being_filled_is_filled_before_the_end_is_told(
    tmp_path: Path,
) -> None:
    # Both bars that trades are missing from stay open until the end: it comes within the grace of the first.
    frames = trades(1, 1_210)
    heard = without(frames, range(100, 200), range(1_150, 1_190))
    exchange = FakeExchange(heard, sizes=lambda: 400, hold=trio.Event(), hold_at=400)
    rest = RestServer(frames)
    async with filling(tmp_path, exchange, rest) as running:

        async def once_all_is_played(_: Asked) -> None:
            assert exchange.hold is not None
            exchange.hold.set()
            await running.runtime.connections[CONNECTION].ended.wait()

        rest.before = once_all_is_played
        await running.complete()
        everything_is_there(running, frames)


@pytest.mark.parametrize("seed", seeds(3))
async def test_killed_at_any_moment_it_neither_loses_nor_doubles(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    frames = trades(1, 2_500)
    rest = RestServer(frames, page=60)
    heard = without(frames, range(200, 500), range(700, 1_400), range(2_000, 2_003), range(2_400, 2_501))
    async with filling(tmp_path, heard, rest) as running, trio.open_nursery() as nursery:
        kills = 0

        async def kill(after: float) -> None:
            nonlocal kills
            await trio.sleep(after)
            kills += running.root.kill(BACKFILL)

        async def sometimes(_: Asked) -> None:
            """Kill whoever asks: before the answer, while it is taken, or a little later."""
            if len(rest.asked) % 5 == 1 or chance.random() < 0.15:
                nursery.start_soon(kill, chance.choice((0.0, 0.001, 0.002, 0.004)))

        rest.before = sometimes
        await running.complete()
        nursery.cancel_scope.cancel()
    assert kills > 2
    async with spine(tmp_path) as after:
        ids = journalled(after.runtime.journal, "BTCUSDT")
        assert sorted(map(int, ids)) == list(range(1, 2_501))
        assert unordered(after.bars(KEY)) == unordered(folded(frames)[KEY])


async def test_the_end_is_told_once_to_each_symbol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: Counter[str] = Counter()
    put = Mailbox.put

    async def noting(mailbox: Mailbox, message: object) -> None:
        await put(mailbox, message)
        told[mailbox.name] += isinstance(message, EndOfCapture)

    monkeypatch.setattr(Mailbox, "put", noting)
    frames = recorded(500)
    async with filling(tmp_path, frames, RestServer(frames)) as running:
        await running.complete()
        for kills in range(1, 4):
            assert running.root.kill(BACKFILL)
            await until(lambda kills=kills: restarts(running) == kills)  # type: ignore[misc]
        running.runtime.gap_noticed.notify()
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert {name: count for name, count in told.items() if count} == {
            f"aggregator:{key}": 1 for key in (KEY, ETHER.key)
        }


def restarts(running: Spine) -> int:
    return running.root.snapshot().children[-1].children[0].restarts


# --- refused, for now ---


@pytest.mark.parametrize(
    "answer",
    [
        canned("500 Internal Server Error"),
        canned("503 Service Unavailable", b"<html>"),
        canned("403 Forbidden"),
        canned("418 I'm a teapot"),
        canned("429 Too Many Requests", headers="Retry-After: soon\r\n"),
        canned("200 OK", b'[{"id":', cut=3),
    ],
    ids=["500", "503", "403", "418", "429", "cut short"],
)
async def test_an_exchange_that_cannot_answer_now_is_asked_again(tmp_path: Path, answer: Canned) -> None:
    frames = trades(1, 300)
    rest = RestServer(frames)
    rest.canned.extend([answer] * 3)
    async with filling(tmp_path, without(frames, range(100, 120)), rest) as running:
        await running.complete()
        everything_is_there(running, frames)
    assert [one.first for one in rest.asked] == [99] * 4 + [300]


async def test_an_exchange_that_says_when_to_ask_again_is_left_alone_until_then(tmp_path: Path) -> None:
    frames = trades(1, 300)
    rest = RestServer(frames)
    rest.canned.append(canned("429 Too Many Requests", headers="Retry-After: 1\r\n"))
    async with filling(tmp_path, without(frames, range(100, 120)), rest) as running:
        await running.complete()
        everything_is_there(running, frames)
    assert rest.asked[1].at - rest.asked[0].at >= 1.0


async def test_a_server_that_hangs_up_is_asked_again(tmp_path: Path) -> None:
    frames = trades(1, 300)
    rest = RestServer(frames)

    async def hang_up_twice(_: Asked) -> None:
        if len(rest.asked) < 3:
            raise trio.BrokenResourceError

    rest.before = hang_up_twice
    async with filling(tmp_path, without(frames, range(100, 120)), rest) as running:
        await running.complete()
        everything_is_there(running, frames)


async def test_a_recording_ends_though_its_exchange_never_answers(tmp_path: Path) -> None:
    frames = trades(1, 300)
    rest = RestServer(frames)
    rest.canned.extend([canned("500 Internal Server Error")] * 50)
    async with filling(tmp_path, without(frames, range(100, 120)), rest) as running:
        await running.complete()
        ((first, last, reason),) = unfillable(running)
        assert (first, last) == (100, 119)
        assert reason == f"{rest.url}/api/v3/historicalTrades answered 500"


async def test_a_live_exchange_that_has_not_come_so_far_is_asked_again(tmp_path: Path) -> None:
    frames = trades(1, 300)
    rest = RestServer(without(frames, range(280, 301)))
    heard = FakeExchange(without(frames, range(290, 295)), hold=trio.Event())
    async with filling(tmp_path, heard, rest, playback=False) as running:

        async def come_further(_: Asked) -> None:
            if len(rest.asked) == 5:
                rest._trades["BTCUSDT"] = RestServer(frames)._trades["BTCUSDT"]

        rest.before = come_further
        await until(lambda: running.runtime.ledger.total().applied == 300)
        assert running.runtime.symbols[KEY].gaps.known == []


# --- refused, for ever ---


async def test_ids_that_the_exchange_does_not_have_are_unfillable_and_their_neighbours_filled(
    tmp_path: Path,
) -> None:
    frames = trades(1, 900)
    lost = (range(300, 400), range(450, 451), range(700, 720))
    unknown = frozenset([*range(320, 340), *range(350, 352), *range(395, 405), *range(690, 730)])
    rest = RestServer(frames, unknown=unknown)
    async with filling(tmp_path, without(frames, *lost), rest) as running:
        await running.complete()
        why = "the exchange does not give them"
        assert unfillable(running) == [
            (320, 339, why), (350, 351, why), (395, 399, why), (700, 719, why)
        ]  # fmt: skip
        gone = {*range(320, 340), 350, 351, *range(395, 400), *range(700, 720)}
        kept = [frame for frame in frames if number_of(frame) not in gone]
        assert unordered(running.bars(KEY)) == unordered(folded(kept)[KEY])
        assert running.runtime.ledger.total().applied == len(kept)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (
            canned("400 Bad Request", b'{"code":-1121,"msg":"Invalid symbol."}'),
            'historicalTrades answered 400: {"code":-1121,"msg":"Invalid symbol."}',
        ),
        (canned("404 Not Found", b"x" * 1_000), "historicalTrades answered 404: " + "x" * 200),
        (canned("302 Found", headers="Location: http://127.0.0.1:1/\r\n"), "answered 302: {}"),
        (canned("200 OK", b'[{"id":99,"price"'), "sent a page of historicalTrades that is not_json"),
        (canned("200 OK", b"<html>busy</html>"), "sent a page of historicalTrades that is not_json"),
        (canned("200 OK", b"\xff[]"), "sent a page of historicalTrades that is not_"),
        (canned("200 OK", b'{"code":0}'), "sent a page of historicalTrades that is ill_typed_field"),
        (canned("200 OK", b'[{"id":99}]'), "sent a page of historicalTrades that is missing_field"),
        (
            canned("200 OK", b'[{"x":' + b"[" * 100_000),
            "sent a page of historicalTrades that is nested_too_deeply",
        ),
    ],
    ids=["400", "404", "302", "cut", "no json", "no text", "no list", "field", "nested"],
)
async def test_an_answer_that_is_none_makes_the_gap_unfillable_and_says_why(
    tmp_path: Path, answer: Canned, why: str
) -> None:
    frames = trades(1, 300)
    rest = RestServer(frames)
    rest.canned.append(answer)
    async with filling(tmp_path, without(frames, range(100, 120), range(200, 210)), rest) as running:
        await running.complete()
        ((first, last, reason),) = unfillable(running)
        assert (first, last) == (100, 119)
        assert why in reason
        kept = without(frames, range(100, 120))
        assert unordered(running.bars(KEY)) == unordered(folded(kept)[KEY])


async def test_a_trade_that_the_exchange_itself_cannot_write_is_unfillable_alone(tmp_path: Path) -> None:
    frames = trades(1, 300)
    rest = RestServer(frames)
    rest._trades["BTCUSDT"][110]["price"] = "much"
    rest._trades["BTCUSDT"][112]["qty"] = "0"
    async with filling(tmp_path, without(frames, range(100, 120)), rest) as running:
        await running.complete()
        why = "the exchange's own copy cannot be read"
        assert unfillable(running) == [(110, 110, why), (112, 112, why)]
        kept = without(frames, range(110, 111), range(112, 113))
        assert unordered(running.bars(KEY)) == unordered(folded(kept)[KEY])
        rejected = running.runtime.ledger.total().rejected
        assert rejected == {"not_a_number": 1, "quantity_not_positive": 1}


FUTURES = Instrument("binance_usdm", "BTCUSDT", BITCOIN.tick, BITCOIN.step)


@pytest.mark.parametrize("key", [None, "mine"])
async def test_where_an_api_key_is_wanted_it_is_sent_or_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    monkeypatch.delenv("BINANCE_API_KEY", raising=False)
    if key is not None:
        monkeypatch.setenv("BINANCE_API_KEY", key)
    rest = RestServer(trades(1, 20))
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            await nursery.start(rest.run)
            plan = plan_of(playback=False, instruments=[FUTURES], rest={"binance_usdm": rest.url})
            connection = attrs.evolve(plan.connections[0], exchange="binance_usdm")
            async with spine(tmp_path, plan=attrs.evolve(plan, connections=(connection,))) as running:
                memory = running.runtime.symbols[FUTURES.key]
                jump(running, memory.instrument, 5, 9)
                if key is None:
                    await until(lambda: memory.gaps.known[0].state == "unfillable")
                    why = "/fapi/v1/historicalTrades wants an API key: set BINANCE_API_KEY"
                    assert [one.reason for one in memory.gaps.known] == [why]
                    assert rest.asked == []
                else:
                    await until(lambda: running.runtime.ledger.total().applied == 5)
                    assert memory.gaps.known == []
                    assert {one.key for one in rest.asked} == {key}
                    assert (await running.everything(FUTURES.key)).bars[""].buy_trades == 5
            nursery.cancel_scope.cancel()


def jump(running: Spine, instrument: Instrument, first: int, last: int) -> None:
    """Let a stream have jumped over ids."""
    runtime = running.runtime
    position = runtime.positions[instrument.exchange].of(instrument.symbol, IdKind.TRADE)
    position.check(first - 1)
    position.check(last + 1)
    runtime.symbols[instrument.key].note_gap(
        Gap(instrument.exchange, instrument.symbol, IdKind.TRADE, first, last, START)
    )
    runtime.gap_noticed.notify()


# --- whatever is cut out of a recording ---


@pytest.mark.parametrize("seed", seeds(2))
async def test_what_is_cut_out_is_filled_where_the_exchange_has_it_and_else_shown_exactly(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    frames = [frame for frame in recorded(6_000) if b"BTCUSDT" in frame]
    ids = [number_of(frame) for frame in frames]
    cut: list[range] = []
    at = ids[0] + 1
    while (first := at + chance.randint(1, 300)) + 80 < ids[-1]:
        cut.append(range(first, first + chance.choice((1, 2, chance.randint(3, 80)))))
        at = cut[-1].stop + 1
    gone = chance.sample(cut, len(cut) // 2)
    rest = RestServer(frames, unknown=frozenset(number for one in gone for number in one))
    async with filling(tmp_path, without(frames, *cut), rest) as running:
        await running.complete()
        left = sorted((one.start, one.stop - 1) for one in gone)
        assert [(first, last) for first, last, _ in unfillable(running)] == left
        assert running.runtime.ledger.total().applied == len(frames) - sum(map(len, gone))
        stored = running.runtime.reader.gaps("binance", "BTCUSDT", 0, 1 << 62)
        assert sorted((one.gap.first, one.gap.last) for one in stored) == left


async def test_an_exchange_that_refuses_does_not_hold_up_another(tmp_path: Path) -> None:
    """Two exchanges have gaps; the REST interface of one is not there at all."""
    frames = trades(1, 300)
    rest = RestServer(frames)
    async with filling(tmp_path, FakeExchange(frames[:1], hold=trio.Event()), rest, playback=False) as run:
        runtime = run.runtime
        far = Instrument("binance_usdm", "BTCUSDT")
        runtime.adopt(*runtime.remember(far, IdKind.AGG_TRADE))
        position = runtime.positions_of("binance_usdm").of("BTCUSDT", IdKind.AGG_TRADE)
        position.check(1)
        position.check(9)
        assert isinstance(runtime.rest.addresses, dict)
        runtime.rest.addresses["binance_usdm"] = "http://127.0.0.1:1"
        runtime.gap_noticed.notify()
        spot = runtime.positions_of("binance").of("BTCUSDT", IdKind.TRADE)
        await until(lambda: spot.expected == 2)
        await until(lambda: bool(runtime.rest.status().get("binance_usdm")))
        spot.check(11)
        runtime.gap_noticed.notify()
        await until(lambda: not spot.missing)
        assert list(position.missing) == [(2, 8)]
