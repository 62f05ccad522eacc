"""The register of a data directory: its API keys, and the audit log of all that was done and refused.

Both are in one SQLite file, so that a key never changes without its line in the log. The log only grows:
triggers refuse to change or delete a line, and each line carries the SHA-256 of itself and the line before,
so that ``verify`` notices what was done to the file by other means. Times are µs.
"""

import hashlib
import secrets
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import msgspec

from actors.storage import files
from wadm.keys import NAME, Key, Permission, State, digest
from wadm.market import DAY
from wadm.mistakes import Mistake

FILE_NAME = "access.sqlite3"
SCHEMA = 1

#: How long (µs) a key and its successor both work.
OVERLAP = 7 * DAY

_TABLES = (
    "CREATE TABLE IF NOT EXISTS keys(id TEXT PRIMARY KEY, name TEXT NOT NULL, permission TEXT NOT NULL, "
    "digest TEXT NOT NULL, created_at INTEGER NOT NULL, renew_at INTEGER, expires_at INTEGER, "
    "revoked_at INTEGER, successor TEXT, file TEXT) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS audit(id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, "
    "who TEXT NOT NULL, action TEXT NOT NULL, target TEXT NOT NULL, outcome TEXT NOT NULL, "
    "detail TEXT NOT NULL, chain TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS audit_by_time ON audit(at)",
    *(
        f"CREATE TRIGGER IF NOT EXISTS audit_keeps_{verb.lower()} BEFORE {verb} ON audit "
        "BEGIN SELECT raise(ABORT, 'the audit log only grows'); END"
        for verb in ("UPDATE", "DELETE")
    ),
)
_KEY = "id, name, permission, digest, created_at, renew_at, expires_at, revoked_at, successor, file"
_LINE = "id, at, who, action, target, outcome, detail, chain"


class KeyMistake(Mistake):
    """A key that is not there, or cannot be made as it was asked for."""


@attrs.frozen
class Line:
    """A line of the audit log: ``who`` did (or was refused) ``action`` on ``target``."""

    id: int
    at: int
    who: str
    action: str
    target: str
    outcome: str
    detail: str
    chain: str

    def links(self, before: str) -> bool:
        """Return whether the line is as it was written, behind the line with that chain."""
        return self.chain == _chain(
            before, (self.at, self.who, self.action, self.target, self.outcome, self.detail)
        )


def _chain(before: str, values: Sequence[object]) -> str:
    return hashlib.sha256(before.encode() + msgspec.json.encode(values)).hexdigest()


