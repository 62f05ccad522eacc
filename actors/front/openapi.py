"""What OpenAPI 3.1 says of this server: every path with its parameters, answers and problems."""

from collections.abc import Iterator, Sequence
from typing import Any

import wadm
from actors.front import events, websocket
from actors.front.formats import Format
from actors.front.problems import CONTENT_TYPE
from actors.front.routes import Described, Route
from actors.live.channels import NAMES

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
_OBJECT: Schema = {"type": "object"}

_GAP: Schema = {
    "type": "object",
    "description": "Trades that are missing: which, since when, and in what state",
}

_COVERAGE: Schema = {
    "type": "object",
    "description": "What the answer rests on",
    "properties": {
        "state": {"enum": ["final", "provisional"]},
        "start": _TEXT_OR_NULL,
        "end": _TEXT_OR_NULL,
        "completeness": _TEXT,
        "gaps": {"type": "array", "items": _GAP},
        "sources": {"type": "array", "items": _TEXT},
        "epoch": {"type": ["integer", "null"]},
        "warming": {"type": "boolean"},
    },
}

_ANSWER: Schema = {
    "type": "object",
    "description": "Numbers are decimals as text, times ISO 8601 in UTC; null where there is no value",
    "properties": {
        "exchange": _TEXT,
        "symbol": _TEXT,
        "timeframe": _TEXT_OR_NULL,
        "start": _TEXT,
        "end": _TEXT,
        "algorithm": _TEXT,
        "parameters": _OBJECT,
        "next": {**_TEXT_OR_NULL, "description": "The cursor of the next page"},
        "coverage": {"$ref": "#/components/schemas/Coverage"},
    },
}

_PROBLEM: Schema = {
    "type": "object",
    "description": "Problem details, RFC 9457",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": _TEXT,
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": {**_TEXT, "description": "One sentence: what is wrong, what was expected, what to do"},
        "code": {**_TEXT, "description": "Stable, for programs"},
        "parameter": _TEXT_OR_NULL,
        "value": _TEXT_OR_NULL,
        "expected": _TEXT_OR_NULL,
    },
}

_KEY: Schema = {
    "type": "object",
    "required": ["id", "name", "permission", "state"],
    "properties": {"id": _TEXT, "name": _TEXT, "permission": _TEXT, "state": _TEXT, "key": _TEXT},
}

_NAME = {"name": "name", "in": "path", "required": True, "schema": _TEXT, "description": "A key's name or id"}

#: Parameters of the stream: of some channels each, but for the first two.
_STREAM = (
    Described("exchange", "Exchange, as /api/v1/symbols lists it", required=True),
    Described("symbol", "Symbol, as /api/v1/symbols lists it", required=True),
    Described("cursor", "trades: go on behind this; Last-Event-ID goes before"),
    Described("start", "trades: begin with the first at this time or later, ISO 8601"),
    Described("limit", "trades, bars: how many of the newest come first", {"type": "integer", "minimum": 1}),
    Described("timeframe", "profile, flow: the window that develops; required there"),
    Described("session", "profile, flow: where sessions begin, such as 09:30@America/New_York"),
    Described("row_size", "profile: height of its rows, or auto (the default)"),
    Described("value_area", "profile: share of the volume in the value area"),
    Described("method", "profile: how the value area is found"),
    Described("levels", "depth: levels of each side", {"type": "integer", "minimum": 1, "maximum": 200}),
)

#: Problems that any path may answer with.
_REFUSALS = {
    "400": "A parameter is missing, unknown, repeated or in conflict with another",
    "401": "A key is required, or the one shown does not work",
    "403": "The key does not allow this, or the request comes from another site",
    "404": "The exchange, the symbol or the path is not known",
    "405": "The path does not take this method",
    "406": "The answer has no such representation",
    "408": "The request's body did not arrive in time",
    "409": "It cannot be done as things stand",
    "413": "The request's body is too large",
    "415": "The body is not application/json",
    "421": "Host is not a name of this server",
    "422": "A parameter's value cannot be used",
    "429": "Too many requests within a minute",
    "500": "Something went wrong inside the daemon",
    "503": "The answer cannot be had at the moment",
}


def describe(known: Sequence[Route]) -> Schema:
    """Return the description of these routes, and of the few that change something."""
    paths: dict[str, Schema] = {route.path: {"get": _operation(route)} for route in known}
    for path, method, operation in _changes():
        paths.setdefault(path, {})[method] = operation
    paths[events.PATH] = {"get": _stream()}
    paths |= dict(_watching())
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "WADM",
            "version": wadm.__version__,
            "summary": "Exact volume profiles and order flow of crypto markets, with their coverage stated",
        },
        "security": [{"bearer": []}, {"key": []}, {}],
        "paths": paths,
        "components": {
            "schemas": {"Answer": _ANSWER, "Coverage": _COVERAGE, "Problem": _PROBLEM, "Key": _KEY},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
            "responses": {status: _problem(says) for status, says in _REFUSALS.items()},
        },
    }


def _operation(route: Route) -> Schema:
    schema = _ref("Answer") if route.windowed else _OBJECT
    content: Schema = {str(one): {"schema": schema} for one in (Format.JSON, Format.MSGPACK)}
    if route.table:
        content[str(Format.CSV)] = {"schema": {**_TEXT, "description": f"The rows of `{route.table}`"}}
    return {
        "operationId": route.path.rpartition("/")[2].replace("-", "_"),
        "summary": route.summary,
        "parameters": [_parameter(one) for one in route.parameters],
        "responses": {"200": {"description": "The answer", "content": content}, **_refusals()},
    }


