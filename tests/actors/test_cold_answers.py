"""A running daemon moves old days into its archive, and answers from there as if nothing had happened."""

import threading
from pathlib import Path
from typing import Any

import pytest
import trio
from spine import BITCOIN, FakeExchange, spine, trade

from actors import rebuild
from actors.answers.queries import Queries
from actors.storage.cold.archive import Archive
from wadm.answers.registry import QUESTIONS
from wadm.instants import iso
from wadm.market import DAY, HOUR, MINUTE

#: 2024-08-09T00:00:00Z
START = 1_723_161_600_000_000
KEY, NAME = BITCOIN.key, (BITCOIN.exchange, BITCOIN.symbol)
PROFILE = QUESTIONS["profile"]


def span(start: int, end: int) -> dict[str, str]:
    return {"exchange": "binance", "symbol": "BTCUSDT", "start": iso(start), "end": iso(end)}


async def archived(directory: Path, days: int = 2) -> list[dict[str, Any]]:
    """Keep a trade an hour over three days, move two of them into the archive; return answers from before."""
    frames = [trade(number, START + number * HOUR, price=str(100 + number)) for number in range(73)]
    async with spine(directory, FakeExchange(frames)) as first:
        await first.complete()
        asked = [await Queries(first.runtime).ask(PROFILE, one) for one in WINDOWS]
        archivist, store = first.runtime.archivist, first.runtime.store
        with pytest.MonkeyPatch.context() as patch:
            ripe = [(*NAME, START + day * DAY) for day in range(days)]
            patch.setattr(type(store), "ripe_days", lambda *_: ripe)
            await archivist.look()
        assert (archivist.progress.waiting, archivist.progress.last_error) == (0, None)
        left = (START + days * DAY, START + 3 * DAY + MINUTE) if days < 4 else None
        assert store.extent(*NAME) == left
        # By the time that days are moved, the journal has long forgotten them.
        await trio.to_thread.run_sync(first.runtime.journal.trim, 1 << 62, 1 << 62)
    return asked


WINDOWS = [span(START, START + DAY), span(START, START + 3 * DAY), span(START + DAY, START + DAY + 3 * HOUR)]


async def test_answers_are_those_from_before_the_days_were_moved(tmp_path: Path) -> None:
    with trio.fail_after(20):
        before = await archived(tmp_path)
        async with spine(tmp_path) as running:
            queries = Queries(running.runtime)
            for asked, old in zip(WINDOWS, before, strict=True):
                new: dict[str, Any] = await queries.ask(PROFILE, asked)
                was, now = old.pop("coverage"), new.pop("coverage")
                assert new == old
                assert (now["start"], now["end"], now["gaps"]) == (was["start"], was["end"], was["gaps"])
                assert "cold" in now["sources"]
                assert "unreadable" not in now


async def test_where_every_bar_was_moved_a_start_knows_how_far_they_reach(tmp_path: Path) -> None:
    with trio.fail_after(20):
        before = await archived(tmp_path, days=4)
        async with spine(tmp_path) as running:
            for asked, old in zip(WINDOWS, before, strict=True):
                new: dict[str, Any] = await Queries(running.runtime).ask(PROFILE, asked)
                was, now = old["coverage"], new["coverage"]
                assert (new["trades"], now["start"], now["end"]) == (old["trades"], was["start"], was["end"])


async def test_a_day_that_cannot_be_read_is_named_and_the_others_are_served(tmp_path: Path) -> None:
    with trio.fail_after(20):
        await archived(tmp_path)
        (tmp_path / "cold/bars/exchange=binance/symbol=BTCUSDT/date=2024-08-10/bars.parquet").write_bytes(
            b"x"
        )
        async with spine(tmp_path) as running:
            answer: dict[str, Any] = await Queries(running.runtime).ask(PROFILE, WINDOWS[1])
            assert answer["trades"] == 72 - 24
            (told,) = answer["coverage"]["unreadable"]
            assert (told["start"], told["end"]) == (iso(START + DAY), iso(START + 2 * DAY))
            assert "bars.parquet is damaged" in told["reason"]
            assert answer["coverage"]["state"] == "provisional"


async def test_a_start_waits_for_no_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its days are not read; only of a symbol with no bars elsewhere it is asked how far they reach."""
    ended = threading.Event()
    with trio.fail_after(20):
        await archived(tmp_path)
        for name in ("bars", "symbols"):
            monkeypatch.setattr(Archive, name, None)
        monkeypatch.setattr(Archive, "extent", lambda *_: ended.wait())
        monkeypatch.setattr(rebuild, "PATIENCE", 0.05)
        try:
            async with spine(tmp_path) as running:
                assert (await running.everything(KEY)).warming is False
        finally:
            ended.set()