@attrs.define(eq=False)
class Register:
    """The register in ``directory``. Any thread and any process may use it; each raises StorageError."""

    directory: Path
    _db: sqlite3.Connection = attrs.field(init=False, repr=False)
    _turn: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._db = files.open_writer(self.path, SCHEMA, _create)
        # What was refused and what was allowed has to outlive a power failure.
        with files.explained(self.path):
            self._db.execute("PRAGMA synchronous = FULL")
        self.path.chmod(0o600)

    @property
    def path(self) -> Path:
        """The register's file."""
        return self.directory / FILE_NAME

    def close(self) -> None:
        """Close the file."""
        with self._turn:
            self._db.close()

    # --- keys ---

    def all_keys(self) -> list[Key]:
        """Return every key there ever was, by name, the newest of a name last."""
        with self._reading() as db:
            found = db.execute(f"SELECT {_KEY} FROM keys ORDER BY name, created_at, id").fetchall()
        return [_key(row) for row in found]

    def create(
        self,
        name: str,
        permission: Permission,
        *,
        by: str,
        now: int,
        days: int | None,
        file: str | None = None,
    ) -> tuple[Key, str]:
        """Make a key that is to be renewed after ``days`` (None: never); return it with its secret.

        Raises KeyMistake where a working key has the name already.
        """
        if NAME.fullmatch(name) is None:
            raise KeyMistake(f"name is {name[:80]!r}; expected up to 40 letters, digits, '.', '_' or '-'")
        with self._writing() as db:
            if any(key.name == name and key.works(now) for key in _all(db)):
                raise KeyMistake(
                    f"a key named {name!r} works already: rotate it, revoke it, or take another name"
                )
            key, secret = _made(name, permission, now, days, file)
            _put(db, key)
            _note(db, now, by, "key_created", key.id, "done", f"{name}, {permission}")
        return key, secret

    def rotate(self, name: str, *, by: str, now: int, days: int | None) -> tuple[Key, str]:
        """Make the successor of a key (by id or name), and let the key itself work on for the overlap.

        Raises KeyMistake where the key is not there, does not work any more, or has a successor already.
        """
        with self._writing() as db:
            old = _find(_all(db), name, now)
            if old.successor is not None:
                raise KeyMistake(f"key {old.id} ({old.name}) has a successor already: {old.successor}")
            key, secret = _made(old.name, old.permission, now, days, old.file)
            ends = min(now + OVERLAP, old.expires_at or now + OVERLAP)
            _put(db, key)
            _put(db, attrs.evolve(old, successor=key.id, expires_at=ends))
            _note(db, now, by, "key_rotated", old.id, "done", f"{old.name}: successor {key.id}")
        return key, secret

    def revoke(self, name: str, *, by: str, now: int) -> list[Key]:
        """End a key (by id), or all working ones of a name, at once. Raises KeyMistake."""
        with self._writing() as db:
            found = [key for key in _all(db) if name in (key.id, key.name) and key.works(now)]
            if not found:
                raise KeyMistake(f"no working key is called {name[:80]!r}: `wadm keys list` shows them")
            ended = [attrs.evolve(key, revoked_at=now) for key in found]
            for key in ended:
                _put(db, key)
                _note(db, now, by, "key_revoked", key.id, "done", key.name)
        return ended

    def version(self) -> int:
        """Return a number that changes whenever another connection has changed the file."""
        with self._reading() as db:
            return int(db.execute("PRAGMA data_version").fetchone()[0])

    # --- the audit log ---

    def note(self, lines: Sequence[tuple[int, str, str, str, str, str]]) -> None:
        """Append lines: (at, who, action, target, outcome, detail)."""
        with self._writing() as db:
            for line in lines:
                _note(db, *line)

    def lines(
        self, *, since: int = 0, action: str | None = None, who: str | None = None,
        after: int = 0, limit: int = 100,
    ) -> list[Line]:  # fmt: skip
        """Return lines of the log past the line ``after``, ascending, at most ``limit``."""
        query = f"SELECT {_LINE} FROM audit WHERE id > ? AND at >= ?"
        given: list[Any] = [after, since]
        for column, value in (("action", action), ("who", who)):
            if value is not None:
                query, given = f"{query} AND {column} = ?", [*given, value]
        with self._reading() as db:
            return [Line(*row) for row in db.execute(f"{query} ORDER BY id LIMIT ?", (*given, limit))]

    def verify(self) -> int | None:
        """Return the number of the first line that was changed, or follows one that is missing; else None."""
        before, expected = "", 1
        after = 0
        while lines := self.lines(after=after, limit=1_000):
            for line in lines:
                if line.id != expected or not line.links(before):
                    return line.id
                before, expected, after = line.chain, line.id + 1, line.id
        return None

    # --- the file ---

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._turn, files.explained(self.path):
            yield self._db

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._turn, files.explained(self.path), files.transaction(self._db):
            yield self._db


def _create(db: sqlite3.Connection) -> None:
    for table in _TABLES:
        db.execute(table)


def _made(name: str, permission: Permission, now: int, days: int | None, file: str | None) -> tuple[Key, str]:
    secret = secrets.token_urlsafe(32)
    alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
    key_id = "".join(secrets.choice(alphabet) for _ in range(8))
    renew = None if days is None else now + days * DAY
    expires = None if renew is None else renew + OVERLAP
    return Key(key_id, name, permission, digest(secret), now, renew, expires, file=file), secret


def _all(db: sqlite3.Connection) -> list[Key]:
    return [_key(row) for row in db.execute(f"SELECT {_KEY} FROM keys ORDER BY created_at, id")]


def _find(keys: Sequence[Key], name: str, now: int) -> Key:
    """Return the working key of this id, or the newest of this name."""
    found = [key for key in keys if name in (key.id, key.name)]
    if not found:
        raise KeyMistake(f"no key is called {name[:80]!r}: `wadm keys list` shows them")
    working = [key for key in found if key.works(now)]
    if not working:
        state = found[-1].state(now)
        raise KeyMistake(f"key {found[-1].id} ({found[-1].name}) is {state}: create a new one")
    waiting = [key for key in working if key.state(now) is State.ACTIVE or key.successor is None]
    return (waiting or working)[-1]


def _put(db: sqlite3.Connection, key: Key) -> None:
    marks = ",".join("?" * len(attrs.fields(Key)))
    db.execute(f"INSERT OR REPLACE INTO keys({_KEY}) VALUES ({marks})", attrs.astuple(key))


def _key(row: Sequence[Any]) -> Key:
    return attrs.evolve(Key(*row), permission=Permission(row[2]))


def _note(db: sqlite3.Connection, *values: object) -> None:
    last = db.execute("SELECT chain FROM audit ORDER BY id DESC LIMIT 1").fetchone()
    db.execute(
        "INSERT INTO audit(at, who, action, target, outcome, detail, chain) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (*values, _chain(last[0] if last else "", values)),
    )
