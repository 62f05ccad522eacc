"""The keys as the running daemon knows them: kept in memory, looked after every second."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import structlog
import trio

from actors.access.register import KeyMistake, Register
from actors.storage.errors import StorageError
from supervision import Context
from wadm.instants import iso
from wadm.keys import Key, Permission, State, digest, split, written

log = structlog.get_logger("keys")

#: Seconds within which a key that was made, rotated or revoked by another process is known here.
PERIOD = 1.0

#: The key that the settings name: of no id in the register, and never to be renewed.
API_KEY = "api_key"


def wall_clock() -> int:
    """Return the time now (µs): keys are renewed by the calendar."""
    return time.time_ns() // 1_000


@attrs.define(eq=False)
class Keyring:
    """Tells whose key was shown. ``days`` is how long a key works before it is to be renewed."""

    register: Register
    api_key: str | None = attrs.field(default=None, repr=False)
    days: int = 30
    _keys: dict[str, Key] = attrs.field(factory=dict, init=False)
    _version: int = attrs.field(default=-1, init=False)
    _held: dict[str, set[trio.CancelScope]] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self.refresh()

    @property
    def needed(self) -> bool:
        """Whether a key is needed: once one was made, for good, even if none works any more."""
        return bool(self._keys)

    def works(self, now: int) -> bool:
        """Return whether there is a key that opens anything."""
        return any(key.works(now) for key in self._keys.values())

    def find(self, text: str, now: int) -> Key | None:
        """Return the working key that was written like this, None where it is none."""
        parts = split(text)
        key = self._keys.get(parts[0]) if parts else None
        if key is not None and parts is not None:
            return key if key.opens(parts[1]) and key.works(now) else None
        own = self._keys.get(API_KEY)
        return own if own is not None and own.opens(text) else None

    def alarms(self, now: int) -> list[str]:
        """Say which keys wait for their holder to renew them."""
        return [
            f"key {key.id} ({key.name}) has to be renewed before {iso(key.expires_at or now)}: "
            f"`wadm keys rotate {key.name}`, or its holder sends POST /api/v1/key-renewal"
            for key in self._keys.values()
            if key.state(now) is State.DUE and key.successor is None
        ]

    def refresh(self) -> None:
        """Read the register again."""
        self._version = self.register.version()
        self._keys = {key.id: key for key in self.register.all_keys()}
        if self.api_key is not None:
            self._keys[API_KEY] = Key(
                API_KEY, "API_KEY", Permission.ADMIN, digest(self.api_key), created_at=0
            )

    async def run(self, context: Context) -> None:
        """Be the actor: follow the register, and renew the keys whose secrets are kept in files."""
        context.started()
        while True:
            await trio.sleep(PERIOD)
            try:
                await trio.to_thread.run_sync(self._look)
            except StorageError as error:
                log.warning("keys_not_read", reason=str(error), kept="those of before")
            self._let_go()

    @contextlib.contextmanager
    def holding(self, key_id: str) -> Iterator[None]:
        """Do something for the holder of a key, and stop where the key ends meanwhile."""
        with trio.CancelScope() as scope:
            self._held.setdefault(key_id, set()).add(scope)
            try:
                yield
            finally:
                self._held[key_id].discard(scope)
                if not self._held[key_id]:
                    del self._held[key_id]

    def _let_go(self) -> None:
        """End what goes on for keys that do not work any more: a stream may have been open for days."""
        now = wall_clock()
        for key_id, scopes in self._held.items():
            key = self._keys.get(key_id)
            if key is None or not key.works(now):
                for scope in scopes:
                    scope.cancel()

    def _look(self) -> None:
        if self.register.version() != self._version:
            self.refresh()
        now = wall_clock()
        for key in list(self._keys.values()):
            if key.file is not None and key.successor is None and key.state(now) is State.DUE:
                self._renew(key, now)

    def _renew(self, key: Key, now: int) -> None:
        if not os.access(Path(str(key.file)).parent, os.W_OK):
            log.error(
                "key_not_renewed", key=key.id, file=key.file, reason="its directory cannot be written to"
            )
            return
        with contextlib.suppress(KeyMistake):  # somebody else was faster
            made, secret = self.register.rotate(key.id, by="daemon", now=now, days=self.days)
            try:
                put_secret(Path(str(key.file)), written(made.id, secret))
            except OSError as error:
                log.error("key_not_handed_over", key=key.id, file=key.file, reason=error.strerror)  # noqa: TRY400
            log.info("key_renewed", key=key.id, successor=made.id)
            self.refresh()


def put_secret(path: Path, text: str) -> None:
    """Write a key to a file that only this user may read, in place of what was there. Raises OSError."""
    fresh = path.with_name(f".{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{text}\n")
    fresh.replace(path)
