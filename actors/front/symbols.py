"""Changes to what is followed: ``POST`` and ``DELETE`` under ``/api/v1/symbols``.

They change something, so no page of another origin may bring a browser to send them: a body has to be
``application/json``, which a browser asks leave for first, and Host and Origin have to be this server's.
"""

from ipaddress import ip_address
from urllib.parse import urlsplit

import msgspec
from quart import Response, request
from quart_trio import QuartTrio

from actors.front.door import Choosing
from actors.front.errors import RefusedRequestError
from actors.front.json import encode

PATH = "/api/v1/symbols"


def add_symbols(app: QuartTrio, choosing: Choosing) -> None:
    """Add the routes."""

    async def add() -> Response:
        _check_sender()
        given = _read(request.mimetype, await request.body)
        answer, fresh = await choosing.add(given)
        return await _json(answer, 201 if fresh else 200)

    async def remove(exchange: str, symbol: str) -> Response:
        _check_sender()
        return await _json(await choosing.remove({"exchange": exchange, "symbol": symbol}), 200)

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


def _check_sender() -> None:
    """Refuse a request that may have been sent through somebody's browser by a page that is not ours."""
    host, origin = request.host, request.headers.get("Origin")
    if not _is_ours(_host_of(f"//{host}")):
        expected = "this machine's address (a page may have been given another name for it)"
        raise RefusedRequestError(421, "foreign_host", "Host", host, expected)
    if origin is not None and not _is_ours(_host_of(origin)):
        raise RefusedRequestError(403, "foreign_origin", "Origin", origin, "none, or this server's own")


def _is_ours(name: str) -> bool:
    """Return whether a host is this machine, or the address where the request came in."""
    server = request.scope.get("server") or ("", 0)
    if name in ("localhost", str(server[0]).lower()):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _host_of(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


async def _json(answer: dict[str, object], status: int) -> Response:
    return Response(await encode(answer), status, content_type="application/json")
