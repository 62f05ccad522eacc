"""Reading the requests of Binance's WebSocket streams.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
"""

from collections.abc import Sequence

import msgspec

from actors.playback.payload import BROKEN

_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")


class RefusedError(Exception):
    """A request that Binance answers with an error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def decode(text: str) -> dict[str, object]:
    """Read a request. Raises RefusedError."""
    try:
        request: object = msgspec.json.decode(text)
    except BROKEN:
        raise RefusedError(3, "Invalid JSON: expected value at line 1 column 1") from None
    if not isinstance(request, dict):
        raise RefusedError(2, "Invalid request: expected an object")
    return request


def read_id(request: dict[str, object], *, strict: bool) -> object:
    """Return a request's id, which must be an unsigned integer where ``strict``. Raises RefusedError."""
    request_id = request.get("id")
    is_unsigned = isinstance(request_id, int) and not isinstance(request_id, bool) and request_id >= 0
    if is_unsigned or (not strict and (request_id is None or isinstance(request_id, str))):
        return request_id
    raise RefusedError(2, "Invalid request: request ID must be an unsigned integer")


def read_method(request: dict[str, object]) -> str:
    """Return what is asked for. Raises RefusedError."""
    method = request.get("method")
    if method is None:
        raise RefusedError(2, "Invalid request: missing field `method` at line 1 column 1")
    if not isinstance(method, str) or method not in _METHODS:
        known = ", ".join(f"`{name}`" for name in _METHODS)
        raise RefusedError(2, f"Invalid request: unknown variant `{method}`, expected one of {known}")
    return method


def read_names(params: Sequence[object]) -> list[str]:
    """Return the streams that are named. Raises RefusedError."""
    names = [name for name in params if isinstance(name, str)]
    if len(names) < len(params):
        raise RefusedError(2, "Invalid request: stream names must be strings")
    return names
