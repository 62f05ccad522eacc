"""``python -m actors.playback CAPTURE… --exchange NAME``: the local exchange server."""

import signal

# Until the server handles it, an interrupt ends the process without a traceback.
signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse  # noqa: E402  # the line above comes first
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

import trio  # noqa: E402

from actors.playback.capture import read_capture  # noqa: E402
from actors.playback.dialects import DIALECTS  # noqa: E402
from actors.playback.faults import Script, read_faults, read_marks  # noqa: E402
from actors.playback.player import parse_speed  # noqa: E402
from actors.playback.server import serve  # noqa: E402
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
    parser.add_argument("--ping-interval", type=float, metavar="S", help="seconds (default: the exchange's)")
    parser.add_argument("--faults", type=Path, metavar="FILE", help="what goes wrong, and when: a JSON list")
    parser.add_argument(
        "--marks", type=Path, metavar="FILE", help="frames to tell of: a JSON list of indexes"
    )
    return parser


async def _run(arguments: argparse.Namespace) -> None:
    await serve(
        read_capture(arguments.captures),
        DIALECTS[arguments.exchange],
        speed=parse_speed(arguments.speed),
        port=arguments.port,
        start_after=arguments.start_after,
        ping_interval=arguments.ping_interval,
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
