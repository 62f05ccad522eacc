"""Keeping secrets out of what is told: logs, errors, answers.

Drivers put addresses with passwords into their messages, and what they say ends up in logs. Three nets hang
behind one another: what stands where an address has its user and password, what is written like an API key,
and the secrets that the settings name.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from wadm.settings import Settings

HIDDEN = "…"

#: Names of values that are never told.
_SECRET = frozenset(
    {
        "api_key", "apikey", "authorization", "cookie", "credentials", "passwd", "password",
        "proxy_authorization", "secret", "token", "x_api_key",
    }
)  # fmt: skip

_USERINFO = re.compile(r"(?<=://)[^\s/'\"]+(?=@)")
_KEY = re.compile(r"(wadm_[a-z0-9]{8}_)[A-Za-z0-9_-]{43}")
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}")
_IN_QUERY = re.compile(r"(?i)([?&](?:password|token|secret|sig|signature|[\w-]*key)=)[^&\s'\"]+")

#: A shorter secret is a word that logs use anyway.
_SHORTEST = 4


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """Return the secrets that the settings name, the longest first, also as they are written in addresses."""
    storage = settings.storage
    addresses = (
        storage.mongodb_url,
        storage.db_url,
        storage.redis_url,
        storage.cold_url,
        settings.network.proxy,
    )
    found = {settings.access.api_key} if settings.access.api_key else set()
    for address in filter(None, addresses):
        found.update(_passwords(address))
    return tuple(sorted((one for one in found if len(one) >= _SHORTEST), key=lambda one: (-len(one), one)))


def _passwords(address: str) -> Iterator[str]:
    """Yield an address's password, as it is written and as it is meant."""
    head, at, _ = address.rpartition("@")
    try:
        password = urlsplit(address).password
    except ValueError:
        password = head.rpartition(":")[2] if at else None
    if password:
        yield password
        yield unquote(password)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return ``text`` without what is secret in it."""
    for secret in secrets:
        if secret in text:
            text = text.replace(secret, HIDDEN)
    if "://" in text:
        text = _USERINFO.sub(HIDDEN, text)
    if "wadm_" in text:
        text = _KEY.sub(rf"\1{HIDDEN}", text)
    if "=" in text:
        text = _IN_QUERY.sub(rf"\1{HIDDEN}", text)
    return _BEARER.sub(rf"\1 {HIDDEN}", text)


def redact_values(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return named values without those whose names say that they are secret, at any depth."""
    return {name: HIDDEN if _is_secret(name) else _inside(value) for name, value in given.items()}


def _inside(value: Any) -> Any:
    if isinstance(value, Mapping):
        return redact_values({str(name): one for name, one in value.items()})
    return value


def _is_secret(name: str) -> bool:
    return name.lower().replace("-", "_") in _SECRET
