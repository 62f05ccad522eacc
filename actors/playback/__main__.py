"""``python -m actors.playback CAPTURE… --exchange NAME``: the local exchange server."""

import signal

# Until the server handles it, an interrupt ends the process without a traceback.
signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse  # noqa: E402  # the line above comes first
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

import attrs  # noqa: E402
import trio  # noqa: E402

from actors.playback.capture import read_capture  # noqa: E402
from actors.playback.dialect import Dialect  # noqa: E402
from actors.playback.dialects import DIALECTS  # noqa: E402
from actors.playback.faults import Script, read_faults, read_marks  # noqa: E402
from actors.playback.player import parse_speed  # noqa: E402
from actors.playback.server import serve  # noqa: E402
from actors.playback.terms import Terms  # noqa: E402
from wadm.mistakes import Mistake  # noqa: E402


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m actors.playback", description=__doc__)
    parser.add_argument("captures", nargs="+", type=Path, metavar="CAPTURE")
    parser.add_argument("--exchange", required=True, choices=sorted(DIALECTS))
    parser.add_argument(
        "--speed", default="1", help="'max', or how many times the recorded pace (default: 1)"
    )
    parser.add_argument("--port", type=int, default=0, help="default: any free port")
    parser.add_argument("--start-after", type=int, metavar="N", help="streams to wait for (default: all)")
    parser.add_argument(
        "--wait-for-books",
        type=float,
        default=0.0,
        metavar="S",
        help="wait up to so many seconds at each recorded depth snapshot for somebody to fetch the book",
    )
    terms = parser.add_argument_group("terms", "what is asked of clients (default: as the exchange does)")
    terms.add_argument("--ping-interval", type=float, metavar="S", help="seconds between pings")
    terms.add_argument("--idle-timeout", type=float, metavar="S", help="seconds without a message")
    terms.add_argument(
        "--lifetime", type=float, metavar="S", help="seconds of a connection (default: no end)"
    )
    terms.add_argument(
        "--connections", type=int, metavar="N", help="attempts in five minutes (default: any number)"
    )
    terms.add_argument(
        "--weight-limit",
        type=int,
        metavar="N",
        help="weight of REST requests in a minute, or, of Bybit's, number in 5 s (default: any)",
    )
    parser.add_argument("--faults", type=Path, metavar="FILE", help="what goes wrong, and when: a JSON list")
    parser.add_argument(
        "--marks", type=Path, metavar="FILE", help="frames to tell of: a JSON list of indexes"
    )
    return parser


def _dialect(arguments: argparse.Namespace) -> Dialect:
    """Return the exchange's dialect, on the terms that are given."""
    dialect = DIALECTS[arguments.exchange]
    names = (field.name for field in attrs.fields(Terms))
    given = {name: value for name in names if (value := getattr(arguments, name, None)) is not None}
    return attrs.evolve(dialect, terms=attrs.evolve(dialect.terms, **given))


async def _run(arguments: argparse.Namespace) -> None:
    await serve(
        read_capture(arguments.captures),
        _dialect(arguments),
        speed=parse_speed(arguments.speed),
        port=arguments.port,
        start_after=arguments.start_after,
        wait_for_books=arguments.wait_for_books,
        script=Script(
            read_faults(arguments.faults) if arguments.faults else (),
            read_marks(arguments.marks) if arguments.marks else frozenset(),
        ),
    )


def main() -> int:
    """Run the server; 2 where what it was given cannot be used."""
    arguments = _parser().parse_args()
    try:
        trio.run(_run, arguments)
    except (Mistake, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"cannot listen on 127.0.0.1:{arguments.port}: {error.strerror}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
