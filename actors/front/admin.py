"""Keys and the audit log for their administrators: ``/api/v1/keys`` and ``/api/v1/audit``."""

from collections.abc import Callable
from typing import Any, TypeVar

import attrs
import msgspec
import trio
from quart import Response, request
from quart_trio import QuartTrio

from actors.access.access import Access
from actors.access.keyring import wall_clock
from actors.access.register import KeyMistake, Line
from actors.front.caller import Caller, caller_of
from actors.front.formats import encode
from actors.front.problems import RefusedRequestError
from wadm.instants import iso, parse_instant
from wadm.keys import Key, Permission, written
from wadm.questions import QuestionError

T = TypeVar("T")

KEYS = "/api/v1/keys"
RENEWAL = "/api/v1/key-renewal"
AUDIT = "/api/v1/audit"

#: Lines of the audit log in one answer at most.
LINES = 500


class _Wanted(msgspec.Struct, forbid_unknown_fields=True):
    """A key that somebody wants made; ``days`` None: never to be renewed."""

    name: str
    permission: Permission = Permission.READ
    days: int | None = 30


def add_admin(app: QuartTrio, access: Access) -> None:
    """Add the routes."""
    admin = _Admin(access)
    app.add_url_rule(KEYS, "keys", admin.every_key)
    app.add_url_rule(KEYS, "create_key", admin.create, methods=["POST"])
    app.add_url_rule(RENEWAL, "renew_key", admin.renew, methods=["POST"])
    app.add_url_rule(f"{KEYS}/<name>/rotation", "rotate_key", admin.rotate, methods=["POST"])
    app.add_url_rule(f"{KEYS}/<name>", "revoke_key", admin.revoke, methods=["DELETE"])
    app.add_url_rule(AUDIT, "audit", admin.audit)


def shown(key: Key, now: int) -> dict[str, object]:
    """Return a key as it is shown to administrators."""
    return {
        "id": key.id,
        "name": key.name,
        "permission": str(key.permission),
        "state": str(key.state(now)),
        "created_at": iso(key.created_at),
        "renew_at": _iso(key.renew_at),
        "expires_at": _iso(key.expires_at),
        "revoked_at": _iso(key.revoked_at),
        "successor": key.successor,
        "file": key.file,
    }


def line_shown(line: Line) -> dict[str, object]:
    """Return a line of the audit log as it is shown."""
    return {**attrs.asdict(line), "at": iso(line.at)}


@attrs.frozen
class _Admin:
    """What the routes do."""

    access: Access

    async def every_key(self) -> Response:
        _caller(Permission.ADMIN)
        now = wall_clock()
        found = await trio.to_thread.run_sync(self.access.register.all_keys)
        return await _json({"keys": [shown(key, now) for key in found]})

    async def create(self) -> Response:
        caller = _caller(Permission.ADMIN)
        wanted = _wanted(await request.body)
        name, permission, days = wanted.name, wanted.permission, wanted.days
        return await self._made(
            lambda: self.access.register.create(name, permission, by=caller.name, now=wall_clock(), days=days)
        )

    async def rotate(self, name: str) -> Response:
        caller = _caller(Permission.ADMIN)
        return await self._rotated(name, caller)

    async def renew(self) -> Response:
        """Give the holder of a key its successor."""
        caller = _caller(Permission.READ)
        if caller.key is None:
            raise QuestionError("the key", None, "the key that is to be renewed, as a bearer or X-API-Key")
        return await self._rotated(caller.key, caller)

    async def revoke(self, name: str) -> Response:
        caller = _caller(Permission.ADMIN)
        ended = await self._changed(
            lambda: self.access.register.revoke(name, by=caller.name, now=wall_clock())
        )
        return await _json({"keys": [shown(key, wall_clock()) for key in ended]})

    async def audit(self) -> Response:
        _caller(Permission.ADMIN)
        after, limit, since = _whole("after", 0, 1 << 62), _whole("limit", 100, LINES), _since()
        action, who = request.args.get("action"), request.args.get("who")
        found = await trio.to_thread.run_sync(
            lambda: self.access.register.lines(since=since, action=action, who=who, after=after, limit=limit)
        )
        more = str(found[-1].id) if found and len(found) == limit else None
        return await _json({"lines": [line_shown(line) for line in found], "next": more})

    async def _rotated(self, name: str, caller: Caller) -> Response:
        register, days = self.access.register, self.access.keyring.days
        return await self._made(lambda: register.rotate(name, by=caller.name, now=wall_clock(), days=days))

    async def _made(self, make: Callable[[], tuple[Key, str]]) -> Response:
        """Make a key and show its secret, this once."""
        key, secret = await self._changed(make)
        return await _json({**shown(key, wall_clock()), "key": written(key.id, secret)}, 201)

    async def _changed(self, change: Callable[[], T]) -> T:
        try:
            made = await trio.to_thread.run_sync(change)
        except KeyMistake as mistake:
            raise RefusedRequestError(409, "key_mistake", "name", str(mistake), "another name") from mistake
        await trio.to_thread.run_sync(self.access.keyring.refresh)
        return made


def _caller(wanted: Permission) -> Caller:
    caller = caller_of(request.scope)
    caller.check(wanted)
    return caller


def _wanted(body: bytes) -> _Wanted:
    try:
        wanted = msgspec.json.decode(body, type=_Wanted)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        expected = f'an object such as {{"name": "agent", "permission": "read", "days": 30}} ({error})'
        raise RefusedRequestError(
            400, "bad_body", "body", body[:80].decode(errors="replace"), expected
        ) from None
    if wanted.days is not None and not 1 <= wanted.days <= 365:
        raise QuestionError("days", str(wanted.days), "a whole number from 1 to 365, or null")
    return wanted


def _whole(name: str, default: int, most: int) -> int:
    text = request.args.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 19 and int(text) <= most):
        raise QuestionError(name, text, f"a whole number up to {most}")
    return int(text)


def _since() -> int:
    text = request.args.get("since")
    try:
        return 0 if text is None else parse_instant(text)
    except ValueError:
        raise QuestionError("since", text, "an ISO 8601 time, such as 2024-08-08T23:55:00Z") from None


def _iso(instant: int | None) -> str | None:
    return None if instant is None else iso(instant)


async def _json(answer: dict[str, Any], status: int = 200) -> Response:
    return Response(await encode(answer), status, content_type="application/json")
