"""Has the hot path become dearer? Counts instructions, never seconds (``just regression``, ``.ci/run``).

Recorded trades are decoded, folded and encoded for the journal in child processes under valgrind
(``regression_work.py``), each step in a child of its own that does what the one before it does as well; the
difference is what the step takes. Divided by what it takes in the same interpreter to decode the same frames
with msgspec and sum their volume, that is a ratio that holds on other machines, and nearly so with other
builds of Python. ``regression.json`` keeps what the ratios were, for every minor version of Python: one that
is more than ``TOLERANCE`` above, and by more than ``SLACK`` of its whole case, ends in exit code 1.

A change that is meant to cost more, or has made it cheaper, renews the file: ``--renew`` with each version of
Python. Without valgrind nothing is checked, and a line that begins with SKIPPED says so.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

HERE = Path(__file__).parent
WORK = HERE / "regression_work.py"
BASELINE = HERE / "regression.json"

#: Case, as ``regression_work.py`` knows it -> exchange and trades.
CASES = {
    "binance_usdm, runs of 300": ("binance_usdm", 21_000),
    "binance_usdm, singly": ("binance_usdm", 6_000),
    "bybit x8, runs of 60": ("bybit", 21_120),
}
#: The first is what every child does; the others do so and more.
STEPS = ("prepare", "decode", "fold", "encode")
REFERENCE = "reference"

#: By how much a ratio may be above its baseline. The same Python counts the same to 0.1 %; with another build
#: of the same minor version the whole differs by some 2 %, and a small step by more.
TOLERANCE, SLACK = 0.10, 0.03

#: Step -> the ratio of its instructions to the reference's.
Ratios = dict[str, float]


# --- counting ---


def count(step: str, case: str, frames: Path) -> int:
    """Return how many instructions a child takes. Raises SystemExit where it fails."""
    valgrind = ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")
    told = _run(*valgrind, sys.executable, str(WORK), step, case, str(frames))
    counted = re.search(r"I\s+refs:\s+([\d,]+)", told.stderr)
    if counted is None:
        raise SystemExit(f"regression: valgrind counted no instructions; it said: {told.stderr[-500:]}")
    return int(counted[1].replace(",", ""))


def _run(*command: str) -> "subprocess.CompletedProcess[str]":
    # Sets of names are walked in the order of their hashes: the same in every child.
    told = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONHASHSEED": "0"}
    )
    if told.returncode:
        raise SystemExit(
            f"regression: {' '.join(command)} ended with {told.returncode}: {told.stderr[-2000:]}"
        )
    return told


def measure() -> dict[str, Ratios]:
    """Return every case's ratios."""
    import load  # noqa: PLC0415  # reads and writes the recordings: not for those who want the arithmetic alone

    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as children:
        counting = {}
        for place, (case, (exchange, trades)) in enumerate(CASES.items()):
            frames = Path(folder, str(place))
            frames.write_bytes(b"\n".join(load.texts(exchange, trades)))
            _try(case, frames, trades)
            for step in (*STEPS, REFERENCE):
                counting[case, step] = children.submit(count, step, case, frames)
        return {
            case: ratios({step: counting[case, step].result() for step in (*STEPS, REFERENCE)})
            for case in CASES
        }


def _try(case: str, frames: Path, trades: int) -> None:
    """Do all of it once without counting: is it right, and are the modules compiled to bytecode?"""
    told = _run(sys.executable, str(WORK), STEPS[-1], case, str(frames))
    if int(told.stdout) != trades:
        raise SystemExit(f"regression: {case} came to {told.stdout.strip()} trades of {trades}")


# --- arithmetic ---


def ratios(counts: Mapping[str, int]) -> Ratios:
    """Return what each step takes more than the one before it, and all of them, in references."""
    unit = counts[REFERENCE] - counts[STEPS[0]]
    found = {step: (counts[step] - counts[before]) / unit for before, step in pairwise(STEPS)}
    return found | {"all": (counts[STEPS[-1]] - counts[STEPS[0]]) / unit}


def verdict(step: str, ratio: float, baseline: Ratios) -> str:
    """Return ``worse``, ``better``, ``as before``, or ``new`` where there is nothing to compare with."""
    if step not in baseline:
        return "new"
    allowed = max(TOLERANCE * baseline[step], SLACK * baseline["all"])
    if ratio > baseline[step] + allowed:
        return "worse"
    return "better" if ratio < baseline[step] - allowed else "as before"


def table(found: Mapping[str, Ratios], baseline: Mapping[str, Ratios]) -> tuple[list[str], set[str]]:
    """Return the lines to print, and the verdicts that are among them."""
    lines, verdicts = [f"  {'in references':36}{'now':>8}{'baseline':>10}{'change':>9}"], set()
    for case, steps in found.items():
        for step, ratio in steps.items():
            before = baseline.get(case, {}).get(step)
            verdicts.add(judged := verdict(step, ratio, baseline.get(case, {})))
            compared = f"{'-':>10}{'-':>9}" if before is None else f"{before:10.3f}{ratio / before - 1:+9.1%}"
            lines.append(f"  {f'{case}: {step}':36}{ratio:8.3f}{compared}  {judged}")
    return lines, verdicts


# --- the command ---


def main(measured: Callable[[], dict[str, Ratios]] = measure, path: Path = BASELINE) -> int:
    """Measure and compare, or renew."""
    parser = argparse.ArgumentParser(
        prog="regression", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--renew", action="store_true", help="keep what is measured as the new baseline")
    arguments = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("SKIPPED: the hot path's instructions were not counted, valgrind is not installed")
        return 2 if arguments.renew else 0
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    kept: dict[str, dict[str, Ratios]] = json.loads(path.read_text()) if path.exists() else {}
    found = measured()
    lines, verdicts = table(found, kept.get(version, {}))
    print(f"Python {version}", *lines, sep="\n")
    if arguments.renew:
        kept[version] = {
            case: {step: round(one, 4) for step, one in steps.items()} for case, steps in found.items()
        }
        path.write_text(json.dumps(dict(sorted(kept.items())), indent=2) + "\n")
        print(f"{path.name} now has these figures for Python {version}")
        return 0
    return _conclude(version, version in kept, verdicts)


def _conclude(version: str, known: bool, verdicts: set[str]) -> int:
    renewing = "`just regression --renew`"
    if "worse" in verdicts:
        print(f"the hot path takes over {TOLERANCE:.0%} more than before; if that is meant: {renewing}")
        return 1
    if not known:
        print(f"SKIPPED: there is no baseline for Python {version}; {renewing} makes one")
    elif verdicts & {"better", "new"}:
        print(f"something is better or new; so that it stays so: {renewing}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
