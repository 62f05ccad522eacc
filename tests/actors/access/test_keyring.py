"""The keys of a running daemon: it follows other processes, and renews keys that are kept in files."""

from pathlib import Path

import pytest
import trio

from actors.access import keyring as module
from actors.access.audit import MOST, Audit
from actors.access.keyring import Keyring, put_secret, wall_clock
from actors.access.register import OVERLAP, Register
from supervision.actor import Context
from wadm.keys import Permission, State, written
from wadm.market import DAY


@pytest.fixture
def register(tmp_path: Path):
    opened = Register(tmp_path)
    yield opened
    opened.close()


async def test_a_key_made_or_revoked_by_another_process_is_known_soon(
    register, tmp_path, nursery, monkeypatch
) -> None:
    monkeypatch.setattr(module, "PERIOD", 0.01)
    ring = Keyring(register)
    assert not ring.needed
    context = Context("keys", 1)
    nursery.start_soon(ring.run, context)
    other = Register(tmp_path)
    key, secret = other.create("agent", Permission.READ, by="x", now=wall_clock(), days=1)
    text = written(key.id, secret)
    with trio.fail_after(10):
        while ring.find(text, wall_clock()) is None:  # noqa: ASYNC110 - another process tells nobody
            await trio.sleep(0.01)
        other.revoke("agent", by="x", now=wall_clock())
        while ring.find(text, wall_clock()) is not None:  # noqa: ASYNC110 - another process tells nobody
            await trio.sleep(0.01)
    assert ring.needed
    other.close()


def test_a_key_in_a_file_is_renewed_in_that_file_and_the_old_one_works_on(register, tmp_path) -> None:
    file = tmp_path / "agent.key"
    now = wall_clock()
    old, secret = register.create(
        "agent", Permission.READ, by="x", now=now - 31 * DAY, days=30, file=str(file)
    )
    put_secret(file, written(old.id, secret))
    ring = Keyring(register, days=30)
    ring._look()
    text = file.read_text().strip()
    assert text != written(old.id, secret)
    assert file.stat().st_mode & 0o777 == 0o600
    for one in (text, written(old.id, secret)):
        assert ring.find(one, now) is not None
    assert ring.find(written(old.id, secret), now + OVERLAP) is None
    ring._look()
    assert file.read_text().strip() == text
    assert [line.who for line in register.lines()] == ["x", "daemon"]


def test_a_key_without_a_file_waits_for_its_holder(register) -> None:
    register.create("agent", Permission.READ, by="x", now=wall_clock() - 31 * DAY, days=30)
    ring = Keyring(register)
    ring._look()
    assert [key.state(wall_clock()) for key in register.all_keys()] == [State.DUE]
    assert "key " in ring.alarms(wall_clock())[0]


def test_the_key_of_the_settings_does_everything_and_is_never_shown(register) -> None:
    ring = Keyring(register, "correct horse battery")
    found = ring.find("correct horse battery", wall_clock())
    assert found is not None
    assert found.permission is Permission.ADMIN
    assert ring.find("correct horse", wall_clock()) is None
    assert "horse" not in repr(ring)
    assert register.all_keys() == []


@pytest.mark.parametrize(
    "text", ["", "wadm_", "wadm_aaaaaaaa_", "wadm_aaaaaaaa_" + "é" * 43, "x" * 10_000, "\0"]
)
def test_what_is_no_key_opens_nothing(register, text) -> None:
    register.create("agent", Permission.READ, by="x", now=wall_clock(), days=1)
    assert Keyring(register, "correct horse battery").find(text, wall_clock()) is None


async def test_a_flood_of_refusals_is_a_bounded_number_of_lines(register) -> None:
    audit = Audit(register)
    for number in range(3 * MOST):
        audit.refused(f"10.0.{number // 256}.{number % 256}", "request", "/", "key_refused")
        audit.refused("10.0.0.1", "request", "/", "key_refused")
    await audit._write()
    lines = register.lines(limit=10_000)
    assert len(lines) <= MOST + 1
    assert sum(int(line.detail.split()[0]) if line.detail else 1 for line in lines) == 6 * MOST


async def test_what_was_refused_last_is_written_at_the_end(register) -> None:
    audit, context = Audit(register), Context("audit", 1)
    audit.refused("10.0.0.1", "request", "/", "key_required")
    context.stopping.set()
    await audit.run(context)
    assert [line.outcome for line in register.lines()] == ["key_required"]


async def test_what_goes_on_for_a_key_ends_with_it(register, nursery, monkeypatch) -> None:
    monkeypatch.setattr(module, "PERIOD", 0.01)
    kept, _ = register.create("kept", Permission.READ, by="x", now=wall_clock(), days=1)
    ended, _ = register.create("ended", Permission.READ, by="x", now=wall_clock(), days=1)
    ring, over = Keyring(register), trio.Event()

    async def stream(key_id: str) -> None:
        with ring.holding(key_id):
            await trio.sleep_forever()
        over.set()

    for key in (kept, ended):
        nursery.start_soon(stream, key.id)
    nursery.start_soon(ring.run, Context("keys", 1))
    await trio.testing.wait_all_tasks_blocked()
    register.revoke("ended", by="x", now=wall_clock())
    ring.refresh()
    with trio.fail_after(10):
        await over.wait()
    assert list(ring._held) == [kept.id]
