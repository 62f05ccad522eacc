"""Keys and the audit log in one file: nothing changes without its line, and no line changes."""

import sqlite3
import threading
from pathlib import Path

import pytest

from actors.access.register import FILE_NAME, OVERLAP, KeyMistake, Register
from wadm.keys import Permission, State, split, written
from wadm.market import DAY

NOW = 1_700_000_000_000_000


@pytest.fixture
def register(tmp_path: Path):
    opened = Register(tmp_path)
    yield opened
    opened.close()


def test_a_key_is_stored_without_its_secret(register, tmp_path):
    key, secret = register.create("agent", Permission.READ, by="me", now=NOW, days=30)
    assert register.all_keys() == [key]
    assert key.opens(secret)
    assert not key.opens(secret[:-1] + ("A" if secret[-1] != "A" else "B"))
    assert split(written(key.id, secret)) == (key.id, secret)
    for path in tmp_path.iterdir():
        assert secret.encode() not in path.read_bytes()
    assert secret not in repr(key)
    assert key.digest not in repr(key)
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o077 == 0


def test_a_key_is_due_after_its_days_and_expires_after_the_overlap(register):
    key, _ = register.create("agent", Permission.READ, by="me", now=NOW, days=30)
    assert key.state(NOW + 30 * DAY - 1) is State.ACTIVE
    assert key.state(NOW + 30 * DAY) is State.DUE
    assert key.works(NOW + 30 * DAY + OVERLAP - 1)
    assert key.state(NOW + 30 * DAY + OVERLAP) is State.EXPIRED


def test_a_rotated_key_works_beside_its_successor_for_the_overlap(register):
    first, secret = register.create("agent", Permission.WRITE, by="me", now=NOW, days=30)
    later = NOW + 30 * DAY
    second, other = register.rotate("agent", by="daemon", now=later, days=30)
    old, new = register.all_keys()
    assert (old.id, old.successor, new.id) == (first.id, second.id, second.id)
    assert other != secret
    assert (old.state(later), new.state(later)) == (State.DUE, State.ACTIVE)
    assert old.works(later + OVERLAP - 1)
    assert not old.works(later + OVERLAP)
    assert new.permission is Permission.WRITE
    assert new.expires_at == later + 30 * DAY + OVERLAP
    with pytest.raises(KeyMistake, match="has a successor already"):
        register.rotate(first.id, by="me", now=later, days=30)


def test_a_revoked_key_is_ended_with_its_successor(register):
    register.create("agent", Permission.READ, by="me", now=NOW, days=30)
    register.rotate("agent", by="me", now=NOW + 1, days=30)
    assert len(register.revoke("agent", by="me", now=NOW + 2)) == 2
    assert not any(key.works(NOW + 2) for key in register.all_keys())
    again, _ = register.create("agent", Permission.READ, by="me", now=NOW + 3, days=None)
    assert again.expires_at is None


@pytest.mark.parametrize(
    ("what", "says"),
    [
        (lambda register: register.create("agent", Permission.READ, by="", now=NOW, days=1), "works already"),
        (lambda register: register.create("a b", Permission.READ, by="", now=NOW, days=1), "name is 'a b'"),
        (lambda register: register.create("", Permission.READ, by="", now=NOW, days=1), "name is ''"),
        (lambda register: register.rotate("nobody", by="", now=NOW, days=1), "no key is called 'nobody'"),
        (lambda register: register.rotate("agent", by="", now=NOW + 90 * DAY, days=1), "is expired"),
        (lambda register: register.revoke("nobody", by="", now=NOW), "no working key"),
    ],
)
def test_what_cannot_be_done_is_a_sentence_and_changes_nothing(register, what, says):
    register.create("agent", Permission.READ, by="me", now=NOW, days=30)
    before = register.all_keys(), register.lines()
    with pytest.raises(KeyMistake, match=says):
        what(register)
    assert (register.all_keys(), register.lines()) == before


def test_every_change_has_its_line(register):
    key, _ = register.create("agent", Permission.READ, by="me", now=NOW, days=30)
    successor, _ = register.rotate("agent", by="daemon", now=NOW + 1, days=30)
    register.revoke(successor.id, by="key x", now=NOW + 2)
    assert [(line.at, line.who, line.action, line.target) for line in register.lines()] == [
        (NOW, "me", "key_created", key.id),
        (NOW + 1, "daemon", "key_rotated", key.id),
        (NOW + 2, "key x", "key_revoked", successor.id),
    ]
    assert register.verify() is None


def test_lines_are_chosen_and_paged(register):
    register.note([(NOW + at, f"who{at % 2}", "request", "/", "refused", "") for at in range(10)])
    assert [line.id for line in register.lines(limit=4)] == [1, 2, 3, 4]
    assert [line.id for line in register.lines(after=8)] == [9, 10]
    assert [line.id for line in register.lines(who="who1", since=NOW + 4)] == [6, 8, 10]
    assert register.lines(action="key_created") == []


def test_the_log_only_grows(register, tmp_path):
    register.note([(NOW, "a", "b", "c", "d", "e")])
    other = sqlite3.connect(tmp_path / FILE_NAME)
    for statement in ("UPDATE audit SET who = 'x'", "DELETE FROM audit"):
        with pytest.raises(sqlite3.IntegrityError, match="only grows"):
            other.execute(statement)
    other.close()


@pytest.mark.parametrize(
    "statement", ["UPDATE audit SET who = 'x' WHERE id = 2", "DELETE FROM audit WHERE id = 2"]
)
def test_a_line_that_was_changed_by_other_means_is_noticed(register, tmp_path, statement):
    register.note([(NOW + at, "a", "b", "c", "d", "e") for at in range(4)])
    other = sqlite3.connect(tmp_path / FILE_NAME)
    for verb in ("update", "delete"):
        other.execute(f"DROP TRIGGER audit_keeps_{verb}")
    other.execute(statement)
    other.commit()
    other.close()
    assert register.verify() in (2, 3)


def test_several_processes_may_change_it_at_once(tmp_path):
    registers = [Register(tmp_path) for _ in range(4)]

    def work(number: int) -> None:
        for at in range(10):
            registers[number].create(f"key{number}-{at}", Permission.READ, by="me", now=NOW, days=1)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    before = registers[0].version()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(registers[0].all_keys()) == 40
    assert registers[0].verify() is None
    assert registers[0].version() != before
    for register in registers:
        register.close()