def _parameter(one: Described) -> Schema:
    return {
        "name": one.name,
        "in": "query",
        "required": one.required,
        "description": one.meaning,
        "schema": dict(one.schema),
    }


def _changes() -> Iterator[tuple[str, str, Schema]]:
    """Yield what is not a question: (path, method, operation)."""
    text = {"type": "string", "minLength": 1, "maxLength": 40}
    followed = {"type": "object", "required": ["exchange", "symbol"],
                "properties": {"exchange": text, "symbol": text}, "additionalProperties": False}  # fmt: skip
    wanted = {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$"},
            "permission": {"enum": ["read", "write", "admin"], "default": "read"},
            "days": {"type": ["integer", "null"], "minimum": 1, "maximum": 365, "default": 30},
        },
        "additionalProperties": False,
    }
    place = [
        {"name": name, "in": "path", "required": True, "schema": _TEXT} for name in ("exchange", "symbol")
    ]
    keys = {"type": "object", "properties": {"keys": {"type": "array", "items": _ref("Key")}}}
    added = {"200": "It was followed already", "201": "It is followed from now on"}
    yield "/api/v1/symbols", "post", _change("add_symbol", "Follow a symbol", added, _OBJECT, body=followed)
    yield (
        "/api/v1/symbols/{exchange}/{symbol}",
        "delete",
        _change("remove_symbol", "Follow a symbol no longer", {"200": "Done"}, _OBJECT, place),
    )
    yield "/api/v1/keys", "get", _change("keys", "The API keys, without their secrets", {"200": "Keys"}, keys)
    made = {"201": "The key; its secret is shown this once"}
    yield "/api/v1/keys", "post", _change("create_key", "Make an API key", made, _ref("Key"), body=wanted)
    yield (
        "/api/v1/key-renewal",
        "post",
        _change("renew_key", "Renew the key that is shown", made, _ref("Key")),
    )
    yield (
        "/api/v1/keys/{name}/rotation",
        "post",
        _change("rotate_key", "Make a key's successor", made, _ref("Key"), [_NAME]),
    )
    ended = {"200": "The keys that were ended"}
    yield "/api/v1/keys/{name}", "delete", _change("revoke_key", "End a key at once", ended, keys, [_NAME])
    chosen = [
        _parameter(Described("since", "From when, ISO 8601")),
        _parameter(Described("action", "Only this action")),
        _parameter(Described("who", "Only this one")),
        _parameter(Described("after", "Only lines past this one", {"type": "integer", "minimum": 0})),
        _parameter(Described("limit", "Lines", {"type": "integer", "minimum": 0, "maximum": 500})),
    ]
    yield "/api/v1/audit", "get", _change("audit", "The audit log", {"200": "Lines"}, _OBJECT, chosen)


def _watching() -> Iterator[tuple[str, Schema]]:
    """Yield what is there for those who watch over the daemon; none of the first three needs a key."""
    told = {"200": "As it should be", "503": "Not so; the reasons stand in it"}
    for path, name, summary in (
        ("/health", "health", "What works, what does not, and why"),
        ("/health/live", "live", "Whether the daemon runs"),
        ("/health/ready", "ready", "Whether it can answer what it is asked"),
    ):
        operation = _change(name, summary, {}, _OBJECT)
        content = {str(Format.JSON): {"schema": _OBJECT}}
        operation["responses"] |= {
            status: {"description": says, "content": content} for status, says in told.items()
        }
        yield path, {"get": operation}
    text = {"schema": {**_TEXT, "description": "Prometheus' text format, or OpenMetrics"}}
    metrics = _change("metrics", "Figures for Prometheus", {}, _OBJECT)
    content = {"text/plain": text, "application/openmetrics-text": text}
    metrics["responses"] |= {"200": {"description": "Every figure", "content": content}}
    yield "/metrics", {"get": metrics}


def _stream() -> Schema:
    """Return what is said of the stream, and of the WebSocket that tells the same."""
    text = {"schema": {**_TEXT, "description": "Server-sent events; each one's data is a message, as JSON"}}
    return {
        "operationId": "stream",
        "summary": "What happens, as it happens: server-sent events",
        "description": f"{events.__doc__}\n\n{websocket.__doc__}",
        "parameters": [
            {
                "name": "channel",
                "in": "query",
                "required": True,
                "description": "One or more channels",
                "schema": {"type": "array", "items": {"enum": list(NAMES)}, "minItems": 1},
                "explode": True,
            },
            *(_parameter(one) for one in _STREAM),
        ],
        "responses": {
            "200": {"description": "Events, without end", "content": {"text/event-stream": text}},
            **_refusals(),
        },
    }


def _change(
    name: str,
    summary: str,
    answers: dict[str, str],
    schema: Schema,
    parameters: Sequence[Schema] = (),
    *,
    body: Schema | None = None,
) -> Schema:
    content = {str(Format.JSON): {"schema": schema}}
    operation: Schema = {
        "operationId": name,
        "summary": summary,
        "parameters": list(parameters),
        "responses": {
            **{status: {"description": says, "content": content} for status, says in answers.items()},
            **_refusals(),
        },
    }
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {str(Format.JSON): {"schema": body}}}
    return operation


def _refusals() -> Schema:
    return {status: {"$ref": f"#/components/responses/{status}"} for status in _REFUSALS}


def _problem(says: str) -> Schema:
    return {"description": says, "content": {CONTENT_TYPE: {"schema": _ref("Problem")}}}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}
