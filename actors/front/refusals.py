"""Refusals by applications that speak ASGI themselves."""

from collections.abc import Sequence

import msgspec

from actors.front.limits import Send
from actors.front.problems import CONTENT_TYPE, question_problem
from wadm.questions import QuestionError


async def refuse(
    send: Send, error: QuestionError, more: Sequence[tuple[bytes, bytes]] = (), kind: str = "http"
) -> None:
    """Answer with a problem; ``kind`` is ``websocket.http`` for a WebSocket that was not accepted yet."""
    body = msgspec.json.encode(question_problem(error))
    headers = [
        (b"content-type", CONTENT_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *more,
    ]
    if kind != "http":
        headers.append((b"connection", b"close"))  # after an upgrade that failed it serves nothing more
    await send({"type": f"{kind}.response.start", "status": error.status, "headers": headers})
    await send({"type": f"{kind}.response.body", "body": body, "more_body": False})
