"""The gate in front of every door: who asks, from where, how often, and under which name.

REST, WebSocket, server-sent events and MCP all pass here, so that no door can forget to ask. What is refused
is answered as a problem (RFC 9457) and noted in the audit log. Every answer carries the request's id, which
every log line about it carries too.
"""

import re
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import attrs
import structlog

from actors.access.audit import Audit
from actors.access.keyring import Keyring
from actors.access.rates import Headers, Rate, Rates
from actors.front.caller import Caller
from actors.front.hosts import Hosts
from actors.front.limits import Application, Message, Receive, Scope, Send
from actors.front.problems import CONTENT_TYPE, encode_problem
from wadm.instants import iso
from wadm.keys import Key, Permission, State

#: What may be seen without a key: that the daemon lives, and what is written here anyway.
OPEN = frozenset({"/", "/health", "/health/live", "/health/ready", "/openapi.json", "/docs"})

#: Requests of one address, and of all, that are in work at one time.
MOST_OF_ONE = 200
MOST = 500

_NEEDED = "A key is required: send it as Authorization: Bearer KEY, or as X-API-Key."

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

#: A WebSocket of a browser cannot send headers: it names its key as a subprotocol.
SUBPROTOCOL = "wadm.key."


class Refusal(Exception):
    """A request that does not pass."""

    def __init__(self, status: int, code: str, sentence: str, headers: Headers | None = None) -> None:
        super().__init__(sentence)
        self.status, self.code, self.sentence, self.headers = status, code, sentence, headers or []


@attrs.define(eq=False)
class Gate:
    """Lets requests pass to ``application``, or refuses them."""

    application: Application
    keyring: Keyring
    audit: Audit
    rates: Rates
    hosts: Hosts
    _in_work: Counter[str] = attrs.field(factory=Counter, init=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        if scope["type"] not in ("http", "websocket"):
            await self.application(scope, receive, send)
            return
        headers = _headers(scope)
        given = headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        answered = _Answer(send, [(b"x-request-id", request_id.encode())])
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                caller, extra = self._admit(scope, headers)
                answered.headers += extra
                scope["state"] = {**(scope.get("state") or {}), "caller": caller, "request_id": request_id}
                with self._working(caller), self._held(caller):
                    await self.application(scope, receive, answered.send)
            except Refusal as refusal:
                self.audit.refused(_address(scope), "request", scope.get("path", "")[:200], refusal.code)
                await _refuse(scope, receive, answered.send, refusal)

    # --- who ---

    def _admit(self, scope: Scope, headers: dict[str, str]) -> tuple[Caller, Headers]:
        """Return who asks, and the headers that tell him where he stands. Raises Refusal."""
        self._check_names(scope, headers)
        now, address = time.time(), _address(scope)
        text = _shown(headers)
        key = None if text is None else self._key(text, address, now)
        passes, rate = self.rates.ask(address, None if key is None else key.id, now)
        if not passes:
            raise _too_many(rate)
        extra = rate.headers
        if key is not None:
            return Caller(address, key.id, key.permission), extra + _renewal(key, now)
        if self.keyring.needed and scope["path"] not in OPEN:
            raise Refusal(401, "key_required", _NEEDED, [(b"www-authenticate", b'Bearer realm="wadm"')])
        permission = Permission.READ if self.keyring.needed else Permission.ADMIN
        return Caller(address, None, permission), extra

    def _key(self, text: str, address: str, now: float) -> Key:
        key = self.keyring.find(text, int(now * 1_000_000))
        if key is not None:  # whatever others at this address have tried: nobody guesses 256 bits
            return key
        if not self.rates.guess(address, now):
            raise Refusal(429, "too_many_guesses", "Too many keys that do not work: wait a minute.",
                          [(b"retry-after", b"60")])  # fmt: skip
        raise Refusal(
            401, "key_refused", "The key is not known here, has expired or was revoked.",
            [(b"www-authenticate", b'Bearer realm="wadm", error="invalid_token"')],
        )  # fmt: skip

    def _check_names(self, scope: Scope, headers: dict[str, str]) -> None:
        if not self.hosts.knows_host(scope, headers.get("host", "")):
            raise Refusal(
                421, "foreign_host",
                "Host is not a name of this server; add the name to http.allowed_hosts if it is one.",
            )  # fmt: skip
        origin = headers.get("origin")
        if origin is not None and not self.hosts.knows_origin(scope, origin):
            raise Refusal(
                403, "foreign_origin", "Origin is another site; expected none, or this server's own."
            )

    # --- how many ---

    @contextmanager
    def _working(self, caller: Caller) -> Iterator[None]:
        address = caller.address
        if self._in_work[address] >= MOST_OF_ONE or self._in_work.total() >= MOST:
            raise Refusal(
                503, "too_busy", "Too many requests are in work: ask again shortly.", [(b"retry-after", b"1")]
            )
        self._in_work[address] += 1
        try:
            yield
        finally:
            self._in_work[address] -= 1
            if not self._in_work[address]:
                del self._in_work[address]

    def _held(self, caller: Caller) -> AbstractContextManager[None]:
        """Return what ends a request, however long it lasts, when its key does."""
        return nullcontext() if caller.key is None else self.keyring.holding(caller.key)


@attrs.define(eq=False)
class _Answer:
    """An answer on its way out, with headers of the gate's."""

    _send: Send
    headers: Headers

    async def send(self, message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.accept", "websocket.http.response.start"):
            message = {**message, "headers": [*message.get("headers", ()), *self.headers]}
        await self._send(message)


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _address(scope: Scope) -> str:
    client: Any = scope.get("client") or ("unknown", 0)
    return str(client[0])


def _shown(headers: dict[str, str]) -> str | None:
    """Return the key that was shown, None where there is none."""
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and bearer.strip():
        return bearer.strip()
    if key := headers.get("x-api-key"):
        return key.strip()
    for one in headers.get("sec-websocket-protocol", "").split(","):
        if one.strip().startswith(SUBPROTOCOL):
            return one.strip().removeprefix(SUBPROTOCOL)
    return None


def _renewal(key: Key, now: float) -> Headers:
    """Return what tells the holder of a key that it is time for another."""
    if key.state(int(now * 1_000_000)) is not State.DUE or key.expires_at is None:
        return []
    return [(b"x-api-key-expires", iso(key.expires_at).encode())]


def _too_many(rate: Rate) -> Refusal:
    sentence = f"More than {rate.limit} requests within a minute: ask again in {rate.reset} s."
    return Refusal(
        429, "too_many_requests", sentence, [*rate.headers, (b"retry-after", str(rate.reset).encode())]
    )


async def _refuse(scope: Scope, receive: Receive, send: Send, refusal: Refusal) -> None:
    body = encode_problem(refusal.status, refusal.code, refusal.sentence)
    headers = [
        *refusal.headers,
        (b"content-type", CONTENT_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    kind = "http"
    if scope["type"] == "websocket":
        await receive()  # the handshake, which is answered with the refusal
        kind = "websocket.http"
        if scope.get("http_version") == "1.1":
            headers.append((b"connection", b"close"))  # after an upgrade that failed it serves nothing more
    await send({"type": f"{kind}.response.start", "status": refusal.status, "headers": headers})
    await send({"type": f"{kind}.response.body", "body": body, "more_body": False})
