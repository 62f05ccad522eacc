"""API keys: what one is made of, what it allows, and when it has to be renewed. No secret is kept.

A key is written ``wadm_ID_SECRET``: eight letters and digits by which it is known to everybody, and 256 bits
that only its holder has. What is stored is the secret's SHA-256; a slow hash guards weak passwords, and these
are not passwords.

A key is renewed every so many days: from then on, for the length of the overlap, it and its successor both
work. Then it has expired. Times are µs.
"""

import hashlib
import hmac
import re
from enum import StrEnum

import attrs

PREFIX = "wadm"
_WRITTEN = re.compile(rf"{PREFIX}_([a-z0-9]{{8}})_([A-Za-z0-9_-]{{43}})")
NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,39}")


class Permission(StrEnum):
    """What a key allows: ``write`` also reads, ``admin`` does everything."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"

    def covers(self, wanted: "Permission") -> bool:
        """Return whether who may do this may also do what needs ``wanted``."""
        ranks = list(Permission)
        return ranks.index(wanted) <= ranks.index(self)


class State(StrEnum):
    """Where a key stands. ``due`` ones work still, and have to be renewed."""

    ACTIVE = "active"
    DUE = "due"
    EXPIRED = "expired"
    REVOKED = "revoked"


@attrs.frozen
class Key:
    """A key without its secret. ``renew_at`` and ``expires_at`` are None for one that is never renewed.

    ``file`` is where its secret and those of its successors are put, None where its holder has them alone.
    ``successor`` is the id of the key that took its place.
    """

    id: str
    name: str
    permission: Permission
    digest: str = attrs.field(repr=False)
    created_at: int
    renew_at: int | None = None
    expires_at: int | None = None
    revoked_at: int | None = None
    successor: str | None = None
    file: str | None = None

    def state(self, now: int) -> State:
        """Return where the key stands at ``now``."""
        if self.revoked_at is not None:
            return State.REVOKED
        if self.expires_at is not None and now >= self.expires_at:
            return State.EXPIRED
        due = self.successor is not None or (self.renew_at is not None and now >= self.renew_at)
        return State.DUE if due else State.ACTIVE

    def works(self, now: int) -> bool:
        """Return whether the key opens anything at ``now``."""
        return self.state(now) in (State.ACTIVE, State.DUE)

    def opens(self, secret: str) -> bool:
        """Return whether this is the key's secret, in a time that does not depend on where they differ."""
        return hmac.compare_digest(self.digest, digest(secret))


def written(key_id: str, secret: str) -> str:
    """Return a key as its holder writes it."""
    return f"{PREFIX}_{key_id}_{secret}"


def split(text: str) -> tuple[str, str] | None:
    """Return the id and the secret of a written key, None where it is none."""
    found = _WRITTEN.fullmatch(text)
    return None if found is None else (found[1], found[2])


def digest(secret: str) -> str:
    """Return what is stored of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()
