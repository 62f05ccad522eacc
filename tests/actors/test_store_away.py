"""A daemon whose warm store is out of reach starts all the same, says so, and knows all once it is back."""

import contextlib
import json
import sqlite3
from pathlib import Path

import attrs
import pytest
import trio
from spine import BITCOIN, FakeExchange, Spine, plan_of, recorded, spine, trade, until

from actors import runtime as runtimes
from actors.answers.overview import Overview
from actors.cli import main
from actors.completion import Completion
from actors.storage.errors import StorageError
from actors.storage.sql import SqlStore
from supervision import Context
from wadm.market import MINUTE
from wadm.sections import StorageSettings
from wadm.settings import Settings

KEY = BITCOIN.key
#: 2024-08-09T00:00:00Z
START = 1_723_161_600_000_000
MINUTES = 6

#: The store that is away here is away in this process only.
SETTINGS = Settings(storage=StorageSettings(processes="none"))


@attrs.define(eq=False)
class Elsewhere(SqlStore):
    """The store on a server that can be away."""

    away: bool = False

    def initialise(self) -> None:
        self.check()
        SqlStore.initialise(self)

    def cursor(self) -> int:
        self.check()
        return SqlStore.cursor(self)

    def check(self) -> None:
        if self.away:
            raise StorageError("the store at elsewhere:5432 cannot be reached: check that it runs")


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> list[Elsewhere]:
    """Have every runtime open a store that is away while the list's first item is."""
    opened: list[Elsewhere] = []

    def open_targets(storage: object, directory: Path, follows: str) -> tuple[Elsewhere, dict[str, object]]:
        url = f"sqlite:///{directory / 'warm.sqlite3'}"
        opened.append(Elsewhere(url, follows, away=bool(opened)))
        return opened[-1], {}

    monkeypatch.setattr(runtimes, "open_targets", open_targets)
    monkeypatch.setattr(runtimes, "EMBEDDED", "another")
    return opened


def frames() -> list[bytes]:
    """Return a trade in each of some minutes."""
    return [trade(number, START + number * MINUTE) for number in range(MINUTES)]


async def first_life(directory: Path) -> int:
    """Store some minutes; let the journal go of the oldest of them. Return how many bars there were."""
    async with spine(directory, FakeExchange(frames()), settings=SETTINGS) as running:
        await running.complete()
        journal, memory = running.runtime.journal, running.runtime.symbols[KEY]
        found, _ = journal.read(0, 1_000)
        third = next(
            seq for seq, one in found if getattr(getattr(one, "bar", None), "start", 0) == START + 3 * MINUTE
        )
        journal._forget(1, third - 1)
        return len(memory.closed.starts)


def health(running: Spine) -> dict[str, object]:
    return Overview(running.runtime).health()


async def test_it_starts_without_its_store_and_completes_its_memory_when_that_is_back(
    tmp_path: Path, away: list[Elsewhere]
) -> None:
    with trio.fail_after(30):
        bars = await first_life(tmp_path)
        assert bars == MINUTES
        async with spine(tmp_path, plan=plan_of(playback=False), settings=SETTINGS) as running:
            runtime, memory = running.runtime, running.runtime.symbols[KEY]
            await until(lambda: not memory.warming)
            assert 0 < len(memory.closed.starts) < bars
            assert (await running.everything(KEY)).warming
            told = health(running)
            assert told["status"] == "degraded"
            assert any("elsewhere:5432" in str(reason) for reason in told["reasons"])  # type: ignore[attr-defined]
            async with trio.open_nursery() as nursery:
                nursery.start_soon(Completion(runtime).run, Context("completion", 1))
                away[-1].away = False
                await until(lambda: memory.closed.whole)
                nursery.cancel_scope.cancel()
            assert len(memory.closed.starts) == bars
            assert memory.covered_from == START
            answer = await running.everything(KEY)
            assert not answer.warming
            assert answer.bars[""].buy_trades == bars
            await runtime.settle()
            told = health(running)
            assert told["storage"]["sqlite"] == "ok"  # type: ignore[index]


async def test_what_is_too_old_for_an_incomplete_memory_makes_no_bar_of_its_own(
    tmp_path: Path, away: list[Elsewhere]
) -> None:
    with trio.fail_after(30):
        await first_life(tmp_path)
        late = FakeExchange([trade(100, START + MINUTE), trade(101, START + 8 * MINUTE)])
        async with spine(tmp_path, late, plan_of(playback=False), SETTINGS) as running:
            account = running.runtime.ledger.account(KEY)
            await until(lambda: account.applied == 1)
            assert account.rejected["older_than_memory"] == 1


async def test_a_store_that_is_a_file_is_no_server_that_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "warm.sqlite3").write_bytes(b"not a database" * 1_000)
    with pytest.raises(StorageError, match=r"warm\.sqlite3 is damaged or not a database"):
        async with spine(tmp_path):
            raise AssertionError


def damage(journal: Path) -> bytes:
    """Overwrite the pages where the journal's entries begin; return what it holds then."""
    with contextlib.closing(sqlite3.connect(journal)) as db:
        pages = db.execute(
            "SELECT rootpage FROM sqlite_master WHERE tbl_name IN ('batches', 'records')"
        ).fetchall()
    content = bytearray(journal.read_bytes())
    for (page,) in pages:
        content[(page - 1) * 4096 : (page - 1) * 4096 + 32] = b"\xff" * 32
    journal.write_bytes(content)
    return bytes(content)


async def test_a_damaged_journal_is_refused_and_left_as_it_is_and_the_store_still_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with trio.fail_after(30):
        async with spine(tmp_path, FakeExchange(recorded(3_000))) as running:
            await running.complete()
            bar = (await running.everything(KEY)).bars[""]
    damaged = damage(tmp_path / "journal.sqlite3")
    with pytest.raises(StorageError, match=r"journal\.sqlite3 is damaged .* restore it from a backup"):
        async with spine(tmp_path):
            raise AssertionError
    assert (tmp_path / "journal.sqlite3").stat().st_size >= len(damaged)
    asked = [
        "query",
        "profile",
        "--data-dir",
        str(tmp_path),
        "--symbol",
        "BTCUSDT",
        "--exchange",
        "binance",
        "--json",
    ]
    code = await trio.to_thread.run_sync(main, asked)
    told = capsys.readouterr()
    assert code == 0, told.err
    assert "answered from the warm store alone" in told.err
    assert json.loads(told.out)["trades"] == bar.buy_trades + bar.sell_trades
