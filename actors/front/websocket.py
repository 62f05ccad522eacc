"""The door for those who want to be told: a WebSocket at ``/ws/v1``, subprotocol ``wadm.v1``.

A client sends operations as JSON objects in text frames, each with an ``id`` of its choice, which the answer
repeats::

    {"op": "subscribe", "id": 1, "channel": "trades", "exchange": "binance", "symbol": "BTCUSDT"}
    {"op": "unsubscribe", "id": 2, "subscription": 1}
    {"op": "list", "id": 3}
    {"op": "ping", "id": 4}

Answers have the type ``answer`` and ``ok``; where that is false, ``problem`` is what REST would say::

    {"type": "answer", "id": 1, "ok": true, "op": "subscribe", "subscription": 1, "channel": "trades", …}
    {"type": "answer", "id": 5, "ok": false, "problem": {"code": "unknown_symbol", "detail": "…", …}}

Everything else is news of a subscription. It names ``subscription``, ``channel``, ``exchange``, ``symbol``
and the channel's parameters; ``at`` is when it was told. ``seq`` counts what was told of this topic: one that
is left out was missed, and said to be.

- ``snapshot``: how things stand; the first of a subscription. Several follow one another where trades are
  caught up with: all but the last say ``more``.
- ``change``: what came. Of profile, flow and depth it is the whole again, and the newest only.
- ``missed``: this client took too long, and ``count`` messages up to ``seq`` are lost to it. Of profile, flow
  and depth a snapshot follows; trades say the ``cursor`` from which they can be had again.
- ``ended``: nothing more comes, and why (``problem``).

Channels, with their own parameters:

- ``trades`` (``cursor`` or ``start``, else ``limit`` of the newest): ``trades``, each with ``time``,
  ``price``, ``quantity``, ``side``, ``id`` and, where it stands for several, ``count``; ``cursor`` is the
  place behind them, good for subscribing again and for ``/api/v1/trades`` after any restart. ``missed`` in a
  snapshot is what the journal no longer keeps, ``gaps`` what was never received.
- ``bars`` (``limit``): ``bars``, then each ``bar`` of a minute as it closes, or closes again with a higher
  ``revision``.
- ``profile`` and ``flow`` (``timeframe``, ``session`` and the parameters of the question): the developing
  window, as REST answers it, at most once a second.
- ``depth`` (``levels``): the order book's best levels, at most ten times a second.

Close codes: 1001 the daemon stops, 1003 a binary frame, 1008 too many operations, 1009 a frame too large.
"""

from collections.abc import Mapping
from typing import Any

import attrs
import msgspec
import trio

from actors.front.agents.arguments import written
from actors.front.caller import caller_of
from actors.front.limits import Message, Receive, Scope, Send
from actors.front.problems import RefusedRequestError, question_problem
from actors.front.refusals import refuse
from actors.live.hub import Hub, TooManyListeners
from actors.live.session import Session
from wadm.questions import MissingParameter, QuestionError, nearest

PATH = "/ws/v1"
SUBPROTOCOL = "wadm.v1"

#: The longest operation (characters).
MOST_OPERATION = 8 * 1024

#: Operations a second, and how many may come at once.
OPERATIONS, BURST = 20, 100

GOING_AWAY, UNSUPPORTED, POLICY, TOO_BIG = 1001, 1003, 1008, 1009

OPERATIONS_KNOWN = ("subscribe", "unsubscribe", "list", "ping")


