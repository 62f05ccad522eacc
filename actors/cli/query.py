"""``wadm query``: ask a question of a data directory, or of a running daemon."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

import msgspec

from actors.answers.stored import Stored
from actors.cli.symbols import key_headers
from actors.configuration import load_settings
from actors.storage.errors import JournalUnreadable
from actors.storage.reader import DataReader
from actors.storage.store_reader import StoreReader
from wadm.answers import activity, compare
from wadm.answers.asking import WINDOW, WINDOWS, written
from wadm.answers.question import Parameter
from wadm.answers.registry import QUESTIONS
from wadm.mistakes import Mistake

#: Seconds a daemon has to answer.
TIMEOUT = 20.0


class QueryError(Mistake):
    """A daemon that cannot be asked, or did not answer; one sentence."""


def add_to(parser: argparse.ArgumentParser) -> None:
    """Declare the command and, under it, every question."""
    questions = parser.add_subparsers(metavar="QUESTION", required=True)
    for question in QUESTIONS.values():
        # The activity of all symbols can be asked for at once.
        named = question is not activity.QUESTION
        one = _add(questions, question.name, question.title, question.parameters)
        one.add_argument("--exchange", required=named)
        one.add_argument("--symbol", required=named)
        one.add_argument(
            "--recompute", action="store_true", help="answer again from what is stored: does it agree?"
        )
        one.set_defaults(question=question)
    several = _add(questions, compare.NAME, compare.TITLE, compare.PARAMETERS)
    several.add_argument("--symbol", required=True)
    several.set_defaults(question=None, recompute=False, exchange=None)


def _add(questions: Any, name: str, title: str, parameters: Sequence[Parameter]) -> Any:
    """Declare a question, with what all have in common."""
    parser = questions.add_parser(name, help=title, description=title)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--data-dir", type=Path, metavar="DIR", help="what a daemon stored, running or not")
    where.add_argument("--url", help="a running daemon, such as http://127.0.0.1:8920")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings that name the data's stores")
    parser.add_argument("--timeframe", help=f"the latest window of {', '.join(WINDOWS)}")
    parser.add_argument("--session", metavar="HH:MM@ZONE", help="when a session begins (default: 00:00@UTC)")
    parser.add_argument("--start", help="first moment of the window, ISO 8601, such as 2024-08-08T23:55:00Z")
    parser.add_argument("--end", help="end of the window, not included, ISO 8601")
    for parameter in parameters:
        flag, default = f"--{parameter.name.replace('_', '-')}", written(parameter.default)
        default = ",".join(default) if isinstance(default, list) else default
        shown = "" if default is None else f" (default: {default})"
        meaning = f"{parameter.meaning}: {parameter.expected}{shown}".replace("%", "%%")
        parser.add_argument(flag, metavar="X", help=meaning)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run, parameters=parameters)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Ask and print the answer; 1 where it was made again and does not agree."""
    names = [*WINDOW, *(parameter.name for parameter in arguments.parameters)]
    given = {name: value for name in names if (value := getattr(arguments, name)) is not None}
    ask = _stored if arguments.url is None else _running
    answer = ask(arguments, given)
    coverage: Any = answer.get("coverage", {})
    if "gaps" in coverage:
        answer = {**answer, "gaps": coverage["gaps"]}
    if arguments.json:
        print(msgspec.json.encode(answer).decode())
    else:
        _print(answer)
    again: Any = answer.get("recomputed")
    if again is None or again["agrees"]:
        return 0
    print(f"made again from what is stored, it differs in {', '.join(again['differs'])}", file=sys.stderr)
    return 1


def _stored(arguments: argparse.Namespace, given: dict[str, str]) -> dict[str, object]:
    reader = DataReader.open(arguments.data_dir, load_settings(arguments.config, {}).storage)
    try:
        return _answered(Stored(reader), arguments, given)
    except JournalUnreadable as error:
        if reader.store is None:
            raise
        print(f"wadm query: {error}; this is answered from the warm store alone", file=sys.stderr)
        return _answered(Stored(StoreReader(reader.store)), arguments, given)
    finally:
        reader.close()


def _answered(stored: Stored, arguments: argparse.Namespace, given: dict[str, str]) -> dict[str, object]:
    if arguments.question is None:
        return stored.compare(given)
    if arguments.question is activity.QUESTION and "symbol" not in given:
        return stored.activity(given)
    return stored.ask(arguments.question, given, recompute=arguments.recompute)


def _running(arguments: argparse.Namespace, given: dict[str, str]) -> dict[str, object]:
    url = arguments.url
    if urlsplit(url).scheme not in ("http", "https"):
        raise QueryError(f"--url is {url!r}; expected a daemon's address, such as http://127.0.0.1:8920")
    path = compare.NAME if arguments.question is None else arguments.question.path
    query = urlencode(given | ({"recompute": "true"} if arguments.recompute else {}))
    request = Request(f"{url.rstrip('/')}/api/v1/{path}?{query}", headers=key_headers())
    try:
        with urlopen(request, timeout=TIMEOUT) as answer:
            found: dict[str, object] = msgspec.json.decode(answer.read())
            return found
    except HTTPError as error:
        raise QueryError(_refusal(error.read()) or f"{url} answered {error.code}") from None
    except (URLError, OSError, msgspec.DecodeError) as error:
        reason = getattr(error, "reason", error)
        raise QueryError(f"no daemon answers at {url} ({reason}): start one with `wadm run`") from None


def _refusal(body: bytes) -> str | None:
    """Return the sentence of an error's answer."""
    try:
        return str(msgspec.json.decode(body)["detail"])
    except (msgspec.DecodeError, LookupError, TypeError):
        return None


def _print(answer: Mapping[str, object], under: str = "") -> None:
    """Print what has one value a line, and how many there are of what is a list."""
    for name, value in answer.items():
        if isinstance(value, list):
            print(f"{under + name:20} {len(value)} (all of them with --json)")
        elif isinstance(value, dict):
            _print(value, f"{under}{name}.")
        else:
            print(f"{under + name:20} {value}")
