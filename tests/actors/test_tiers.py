"""What /health and /status say of the storage."""

from pathlib import Path

import pytest
import trio
from spine import Spine, spine

from actors.answers import tiers
from actors.answers.overview import Overview
from actors.messages import GapRecord
from actors.storage import sink as sinks
from actors.storage.errors import DiskFull, StorageError
from actors.storage.tier_log import Loss
from wadm.exchanges.base import Gap
from wadm.market import DAY, HOUR, MINUTE, SECOND, IdKind

#: 2024-08-09T00:00:00Z
NOW = 1_723_161_600_000_000


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiers, "_now", lambda: NOW)


def progress(lag: int = 0, behind: int | None = None, error: str | None = None) -> sinks.Progress:
    oldest = None if behind is None else NOW - behind
    return sinks.Progress(
        100, lag, not lag, error, 3 if error else 0, oldest, NOW - MINUTE if error else None
    )


def stand(running: Spine, monkeypatch: pytest.MonkeyPatch, found: sinks.Progress) -> None:
    monkeypatch.setattr(sinks.Sink, "progress", property(lambda _: found))


def told(running: Spine) -> tuple[str, list[str]]:
    health = Overview(running.runtime).health()
    storage = health["storage"]
    assert isinstance(storage, dict)
    reasons = health["reasons"]
    assert isinstance(reasons, list)
    return str(storage["sqlite"]), reasons


async def test_a_tier_that_keeps_up_is_ok(tmp_path: Path) -> None:
    async with spine(tmp_path) as running:
        await running.runtime.settle()
        health = Overview(running.runtime).health()
        assert health["storage"] == {"journal": "ok", "sqlite": "ok", "cold": "ok"}


@pytest.mark.parametrize(
    ("found", "state"),
    [
        (progress(12_345, 123 * SECOND, "it is down"), "behind by 12,345 entries (2 m 3 s): it is down"),
        (progress(1, HOUR + SECOND, "it is down"), "behind by 1 entry (1 h 0 m 1 s): it is down"),
        (progress(0, None, "it is down"), "failing: it is down"),
        (progress(9, 11 * SECOND), "behind by 9 entries (11 s): it is catching up"),
        (progress(9, 9 * SECOND), "ok"),
    ],
)
async def test_a_tier_that_does_not_says_how_far_behind_it_is_and_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: sinks.Progress, state: str
) -> None:
    async with spine(tmp_path) as running:
        with monkeypatch.context() as patched:
            stand(running, patched, found)
            said, reasons = told(running)
            assert said == state
            sentence = f"{running.runtime.warm.name} is {state}"
            assert (sentence in reasons) is (state != "ok")
            (tier,) = tiers.status(running.runtime)["tiers"]  # type: ignore[misc]
            assert (tier["tier"], tier["engine"], tier["breaker"]) == ("warm", "sqlite", "closed")
            assert (tier["lag_entries"], tier["cursor"]) == (found.lag, 100)
            assert tier["since"] == (None if found.since is None else "2024-08-08T23:59:00Z")


async def test_losses_and_a_lack_of_room_are_told(tmp_path: Path) -> None:
    async with spine(tmp_path) as running:
        upkeep = running.runtime.upkeep
        upkeep.losses = [
            Loss("mongodb at there", 1, 9, NOW - HOUR, NOW - MINUTE, 1_234, 1, NOW - SECOND),
            Loss("mongodb at there", 20, 29, None, None, None, None, NOW - SECOND),
            Loss("redis at there", 1, 9, NOW - 3 * DAY, NOW - 3 * DAY, 1, 2, NOW - 2 * DAY),
        ]
        upkeep.over, upkeep.shed_at, upkeep.kept_since = 1, NOW - SECOND, NOW - 20 * MINUTE
        upkeep.failing["store"] = "it is down"
        _, reasons = told(running)
        said = "\n".join(reasons)
        assert "mongodb at there has lost 1,234 trades and 1 record of 2024-08-08T23:00:00Z" in said
        assert "came back without entries 20 to 29 of the journal" in said
        assert "redis" not in said
        assert "takes 1 MB more than storage.quota_mb allows" in said
        assert "it begins at 2024-08-08T23:40:00Z" in said
        assert "the retention of the store failed: it is down" in said
        assert len(tiers.status(running.runtime)["losses"]) == 3  # type: ignore[arg-type]


async def test_a_journal_that_waits_is_unhealthy(tmp_path: Path) -> None:
    async with spine(tmp_path) as running:
        running.runtime.writer.waiting = "no room left"
        health = Overview(running.runtime).health()
        assert health["status"] == "unhealthy"
        assert "journal: no room left" in health["reasons"]  # type: ignore[operator]


@pytest.mark.parametrize("error", [StorageError("it is down"), DiskFull("it is full")])
async def test_a_store_that_is_down_is_not_asked_and_one_that_is_full_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: StorageError
) -> None:
    with trio.fail_after(20):
        async with spine(tmp_path) as running:
            warm = running.runtime.warm

            def refuse(*_: object) -> None:
                raise error

            with monkeypatch.context() as patched:
                patched.setattr(type(running.runtime.store), "apply", refuse)
                gap = Gap("binance", "BTCUSDT", IdKind.TRADE, 1, 2, NOW)
                await running.runtime.writer_mailbox.put(GapRecord(gap, "open"))
                await warm.wait_for(lambda progress: progress.last_error is not None)
                assert warm.reach.reason == ("" if isinstance(error, DiskFull) else "it is down")
            await running.runtime.settle()
            assert warm.reach.reason == ""
