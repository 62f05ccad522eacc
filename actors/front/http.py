"""The door for programs and people: REST under ``/api/v1``, ``/health``, and pages at ``/`` and ``/docs``."""

import hashlib
import logging
from collections.abc import Mapping
from typing import Any

import msgspec
import trio
from quart import Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from actors.access.access import Access
from actors.front import openapi, page
from actors.front.admin import add_admin
from actors.front.door import Door
from actors.front.formats import Format, check_table, encode, not_acceptable
from actors.front.metrics import add_metrics
from actors.front.paging import Page
from actors.front.problems import CONTENT_TYPE, RepeatedParameterError, problem, question_problem
from actors.front.routes import Route, routes
from actors.front.symbols import add_symbols
from actors.metrics.scrape import Scrape
from wadm.questions import QuestionError, Unavailable

log = logging.getLogger(__name__)

#: No question waits longer than this (s).
ANSWER_TIMEOUT = 15.0

#: Seconds for which an answer about a window that is over may be kept: gaps in it may be filled later.
FINAL = 300

Answer = dict[str, Any]


def create_app(queries: Door, access: Access, scrape: Scrape) -> QuartTrio:
    """Return the application that answers from ``queries``; ``scrape`` makes the metrics."""
    app = QuartTrio(__name__, static_folder=None)
    app.url_map.merge_slashes = False
    known = routes(queries)
    _add_page(app, "/", "status.html")
    _add_page(app, "/docs", "api.html")
    _add_description(app, known)
    _add_health(app, queries)
    add_metrics(app, scrape)
    for route in known:
        _add_route(app, route)
    add_symbols(app, queries.choosing, access.audit)
    add_admin(app, access)
    _add_errors(app)
    app.after_request(_harden)
    return app


def _add_page(app: QuartTrio, path: str, file: str) -> None:
    shown = page.load(file)

    async def view() -> Response:
        response = Response(shown.body, content_type="text/html; charset=utf-8")
        response.headers["Content-Security-Policy"] = shown.policy
        response.headers["Cache-Control"] = "no-cache"
        response.set_etag(shown.etag)
        await response.make_conditional(request)
        return response

    app.add_url_rule(path, file, view)


def _add_description(app: QuartTrio, known: list[Route]) -> None:
    body = msgspec.json.encode(openapi.describe(known))

    async def description() -> Response:
        return Response(body, content_type="application/json")

    app.add_url_rule("/openapi.json", "openapi", description)


def _add_health(app: QuartTrio, queries: Door) -> None:
    async def health() -> Response:
        answer = queries.health()
        return await _json(answer, 503 if answer.get("status") == "unhealthy" else 200)

    async def live() -> Response:
        return await _json({"status": "live"})

    async def ready() -> Response:
        answer = queries.ready()
        return await _json(answer, 503 if answer["reasons"] else 200)

    app.add_url_rule("/health", "health", health)
    app.add_url_rule("/health/live", "live", live)
    app.add_url_rule("/health/ready", "ready", ready)


# --- questions ---


def _add_route(app: QuartTrio, route: Route) -> None:
    async def view() -> Response:
        chosen = _format()
        check_table(chosen, route.table)
        given = _parameters()
        wanted = Page.read(given) if route.windowed and route.table else None
        try:
            with trio.fail_after(ANSWER_TIMEOUT):
                answer = await route.ask(given)
                if wanted is not None:
                    answer = wanted.cut(answer, str(route.table))
                return await _answer(answer, chosen, route.table)
        except trio.TooSlowError:
            raise Unavailable("the answer", f"it took longer than {ANSWER_TIMEOUT:g} s") from None

    app.add_url_rule(route.path, route.path, view)


def _parameters() -> dict[str, str]:
    """Return the query string's parameters, each given once."""
    given = request.args
    for name in given:
        if len(values := given.getlist(name)) > 1:
            raise RepeatedParameterError(name, values[1], f"a single value, but {len(values)} were given")
    return given.to_dict()


def _format() -> Format:
    """Return the media type that the asker likes best; JSON where he does not say."""
    accept = request.headers.get("Accept")
    if not accept:
        return Format.JSON
    best = request.accept_mimetypes.best_match([str(one) for one in Format])
    if best is None:
        raise not_acceptable(accept, Format)
    return Format(best)


async def _answer(answer: Mapping[str, Any], chosen: Format, table: str | None) -> Response:
    body = await encode(answer, chosen, table)
    response = Response(
        body, content_type=f"{chosen}; charset=utf-8" if chosen is Format.CSV else str(chosen)
    )
    response.headers["Vary"] = "Accept, Authorization, X-API-Key"
    coverage: Any = answer.get("coverage") or {}
    if chosen is Format.CSV:
        # What a table rests on, and where it goes on, cannot stand in the table.
        response.headers["X-Coverage"] = msgspec.json.encode(coverage).decode()[:4_000]
        if answer.get("next"):
            response.headers["X-Next"] = answer["next"]
    if coverage.get("state") == "final":
        response.headers["Cache-Control"] = f"private, max-age={FINAL}"
        response.set_etag(hashlib.sha256(body).hexdigest()[:32])
        await response.make_conditional(request)
    return response


async def _json(answer: Answer, status: int = 200) -> Response:
    return Response(await encode(answer), status, content_type=str(Format.JSON))


# --- what has no answer ---


def _add_errors(app: QuartTrio) -> None:
    paths = sorted({rule.rule for rule in app.url_map.iter_rules()} | {"/mcp"})

    async def unanswerable(asked: QuestionError) -> Response:
        response = await _problem(question_problem(asked), asked.status)
        if asked.status == 503:
            response.headers["Retry-After"] = "1"
        return response

    async def refused(raised: HTTPException) -> Response:
        status = raised.code or 500
        response = await _problem(_refusal(status, raised, paths), status)
        if allowed := getattr(raised, "valid_methods", None):
            response.headers["Allow"] = ", ".join(sorted(allowed))
        return response

    async def failed(raised: Exception) -> Response:
        log.error("No answer to %s %s", request.method, request.path[:200], exc_info=raised)
        sentence = "Something went wrong inside the daemon, and its log says what. The question may be right."
        return await _problem(problem(500, "internal_error", sentence), 500)

    app.register_error_handler(QuestionError, unanswerable)
    app.register_error_handler(HTTPException, refused)
    app.register_error_handler(Exception, failed)


def _refusal(status: int, raised: HTTPException, paths: list[str]) -> Answer:
    path = request.path[:80]
    if status == 404:
        expected = f"one of {', '.join(paths)}"
        sentence = f"There is nothing at {path!r}; expected {expected}."
        return problem(404, "not_found", sentence, parameter="path", value=path, expected=expected)
    if status == 405:
        expected = f"one of {', '.join(sorted(getattr(raised, 'valid_methods', None) or ['GET']))}"
        sentence = f"{path!r} does not take {request.method[:20]}; expected {expected}."
        method = request.method[:20]
        return problem(
            405, "method_not_allowed", sentence, parameter="method", value=method, expected=expected
        )
    return problem(status, "bad_request", raised.description or raised.name)


async def _problem(body: Answer, status: int) -> Response:
    return Response(await encode(body), status, content_type=CONTENT_TYPE)


async def _harden(response: Response) -> Response:
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
