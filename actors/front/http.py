"""The door for programs and people: REST under ``/api/v1``, ``/health``, and the status page at ``/``."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import trio
from quart import Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from actors.front import page
from actors.front.door import Door
from actors.front.errors import RepeatedParameterError, error, question_error
from actors.front.json import encode
from actors.front.symbols import add_symbols
from wadm.answers.registry import QUESTIONS
from wadm.questions import QuestionError, Unavailable, UnknownParameter

log = logging.getLogger(__name__)

#: No question waits longer than this (s).
ANSWER_TIMEOUT = 15.0

Parameters = Mapping[str, str]
Answer = dict[str, object]


def create_app(queries: Door) -> QuartTrio:
    """Return the application that answers from ``queries``."""
    app = QuartTrio(__name__, static_folder=None)
    app.url_map.merge_slashes = False
    _add_page(app)
    _add_health(app, queries)
    for question in QUESTIONS.values():
        _add_question(app, f"/api/v1/{question.path}", partial(queries.ask, question))
    _add_question(app, "/api/v1/compare", queries.compare)
    _add_question(app, "/api/v1/depth", queries.depth)
    _add_question(app, "/api/v1/symbols", _without_parameters(queries.symbols))
    add_symbols(app, queries.choosing)
    _add_question(app, "/api/v1/status", _without_parameters(queries.status))
    _add_question(app, "/api/v1/actors", _without_parameters(_soon(queries.actors)))
    _add_errors(app)
    app.after_request(_harden)
    return app


def _add_page(app: QuartTrio) -> None:
    shown = page.load()

    async def index() -> Response:
        response = Response(shown.body, content_type="text/html; charset=utf-8")
        response.headers["Content-Security-Policy"] = shown.policy
        response.headers["Cache-Control"] = "no-cache"
        response.set_etag(shown.etag)
        await response.make_conditional(request)
        return response

    app.add_url_rule("/", "index", index)


def _add_health(app: QuartTrio, queries: Door) -> None:
    async def health() -> Response:
        answer = queries.health()
        return await _json(answer, 503 if answer.get("status") == "unhealthy" else 200)

    app.add_url_rule("/health", "health", health)


def _add_question(app: QuartTrio, path: str, ask: Callable[[Parameters], Awaitable[Answer]]) -> None:
    async def view() -> Response:
        try:
            with trio.fail_after(ANSWER_TIMEOUT):
                return await _json(await ask(_parameters()))
        except trio.TooSlowError:
            raise Unavailable("the answer", f"it took longer than {ANSWER_TIMEOUT:g} s") from None

    app.add_url_rule(path, path, view)


def _parameters() -> dict[str, str]:
    """Return the query string's parameters, each given once."""
    given = request.args
    for name in given:
        if len(values := given.getlist(name)) > 1:
            raise RepeatedParameterError(name, values[1], f"a single value, but {len(values)} were given")
    return given.to_dict()


def _without_parameters(ask: Callable[[], Awaitable[Answer]]) -> Callable[[Parameters], Awaitable[Answer]]:
    async def asked(parameters: Parameters) -> Answer:
        for name, value in parameters.items():
            raise UnknownParameter(name, value, "no parameters here")
        return await ask()

    return asked


def _soon(ask: Callable[[], Answer]) -> Callable[[], Awaitable[Answer]]:
    async def asked() -> Answer:
        return ask()

    return asked


async def _json(answer: Answer, status: int = 200) -> Response:
    return Response(await encode(answer), status, content_type="application/json")


def _add_errors(app: QuartTrio) -> None:
    paths = sorted({rule.rule for rule in app.url_map.iter_rules()} | {"/mcp"})

    async def unanswerable(asked: QuestionError) -> Response:
        response = await _json(question_error(asked), asked.status)
        if asked.status == 503:
            response.headers["Retry-After"] = "1"
        return response

    async def refused(raised: HTTPException) -> Response:
        status = raised.code or 500
        response = await _json(_refusal(status, raised, paths), status)
        if allowed := getattr(raised, "valid_methods", None):
            response.headers["Allow"] = ", ".join(sorted(allowed))
        return response

    async def failed(raised: Exception) -> Response:
        log.error("No answer to %s %s", request.method, request.path[:200], exc_info=raised)
        sentence = "Something went wrong inside the daemon, and its log says what. The question may be right."
        return await _json(error("internal_error", sentence), 500)

    app.register_error_handler(QuestionError, unanswerable)
    app.register_error_handler(HTTPException, refused)
    app.register_error_handler(Exception, failed)


def _refusal(status: int, raised: HTTPException, paths: list[str]) -> Answer:
    path = request.path[:80]
    if status == 404:
        expected = f"one of {', '.join(paths)}"
        return error(
            "not_found", f"There is nothing at {path!r}; expected {expected}.", "path", path, expected
        )
    if status == 405:
        expected = f"one of {', '.join(sorted(getattr(raised, 'valid_methods', None) or ['GET']))}"
        sentence = f"{path!r} does not take {request.method[:20]}; expected {expected}."
        return error("method_not_allowed", sentence, "method", request.method[:20], expected)
    return error("bad_request", raised.description or raised.name)


async def _harden(response: Response) -> Response:
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
