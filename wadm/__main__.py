"""The console script ``wadm``: makes sure that the packages beside it are its own, and hands over."""

import sys
from importlib.util import find_spec
from pathlib import Path


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


def main() -> int:
    """Run the command line; return the exit status."""
    problem = _foreign()
    if problem:
        print(problem, file=sys.stderr)
        return 1
    from actors.cli import main as command_line  # noqa: PLC0415  # only once the names are known to be ours

    return command_line()


if __name__ == "__main__":
    sys.exit(main())
