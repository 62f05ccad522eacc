"""Changes to what is followed: ``POST`` and ``DELETE`` under ``/api/v1/symbols``.

They change something, so no page of another origin may bring a browser to send them: a body has to be
``application/json``, which a browser asks leave for first, and the gate lets no foreign Host or Origin pass.
"""

import msgspec
from quart import Response, request
from quart_trio import QuartTrio

from actors.access.audit import Audit
from actors.front.caller import caller_of
from actors.front.door import Choosing
from actors.front.formats import encode
from actors.front.problems import RefusedRequestError
from wadm.keys import Permission

PATH = "/api/v1/symbols"


def add_symbols(app: QuartTrio, choosing: Choosing, audit: Audit) -> None:
    """Add the routes."""

    async def add() -> Response:
        caller = caller_of(request.scope)
        caller.check(Permission.WRITE)
        given = _read(request.mimetype, await request.body)
        answer, fresh = await choosing.add(given)
        await audit.done(caller.name, "symbol_added", f"{answer['exchange']}:{answer['symbol']}")
        return await _json(answer, 201 if fresh else 200)

    async def remove(exchange: str, symbol: str) -> Response:
        caller = caller_of(request.scope)
        caller.check(Permission.WRITE)
        answer = await choosing.remove({"exchange": exchange, "symbol": symbol})
        await audit.done(caller.name, "symbol_removed", f"{answer['exchange']}:{answer['symbol']}")
        return await _json(answer, 200)

    app.add_url_rule(PATH, "add_symbol", add, methods=["POST"])
    app.add_url_rule(f"{PATH}/<exchange>/<symbol>", "remove_symbol", remove, methods=["DELETE"])


def _read(mimetype: str, body: bytes) -> dict[str, object]:
    expected = 'an object such as {"exchange": "binance", "symbol": "SOLUSDT"}, as application/json'
    if mimetype != "application/json":
        raise RefusedRequestError(415, "unsupported_media_type", "content-type", mimetype, expected)
    try:
        return msgspec.json.decode(body, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RefusedRequestError(
            400, "bad_body", "body", body[:80].decode(errors="replace"), expected
        ) from None


async def _json(answer: dict[str, object], status: int) -> Response:
    return Response(await encode(answer), status, content_type="application/json")
