"""What the daemon says of its health: ready, degraded and why, and what the page shows of its tiers."""

import re
from pathlib import Path
from typing import Any

import attrs
import trio
from spine import BITCOIN, FakeExchange, plan_of, recorded, spine

from actors.answers import overview
from actors.answers.queries import Queries
from actors.front import page
from actors.runtime import open_runtime
from wadm.settings import Settings


async def test_ready_is_who_is_warm_and_can_write(tmp_path: Path) -> None:
    async with open_runtime(Settings(), plan_of(), tmp_path) as runtime:
        queries = Queries(runtime)
        warming = queries.ready()
        assert warming["status"] == "not ready"
        assert "binance:BTCUSDT" in str(warming["reasons"])
        for memory in runtime.symbols.values():
            memory.warming = False
        assert queries.ready() == {"status": "ready", "reasons": []}
        runtime.writer.waiting = "the disk is full"
        assert queries.ready() == {"status": "not ready", "reasons": ["journal: the disk is full"]}


async def test_whoever_else_has_reasons_for_concern_is_asked(tmp_path: Path) -> None:
    concerns = ["key k1 has to be renewed"]
    async with open_runtime(Settings(), plan_of(), tmp_path) as runtime:
        queries = Queries(runtime)
        queries.concerns.append(lambda: concerns)
        health: Any = queries.health()
        assert health["status"] == "degraded"
        assert concerns[0] in health["reasons"]


async def test_the_page_finds_what_it_shows_of_tiers_and_process(tmp_path: Path) -> None:
    text = page.load("status.html").body.decode()
    shown = text[text.index("function showStorage") : text.index("function ago")]
    async with spine(tmp_path) as running:
        told: Any = await Queries(running.runtime).status()
    (warm,) = told["storage"]["tiers"]
    made_by_the_page = {"name", "good", "said", "wrong"}
    assert set(re.findall(r"\bone\.(\w+)", shown)) - made_by_the_page <= warm.keys()
    assert set(re.findall(r"\bcold\.(\w+)", shown)) <= told["storage"]["cold"].keys()
    assert set(re.findall(r"\bjournal\.(\w+)", shown)) <= told["storage"]["journal"].keys()
    assert set(re.findall(r"\bloop\.(\w+)", text)) <= told["process"]["loop"].keys()
    assert told["process"]["resident_bytes"] is None or told["process"]["resident_bytes"] > 10**7


async def test_with_many_symbols_a_status_looks_at_some_of_them_anew_the_oldest_first(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(overview, "_AT_ONCE", 1)
    with trio.fail_after(20):
        async with spine(tmp_path, FakeExchange(recorded(400))) as running:
            queries = Queries(running.runtime)
            await queries.status(fresh=True)
            await running.complete()
            seen = [await _volumes(queries) for _ in range(3)]
            fresh: Any = await queries.status(fresh=True)
    assert [sum(one is not None for one in volumes) for volumes in seen] == [1, 2, 2]
    assert seen[-1] == [one["volume"] for one in fresh["symbols"]]


async def _volumes(queries: Queries) -> list[str | None]:
    """Return what a status says that is made now, though not for every symbol."""
    queries._status_at = -1.0  # as if the one before were old
    told: Any = await queries.status()
    return [one.get("volume") for one in told["symbols"]]


async def test_a_symbol_that_is_left_is_forgotten(tmp_path: Path) -> None:
    other = attrs.evolve(BITCOIN, symbol="XUSDT")
    async with spine(tmp_path, plan=plan_of(instruments=[BITCOIN, other])) as running:
        queries = Queries(running.runtime)
        await queries.status(fresh=True)
        running.runtime.release(other.key)
        told: Any = await queries.status(fresh=True)
        assert [one["symbol"] for one in told["symbols"]] == ["BTCUSDT"]
        assert list(queries._windows) == [BITCOIN.key]
