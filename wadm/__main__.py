"""The console script ``wadm``: makes sure that the packages beside it are its own, and hands over."""

import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

#: Commands that end with status 0 when they are interrupted: they run until then.
_ENDLESS = ("demo", "run", "record")


def _foreign() -> str | None:
    """Return a sentence when another distribution owns one of the three import names here."""
    home = Path(__file__).resolve().parent.parent
    for name in ("supervision", "actors"):
        spec = find_spec(name)
        found = Path(spec.origin).resolve().parent.parent if spec and spec.origin else None
        if found != home:
            return (
                f"wadm cannot start: the import name '{name}' belongs to another distribution in this "
                f"environment ({found or 'missing'}); install wadm in an environment of its own."
            )
    return None


def _quit(number: int, _frame: FrameType | None) -> None:
    """End at once, without a traceback: nothing is running yet, or everything has ended."""
    os._exit(0 if sys.argv[1:2] and sys.argv[1] in _ENDLESS else 128 + number)


def main() -> int:
    """Run the command line; return the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _quit)
    problem = _foreign()
    if problem:
        print(problem, file=sys.stderr)
        return 1
    from actors.cli import main as command_line  # noqa: PLC0415  # only once the names are known to be ours

    return command_line()


if __name__ == "__main__":
    sys.exit(main())
