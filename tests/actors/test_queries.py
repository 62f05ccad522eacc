"""Questions over memory and stores together, and what the daemon says of itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from spine import BITCOIN, CONNECTION, FakeExchange, plan_of, recorded, spine, trade, until

from actors.answers.queries import Queries
from actors.runtime import open_runtime
from actors.storage.errors import StorageError
from actors.storage.reader import DataReader
from wadm.answers.registry import QUESTIONS
from wadm.instants import iso
from wadm.market import DAY, HOUR, MINUTE, SECOND
from wadm.questions import QuestionError, Unavailable
from wadm.settings import Settings

#: 2024-08-09T00:00:00Z
START = 1_723_161_600_000_000
KEY = BITCOIN.key
PROFILE, FLOW = QUESTIONS["profile"], QUESTIONS["flow"]
ASKED = {"exchange": "binance", "symbol": "BTCUSDT"}


def span(start: int, end: int) -> dict[str, str]:
    return {**ASKED, "start": iso(start), "end": iso(end)}


async def three_days(directory: Path) -> list[bytes]:
    """Keep a trade an hour over three days: memory holds the last one."""
    frames = [trade(number, START + number * HOUR, price=str(100 + number)) for number in range(73)]
    async with spine(directory, FakeExchange(frames)) as first:
        await first.complete()
    return frames


async def test_a_window_older_than_memory_comes_from_the_stores_and_one_over_both_from_both(
    tmp_path: Path,
) -> None:
    with trio.fail_after(20):
        await three_days(tmp_path)
        async with spine(tmp_path) as running:
            queries = Queries(running.runtime)
            old = await queries.ask(PROFILE, span(START, START + DAY))
            assert (old["trades"], old["low"], old["high"]) == (24, "100", "123")
            both = await queries.ask(PROFILE, span(START, START + 4 * DAY))
            assert (both["trades"], both["low"], both["high"]) == (73, "100", "172")
            assert _coverage(both)["sources"] == ["live", "store"]
            new = await queries.ask(PROFILE, span(START + 3 * DAY - HOUR, START + 3 * DAY))
            assert _coverage(new)["sources"] == ["live"]
            flow = await queries.ask(FLOW, span(START + DAY + HOUR, START + DAY + 2 * HOUR))
            assert (flow["trades"], flow["cvd"]) == (1, "2")


async def test_everything_means_everything_and_not_only_what_memory_holds(tmp_path: Path) -> None:
    frames = [trade(number, START + number * HOUR) for number in range(73)]
    with trio.fail_after(20):
        async with spine(tmp_path, FakeExchange(frames)) as running:
            await running.complete()
            assert len(running.bars(KEY)) == 26
            told = await Queries(running.runtime).summary(ASKED)
            assert (told["trades"], told["first_trade_id"], told["last_trade_id"]) == (73, 0, 72)


@pytest.fixture
def out_of_bounds(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what makes every read of stored bars and gaps fail from then on."""

    def read(*_: object) -> None:
        raise StorageError("the stores were read")

    def forbid() -> None:
        for name in ("bars", "extent", "gaps", "unclosed", "merged", "unreadable", "reaches_archive"):
            monkeypatch.setattr(DataReader, name, read)

    return forbid


async def test_where_nothing_older_is_stored_memory_answers_alone(
    tmp_path: Path, out_of_bounds: Callable[[], None]
) -> None:
    frames = [trade(number, START + HOUR + number * MINUTE) for number in range(5)]
    with trio.fail_after(20):
        async with spine(tmp_path, FakeExchange(frames)) as running:
            await running.complete()
            out_of_bounds()
            for window in (span(START, START + 2 * HOUR), span(START - DAY, START + 2 * HOUR)):
                answer = await Queries(running.runtime).ask(PROFILE, window)
                assert answer["trades"] == 5
                told = _coverage(answer)
                assert (told["start"], told["sources"]) == (iso(START + HOUR), ["live"])


async def test_after_a_restart_the_stores_are_asked_once_whether_they_have_older_bars(
    tmp_path: Path, out_of_bounds: Callable[[], None]
) -> None:
    frames = [trade(number, START + HOUR + number * MINUTE) for number in range(5)]
    with trio.fail_after(20):
        async with spine(tmp_path, FakeExchange(frames)) as first:
            await first.complete()
        async with spine(tmp_path) as running:
            window = span(START, START + 2 * HOUR)
            once = await Queries(running.runtime).ask(PROFILE, window)
            out_of_bounds()
            assert await Queries(running.runtime).ask(PROFILE, window) == once


