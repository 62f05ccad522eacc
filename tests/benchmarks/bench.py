"""Every part of the hot path and the whole daemon, in one run: ``just bench [--parts decode,fold] [--json]``.

- ``receive``, ``decode``, ``fold``: from the socket to bars, a thing at a time;
- ``books``: diffs of order books, read and folded;
- ``journal``, ``sinks``: what keeps the trades: encoding, commits, records into the embedded store, raw
  trades into a MongoDB where there is a mongod;
- ``query``: answers from a day in memory, and over REST and MCP while 5,000 trades a second come in;
- ``whole``: the daemon on one core at most speed, and a recording with its order books (``replay.py``);
- ``latency``: from a frame to its bar at several paces;
- ``overhead``: what supervision costs.

Each part is a process of its own, and within it what is compared takes turns, round by round. Medians and
spread are shown; ``--json`` has every value. Nobody else should use the machine meanwhile: it is looked at
before each part, and what was busy is marked.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import rounds

#: Part -> its rounds, when no other number is asked for: the whole run takes some four minutes.
ROUNDS = {
    "receive": 5,
    "decode": 9,
    "fold": 7,
    "books": 5,
    "journal": 5,
    "sinks": 5,
    "query": 5,
    "whole": 3,
    "latency": 1,
    "overhead": 3,
}


def main() -> int:
    """Measure, or be one part."""
    arguments = _parser().parse_args()
    if arguments.part:
        _be(arguments.part, arguments.rounds)
        return 0
    began, machine = datetime.now(UTC), rounds.machine()
    if not arguments.json:
        print(f"{machine}\n{began:%Y-%m-%d %H:%M} UTC")
    told: dict[str, dict[str, Any]] = {}
    failed, busy = [], []
    for name in arguments.parts:
        if not _quiet(patient=not arguments.at_once):
            busy.append(name)
        found = _measure(name, arguments.rounds or ROUNDS[name])
        if found is None:
            failed.append(name)
            continue
        told[name] = found
        if not arguments.json:
            marked = f"{name}, while OTHERS USED THE MACHINE" if name in busy else name
            print("", marked, *table(found), sep="\n", flush=True)
    if arguments.json:
        result = {"date": began.isoformat(timespec="seconds"), "machine": machine, "parts": told}
        print(json.dumps(result | {"busy": busy, "failed": failed}))
    if failed:
        _say(f"bench: {', '.join(failed)} could not be measured, see above")
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--parts", type=_parts, default=list(ROUNDS), metavar="PART,…", help=f"of {', '.join(ROUNDS)}"
    )
    parser.add_argument("--rounds", type=rounds.count, metavar="N", help="of every part")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--at-once", action="store_true", help="do not wait for a quiet machine")
    parser.add_argument("--part", choices=ROUNDS, help=argparse.SUPPRESS)
    return parser


def _parts(text: str) -> list[str]:
    named = text.split(",")
    if unknown := [one for one in named if one not in ROUNDS]:
        raise argparse.ArgumentTypeError(
            f"{', '.join(unknown)} is no part; expected some of {','.join(ROUNDS)}"
        )
    return named


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# --- measuring ---


def _be(name: str, times: int) -> None:
    from parts import PARTS  # noqa: PLC0415  # imports much, and a part shall import no more than it needs

    found = PARTS[name](times)
    figures = {
        title: {"unit": one.unit, "lower_is_better": one.lower, "values": [*one.values]}
        for title, one in found.items()
    }
    print(json.dumps(figures))


def _measure(name: str, times: int) -> dict[str, Any] | None:
    """Measure a part in a fresh interpreter; None where it fails."""
    command = [sys.executable, __file__, "--part", name, "--rounds", str(times)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        return None
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


#: The share of the cores' time that others may use, and how long (s) it is looked at and waited for.
OTHERS, LOOK, WAIT = 0.1, 0.5, 10.0


def _quiet(*, patient: bool) -> bool:
    """Return whether the machine is idle; wait a little until it is."""
    until = time.monotonic() + (WAIT if patient else 0)
    while (busy := _busy()) > OTHERS and time.monotonic() < until:
        pass
    return busy <= OTHERS


def _busy() -> float:
    """Return what share of the cores' time is used while this process waits; 0 where that cannot be seen."""
    try:
        before = _times()
        time.sleep(LOOK)
        now = _times()
    except OSError:
        return 0.0
    passed = [later - earlier for earlier, later in zip(before, now, strict=True)]
    idle = passed[3] + passed[4]  # idle, and waiting for a disk
    return 1 - idle / max(1, sum(passed))


def _times() -> Sequence[int]:
    first = Path("/proc/stat").read_text().partition("\n")[0]
    return [int(one) for one in first.split()[1:9]]


# --- showing ---


def table(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a part's figures: medians and spread."""
    lines = [f"  {'':52}{'median':>12}{'lowest':>12}{'highest':>12}  {'rounds':>6}"]
    for name, figure in found.items():
        values = figure["values"]
        middle = statistics.median(values)
        places = 0 if middle >= 1_000 else 1 if middle >= 100 else 2 if middle >= 1 else 3
        shown = "".join(f"{one:>12,.{places}f}" for one in (middle, min(values), max(values)))
        lines.append(f"  {name:52}{shown}  {len(values):>6}  {figure['unit']}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