@attrs.frozen(eq=False)
class LiveSocket:
    """The ASGI application."""

    hub: Hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket; an ordinary request is told to become one."""
        if scope["type"] != "websocket":
            upgrade = RefusedRequestError(426, "upgrade_required", "Upgrade", "", "a WebSocket")
            await refuse(send, upgrade, ((b"upgrade", b"websocket"),))
            return
        await receive()  # the handshake
        try:
            with self.hub.session(caller_of(scope).name) as session:
                offered = scope.get("subprotocols") or ()
                chosen = SUBPROTOCOL if SUBPROTOCOL in offered else None
                await send({"type": "websocket.accept", "subprotocol": chosen})
                await _Conversation(session, self.hub, receive, send).run()
        except TooManyListeners as error:
            await refuse(send, error, kind="websocket.http")


@attrs.define(eq=False)
class _Conversation:
    """One client: its operations are answered in their order, and news come in between."""

    session: Session
    hub: Hub
    _receive: Receive
    _send: Send
    _lock: trio.Lock = attrs.field(factory=trio.Lock, init=False)
    _closed: bool = attrs.field(default=False, init=False)
    _allowance: float = attrs.field(default=float(BURST), init=False)
    _counted_at: float = attrs.field(factory=trio.current_time, init=False)

    async def run(self) -> None:
        """Listen and tell until either side ends it."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._tell)
            nursery.start_soon(self._end)
            await self._listen()
            nursery.cancel_scope.cancel()

    async def _tell(self) -> None:
        while True:
            message = await self.session.next()
            async with self._lock:
                await self._text(message.text)
            # A client that has gone is noticed elsewhere, for which there has to be an occasion.
            await trio.lowlevel.checkpoint()

    async def _end(self) -> None:
        await self.hub.stopping.wait()
        await self._close(GOING_AWAY, "the daemon stops")

    async def _listen(self) -> None:
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                return
            wrong = self._wrong(message)
            if wrong is not None:
                await self._close(*wrong)
                return
            async with self._lock:  # before its news
                await self._text(self._answer(message["text"]))

    def _wrong(self, message: Message) -> tuple[int, str] | None:
        """Return why a frame ends the conversation, None where it does not."""
        now = trio.current_time()
        self._allowance = min(float(BURST), self._allowance + (now - self._counted_at) * OPERATIONS) - 1
        self._counted_at = now
        if self._allowance < 0:
            return POLICY, f"more than {OPERATIONS} operations a second"
        text = message.get("text")
        if text is None:
            return UNSUPPORTED, "operations are JSON in text frames"
        if len(text) > MOST_OPERATION:
            return TOO_BIG, f"an operation has at most {MOST_OPERATION} characters"
        return None

    async def _text(self, text: str) -> None:
        if not self._closed:
            await self._send({"type": "websocket.send", "bytes": None, "text": text})

    async def _close(self, code: int, reason: str) -> None:
        async with self._lock:
            if not self._closed:
                self._closed = True
                await self._send({"type": "websocket.close", "code": code, "reason": reason})

    # --- operations ---

    def _answer(self, text: str) -> str:
        given: dict[str, Any] = {}
        try:
            given = _object(text)
            answer = {"ok": True, **self._done(given)}
        except QuestionError as error:
            answer = {"ok": False, "problem": question_problem(error)}
        return msgspec.json.encode({"type": "answer", "id": _id(given), **answer}).decode()

    def _done(self, given: Mapping[str, Any]) -> dict[str, Any]:
        rest = {name: value for name, value in given.items() if name not in ("op", "id")}
        match given.get("op"):
            case None:
                raise MissingParameter("op", None, f"one of {', '.join(OPERATIONS_KNOWN)}")
            case "subscribe":
                parameters = {name: written(name, value) for name, value in rest.items()}
                return {"op": "subscribe", **self.session.subscribe(parameters)}
            case "unsubscribe":
                number = rest.get("subscription")
                if not isinstance(number, int) or isinstance(number, bool):
                    raise QuestionError("subscription", str(number), "the number of a subscription")
                self.session.unsubscribe(number)
                return {"op": "unsubscribe", "subscription": number}
            case "list":
                return {"op": "list", "subscriptions": self.session.listed()}
            case "ping":
                return {"op": "ping"}
            case other:
                raise QuestionError("op", str(other), nearest(str(other)[:40], OPERATIONS_KNOWN))


def _object(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        expected = 'a JSON object, such as {"op": "ping", "id": 1}'
        raise RefusedRequestError(400, "bad_operation", "the operation", text[:80], expected) from None


def _id(given: Mapping[str, Any]) -> str | int | None:
    """Return the id that an answer repeats: text or a number, of no great length."""
    found = given.get("id")
    if isinstance(found, str):
        return found[:64]
    return found if isinstance(found, int) and abs(found) < 1 << 53 else None