async def test_what_memory_let_go_is_read_and_what_it_still_reaches_is_not(
    tmp_path: Path, out_of_bounds: Callable[[], None]
) -> None:
    frames = [trade(number, START + at) for number, at in enumerate((0, 2 * HOUR, 40 * HOUR))]
    with trio.fail_after(20):
        async with spine(tmp_path, FakeExchange(frames)) as running:
            await running.complete()
            queries = Queries(running.runtime)
            assert running.runtime.symbols[KEY].closed.starts == [START + 40 * HOUR]
            all_of_it = await queries.ask(PROFILE, span(START, START + 41 * HOUR))
            assert (all_of_it["trades"], _coverage(all_of_it)["sources"]) == (3, ["live", "store"])
            out_of_bounds()
            quiet = await queries.ask(PROFILE, span(START + 30 * HOUR, START + 41 * HOUR))
            assert (quiet["trades"], _coverage(quiet)["start"]) == (1, iso(START + 30 * HOUR))
            with pytest.raises(Unavailable, match="the stores were read"):
                await queries.ask(PROFILE, span(START + 2 * HOUR, START + 41 * HOUR))


async def test_coverage_begins_where_the_data_does_not_where_the_question_does(tmp_path: Path) -> None:
    with trio.fail_after(20):
        await three_days(tmp_path)
        async with spine(tmp_path) as running:
            queries = Queries(running.runtime)
            answer = await queries.ask(PROFILE, span(START - 30 * DAY, START + DAY))
            assert _coverage(answer)["start"] == iso(START)
            assert _coverage(answer)["end"] == iso(START + DAY)
            before = await queries.ask(PROFILE, span(START - 30 * DAY, START - 29 * DAY))
            assert (before["trades"], _coverage(before)["start"]) == (0, None)


def _coverage(answer: dict[str, object]) -> dict[str, Any]:
    found = answer["coverage"]
    assert isinstance(found, dict)
    return found


async def test_a_gap_of_a_recording_stands_in_the_window_it_lies_in(tmp_path: Path) -> None:
    frames = [trade(number, START + number * MINUTE) for number in range(6) if number != 3]
    with trio.fail_after(20):
        async with spine(tmp_path, FakeExchange(frames, sizes=lambda: 1)) as running:
            await running.complete()
            queries = Queries(running.runtime)
            with_gap = await queries.ask(PROFILE, span(START, START + 5 * MINUTE))
            assert [(gap["first"], gap["last"]) for gap in _coverage(with_gap)["gaps"]] == [(3, 3)]
            without = await queries.ask(PROFILE, span(START, START + 2 * MINUTE))
            assert _coverage(without)["gaps"] == []


async def test_nobody_who_asks_at_once_gets_an_empty_status(tmp_path: Path) -> None:
    with trio.fail_after(20):
        async with spine(tmp_path, FakeExchange(recorded(200))) as running:
            queries = Queries(running.runtime)
            found: list[dict[str, object]] = []

            async def look() -> None:
                found.append(await queries.status())

            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(look)
            assert all(status["ledger"] for status in found)


async def test_health_says_which_exchange_is_away_and_why(tmp_path: Path) -> None:
    hold = trio.Event()
    exchange = FakeExchange(recorded(10), hold=hold, ends_with=(1001, "going away"))
    with trio.fail_after(20):
        async with spine(tmp_path, exchange, plan_of(playback=False)) as running:
            health = Queries(running.runtime).health
            await until(lambda: health()["status"] == "healthy")
            exchange.refuses = "cannot connect to made.up: No route to host"
            hold.set()
            await until(lambda: running.runtime.connections[CONNECTION].reason == exchange.refuses)
            assert health()["status"] == "degraded"
            (reason,) = health()["reasons"]  # type: ignore[misc]
            assert reason in (
                f"binance is {state}: {exchange.refuses}" for state in ("connecting", "disconnected")
            )


async def test_an_aggregator_that_does_not_answer_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.answers.material.DEADLINE", 0.05)
    async with open_runtime(Settings(), plan_of(), tmp_path) as runtime:
        with pytest.raises(Unavailable, match=r"^binance:BTCUSDT is not available: "):
            await Queries(runtime).ask(PROFILE, {**ASKED, "timeframe": "1m"})


