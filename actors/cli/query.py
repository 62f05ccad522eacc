"""``wadm query``: ask a question of a data directory, or of a running daemon."""

import argparse
import sys
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

import msgspec

from actors.answers.stored import Stored
from actors.storage.reader import DataReader
from wadm.answers.asking import WINDOWS
from wadm.answers.question import Question
from wadm.answers.registry import QUESTIONS
from wadm.mistakes import Mistake

#: Seconds a daemon has to answer.
TIMEOUT = 20.0


class QueryError(Mistake):
    """A daemon that cannot be asked, or did not answer; one sentence."""


def add_to(commands: Any) -> None:
    """Declare the command and, under it, every question."""
    parser = commands.add_parser("query", help="ask a data directory or a running daemon about the market")
    questions = parser.add_subparsers(metavar="QUESTION", required=True)
    for question in QUESTIONS.values():
        _add(questions, question)


def _add(questions: Any, question: Question) -> None:
    parser = questions.add_parser(question.name, help=question.title, description=question.title)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--data-dir", type=Path, metavar="DIR", help="what a daemon stored, running or not")
    where.add_argument("--url", help="a running daemon, such as http://127.0.0.1:8920")
    parser.add_argument("--exchange", required=True)
    parser.add_argument("--symbol", required=True)
    parser.add_argument("--timeframe", help=f"the latest window of {', '.join(WINDOWS)}")
    parser.add_argument("--session", metavar="HH:MM@ZONE", help="when a session begins (default: 00:00@UTC)")
    parser.add_argument("--start", help="ISO 8601")
    parser.add_argument("--end", help="ISO 8601")
    for parameter in question.parameters:
        flag, default = f"--{parameter.name.replace('_', '-')}", parameter.default
        shown = "" if default is None else f" (default: {default})"
        parser.add_argument(flag, metavar="X", help=f"{parameter.meaning}: {parameter.expected}{shown}")
    parser.add_argument(
        "--recompute",
        action="store_true",
        help="answer again from the stored bars, and say whether it agrees",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run, question=question)


def run(arguments: argparse.Namespace) -> int:
    """Ask and print the answer; 1 where it was recomputed and does not agree."""
    question: Question = arguments.question
    names = ["exchange", "symbol", "timeframe", "session", "start", "end"]
    names += [parameter.name for parameter in question.parameters]
    given = {name: value for name in names if (value := getattr(arguments, name)) is not None}
    if arguments.data_dir is not None:
        answer = _stored(arguments.data_dir, question, given, recompute=arguments.recompute)
    else:
        answer = _running(arguments.url, question, given, recompute=arguments.recompute)
    coverage: Any = answer["coverage"]
    answer = {**answer, "gaps": coverage["gaps"]}
    if arguments.json:
        print(msgspec.json.encode(answer).decode())
    else:
        _print(answer)
    again: Any = answer.get("recomputed")
    if again is None or again["agrees"]:
        return 0
    print(f"recomputed from the stored bars, it differs in {', '.join(again['differs'])}", file=sys.stderr)
    return 1


def _stored(
    directory: Path, question: Question, given: dict[str, str], *, recompute: bool
) -> dict[str, object]:
    reader = DataReader.open(directory)
    try:
        return Stored(reader).ask(question, given, recompute=recompute)
    finally:
        reader.close()


def _running(url: str, question: Question, given: dict[str, str], *, recompute: bool) -> dict[str, object]:
    if urlsplit(url).scheme not in ("http", "https"):
        raise QueryError(f"--url is {url!r}; expected a daemon's address, such as http://127.0.0.1:8920")
    query = urlencode(given | ({"recompute": "true"} if recompute else {}))
    request = Request(f"{url.rstrip('/')}/api/v1/{question.path}?{query}")
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
        return str(msgspec.json.decode(body)["error"]["message"])
    except (msgspec.DecodeError, LookupError, TypeError):
        return None


def _print(answer: dict[str, object]) -> None:
    """Print what has one value a line, and how many there are of what is a list."""
    for name, value in answer.items():
        if isinstance(value, list):
            print(f"{name:20} {len(value)} (all of them with --json)")
        elif isinstance(value, dict):
            for inner, one in value.items():
                print(f"{name + '.' + inner:20} {one if not isinstance(one, list) else len(one)}")
        else:
            print(f"{name:20} {value}")
