"""What the benchmarks have in common: captures, rounds in fresh interpreters, and how figures are shown."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def captures(named: Sequence[str], default: Path) -> list[tuple[str, Path]]:
    """Return exchange and file of every EXCHANGE=CAPTURE; the bundled recording where there is none."""
    return [_capture(one) for one in named] or [("binance", default)]


def _capture(named: str) -> tuple[str, Path]:
    exchange, equals, path = named.partition("=")
    if not equals or not Path(path).is_file():
        sys.exit(f"bench: {named} is not EXCHANGE=CAPTURE with a file that exists, such as binance=frames.gz")
    return exchange, Path(path)


def count(text: str) -> int:
    """Check a number of rounds for argparse."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of rounds, 1 or more")
    return int(text)


def in_child(script: str, *arguments: str) -> dict[str, Any]:
    """Play one round in a fresh interpreter, so that no round inherits another's heap."""
    command = [sys.executable, script, "--round", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    if not result["whole"]:
        sys.exit(f"bench: the ledger of a round does not balance, or it was interrupted: {' '.join(command)}")
    return result


def show(about: str | None, unit: str, measure: Callable[[int], dict[str, list[float]]]) -> None:
    """Be the command of a part that ``measure`` measures: so many rounds, a table or one JSON object."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=count, default=9, help="how often each figure is measured (9)")
    parser.add_argument("--json", action="store_true", help="print the medians as one JSON object")
    asked = parser.parse_args()
    figures = measure(asked.rounds)
    if asked.json:
        print(json.dumps({name: statistics.median(values) for name, values in figures.items()}))
        return
    print(machine())
    print(unit)
    print(heading())
    for name, values in figures.items():
        print(line(name, values, 2))


def heading() -> str:
    """Return the head of a table of ``line``."""
    return f"  {'':26}{'median':>10}{'lowest':>10}{'highest':>10}"


def line(name: str, values: Sequence[float], places: int = 0) -> str:
    """Return one figure's median and spread."""
    shown = (statistics.median(values), min(values), max(values))
    return f"  {name:26}" + "".join(f"{value:>10,.{places}f}" for value in shown)


def machine() -> str:
    """Return what the figures were measured on, with a warning where it was busy."""
    cores, (load, _, _) = os.cpu_count() or 1, os.getloadavg()
    system = f"{platform.system()} {platform.machine()}; Python {platform.python_version()}"
    lines = [f"{_processor()}, {cores} cores, load {load:.1f}; {system}"]
    if load > 0.5:
        lines.append(
            f"WARNING: the load average is {load:.1f}; the figures below are those of a busy machine"
        )
    return "\n".join(lines)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    return next(
        (found.partition(":")[2].strip() for found in lines if found.startswith("model name")),
        "unknown processor",
    )