def ten_minutes() -> list[bytes]:
    return [trade(number, START + number * 10 * SECOND, price=str(100 + number % 7)) for number in range(60)]


async def test_an_answer_made_again_from_what_is_stored_agrees_and_says_of_how_much(tmp_path: Path) -> None:
    with trio.fail_after(20):
        async with spine(tmp_path, FakeExchange(ten_minutes())) as running:
            await running.complete()
            queries = Queries(running.runtime)
            asked = {**ASKED, "timeframe": "1h", "recompute": "true"}
            for name in ("profile", "flow", "footprint", "levels", "large-trades"):
                again = (await queries.ask(QUESTIONS[name], asked))["recomputed"]
                assert isinstance(again, dict)
                assert (again["agrees"], again["differs"]) == (True, [])
                assert again["bars"] == again["bars_from_trades"] > 0
            with pytest.raises(QuestionError, match=r"^recompute is 'maybe'; expected true or false"):
                await queries.ask(PROFILE, {**asked, "recompute": "maybe"})
            with pytest.raises(QuestionError, match="bars do not hold what book tells"):
                await queries.ask(QUESTIONS["book"], {**ASKED, "recompute": "true"})


async def test_a_stored_bar_that_is_not_what_its_trades_say_does_not_agree(tmp_path: Path) -> None:
    with trio.fail_after(20):
        async with spine(tmp_path, FakeExchange(ten_minutes())) as running:
            await running.complete()
            memory = running.runtime.symbols[KEY]
            bar = memory.closed.get(memory.closed.starts[0])
            assert bar is not None
            price, (buy, *others) = next(iter(bar.rows.items()))
            bar.rows[price] = (buy + 1, *others)
            memory.closed.put(bar)
            asked = {**ASKED, "timeframe": "1d", "recompute": "true"}
            again = (await Queries(running.runtime).ask(PROFILE, asked))["recomputed"]
            assert isinstance(again, dict)
            assert not again["agrees"]
            assert {"volume", "rows"} <= set(again["differs"])


async def test_several_symbols_are_ranked_and_several_exchanges_compared(tmp_path: Path) -> None:
    with trio.fail_after(20):
        async with spine(tmp_path, FakeExchange(recorded(400))) as running:
            await running.complete()
            queries = Queries(running.runtime)
            every = (await queries.ask(QUESTIONS["activity"], {"hours": "24"}))["symbols"]
            assert isinstance(every, list)
            assert {row["symbol"] for row in every} == {"BTCUSDT", "ETHUSDT"}
            assert [row["turnover"] for row in every] == sorted(
                (row["turnover"] for row in every), key=float
            )[::-1]
            compared = await queries.compare({"symbol": "btcusdt", "timeframe": "1d"})
            alone = await queries.ask(PROFILE, {**ASKED, "timeframe": "1d"})
            (source,) = compared["exchanges"]  # type: ignore[misc]
            assert (source["exchange"], source["share"], source["volume"]) == (
                "binance",
                "1",
                alone["volume"],
            )
            with pytest.raises(QuestionError, match=r"^symbol is 'XRP'; expected one of BTCUSDT"):
                await queries.compare({"symbol": "XRP"})


async def test_what_an_answer_rests_on_before_its_window_is_told_with_its_gaps(tmp_path: Path) -> None:
    frames = [trade(number, START + number * 5 * MINUTE) for number in range(20) if number != 3]
    with trio.fail_after(20):
        async with spine(tmp_path, FakeExchange(frames, sizes=lambda: 1)) as running:
            await running.complete()
            queries = Queries(running.runtime)
            flow = _coverage(await queries.ask(FLOW, span(START + 80 * MINUTE, START + 90 * MINUTE)))
            # The CVD is the session's, in which a trade is missing; of the window none is.
            assert flow["earlier"] == {"from": iso(START), "covered_from": iso(START)}
            assert [(gap["first"], gap["last"]) for gap in flow["gaps"]] == [(3, 3)]
            bare = _coverage(await queries.ask(PROFILE, span(START + 80 * MINUTE, START + 90 * MINUTE)))
            assert "earlier" not in bare
            assert bare["gaps"] == []
