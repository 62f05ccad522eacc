"""``wadm symbols``: which symbols the running daemon follows, and what it shall follow beside them or not."""

import argparse
import os
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2
import msgspec

from wadm.mistakes import Mistake

DEFAULT_URL = "http://127.0.0.1:8920"

#: Seconds to wait for an answer: a change is mostly made within a few.
TIMEOUT = 20.0

Answer = dict[str, Any]


class NoDaemonError(Mistake):
    """Nothing that is a daemon answers at the address."""


class RefusedError(Mistake):
    """The daemon refused what was asked; ``str()`` is its own sentence."""


def add_to(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    below = parser.add_subparsers(dest="what", required=True, metavar="list|add|remove")
    asked = {"list": "show what is followed", "add": "follow symbols", "remove": "follow them no longer"}
    for what, says in asked.items():
        one = below.add_parser(what, help=says)
        one.add_argument(
            "--url", default=DEFAULT_URL, help=f"where the daemon serves (default: {DEFAULT_URL})"
        )
        one.add_argument("--exchange", required=what != "list", help="such as binance")
        one.add_argument("--json", action="store_true", help="print one JSON object")
        if what != "list":
            one.add_argument("symbols", nargs="+", metavar="SYMBOL", help="such as SOLUSDT")
        one.set_defaults(run=_list if what == "list" else _change)


def _list(arguments: argparse.Namespace) -> int:
    """Print the symbols that are followed."""
    with _client(arguments.url) as client:
        answer = _asked(client, "GET", "/api/v1/symbols")
    found = [one for one in answer["symbols"] if arguments.exchange in (None, one["exchange"])]
    if arguments.json:
        _print({"symbols": found})
        return 0
    for one in found:
        print(f"{one['exchange']:14} {one['symbol']:20} {one['state']:24} {one['last_price'] or ''}".rstrip())
    if not found:
        print("No symbol is followed.")
    return 0


def _change(arguments: argparse.Namespace) -> int:
    """Add or remove symbols one by one; what was done before a mistake stays done, and is told."""
    done: list[Answer] = []
    refusal: RefusedError | None = None
    with _client(arguments.url) as client:
        for symbol in arguments.symbols:
            try:
                done.append(_changed(client, arguments.what, arguments.exchange, symbol))
            except RefusedError as error:
                refusal = error
                break
    if arguments.json:
        _print({"symbols": done})
    else:
        for one in done:
            why = f" ({one['reason']})" if one["reason"] else ""
            print(f"{one['exchange']:14} {one['symbol']:20} {one['state']}{why}")
    if refusal is not None:
        raise refusal
    return 0


def _changed(client: httpx2.Client, what: str, exchange: str, symbol: str) -> Answer:
    if what == "add":
        return _asked(client, "POST", "/api/v1/symbols", {"exchange": exchange, "symbol": symbol})
    return _asked(client, "DELETE", f"/api/v1/symbols/{quote(exchange, safe='')}/{quote(symbol, safe='')}")


def key_headers() -> dict[str, str]:
    """Return the header that shows the daemon the key of the environment, if there is one."""
    key = os.environ.get("API_KEY")
    return {"X-API-Key": key} if key else {}


def _client(url: str) -> httpx2.Client:
    if urlsplit(url).scheme not in ("http", "https"):
        raise NoDaemonError(f"--url is {url!r}; expected an address such as {DEFAULT_URL}")
    return httpx2.Client(base_url=url, headers=key_headers(), timeout=TIMEOUT, trust_env=False)


def _asked(client: httpx2.Client, method: str, path: str, body: Answer | None = None) -> Answer:
    """Return the daemon's answer. Raises NoDaemonError or RefusedError."""
    try:
        response = client.request(method, path, json=body)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise NoDaemonError(
            f"no daemon answers at {client.base_url} ({error}); start one with `wadm run`, "
            "or name its address with --url"
        ) from error
    try:
        answer: Answer = msgspec.json.decode(response.content, type=dict[str, Any])
        if response.is_success:
            return answer
        message = answer["detail"]
    except (msgspec.DecodeError, LookupError, TypeError) as error:
        raise NoDaemonError(
            f"what answers at {client.base_url} is no WADM ({response.status_code})"
        ) from error
    raise RefusedError(message)


def _print(answer: Answer) -> None:
    print(msgspec.json.encode(answer).decode())
