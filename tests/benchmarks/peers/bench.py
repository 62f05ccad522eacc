"""Ours beside its peers, on the same bytes over TLS in one run: ``just bench-peers [--rounds N] [--json]``.

A sender (``load.py``, on one core) sends recorded trades as fast as they are taken; one reader after the
other (on another core) reads them, round by round in turn. Each peer is used as its manual shows, in an
environment of its own (``build/peers``, made at the first run; ``requirements`` pins it). Its clock runs from
the first frame received to the last trade handled, in the reader's process; every reader has to report as
many trades and as much volume as were sent. A peer that cannot be installed is named and left out.
"""

import argparse
import json
import os
import statistics
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))

import environments
import load
import readers
import rounds
from readers import BINANCE, BYBIT, READERS, Reader, ReaderError, Told

#: Trades sent in a round; a multiple of what fits a frame.
TRADES = {BINANCE: 300_000, BYBIT: 480_000}
SENT = {BINANCE: "Binance aggTrade over TLS, one a frame", BYBIT: "Bybit publicTrade over TLS, 8 a frame"}
#: Slow readers read so small a part of them.
PART = 5

#: So much of its core a reader has on a quiet machine; with less, only the ratios of CPU mean something.
QUIET = 0.9

#: Ratio -> the reader above and the one below the line.
RATIOS = {
    "fold_vs_cryptofeed_binance": ("wadm_fold_binance", "cryptofeed_binance"),
    "fold_vs_cryptofeed_fold_bybit": ("wadm_fold_bybit", "cryptofeed_fold_bybit"),
    "fold_vs_picows_binance": ("wadm_fold_binance", "picows_fold_binance"),
    "fold_vs_picows_bybit": ("wadm_fold_bybit", "picows_fold_bybit"),
    "daemon_vs_cryptofeed_binance": ("wadm_daemon_binance", "cryptofeed_binance"),
}


def main() -> int:
    """Measure."""
    arguments = _parser().parse_args()
    began, machine = datetime.now(UTC), rounds.machine()
    _tell(machine)
    pythons, missing = _environments()
    present = [one for one in READERS if one.peer is None or one.peer in pythons]
    try:
        told = _measure(present, pythons, arguments.rounds)
    except ReaderError as error:
        _tell(f"bench-peers: {error}")
        return 1
    rates = {name: statistics.median(_rates(of)) for name, of in told.items()}
    costs = {name: statistics.median(_costs(of)) for name, of in told.items()}
    shares = {name: statistics.median(one.cpu / one.seconds for one in of) for name, of in told.items()}
    if min(shares.values()) < QUIET:
        _tell(f"WARNING: a reader had {min(shares.values()):.0%} of its core: the machine was not quiet")
    result = {
        "ratios": _ratios(rates),
        "ratios_of_cpu": _ratios({name: 1 / cost for name, cost in costs.items()}),
        "trades_per_second": {name: round(rate) for name, rate in rates.items()},
        "spread": {name: [round(min(_rates(of))), round(max(_rates(of)))] for name, of in told.items()},
        "cpu_us_per_trade": {name: round(cost, 2) for name, cost in costs.items()},
        "core_share": {name: round(share, 2) for name, share in shares.items()},
        "work": {one.name: one.work for one in present},
        "missing": missing,
        "versions": {name: environments.versions(python, name) for name, python in pythons.items()},
        "rounds": arguments.rounds,
        "date": began.isoformat(timespec="seconds"),
        "machine": machine,
    }
    print(json.dumps(result) if arguments.json else _table(present, told, result))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench-peers", description="Measure ours beside its peers.")
    parser.add_argument(
        "--rounds", type=rounds.count, default=5, metavar="N", help="rounds of each reader (default: 5)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _environments() -> tuple[dict[str, Path], dict[str, str]]:
    """Return the peers' Pythons, and why the others are missing."""
    pythons: dict[str, Path] = {}
    missing: dict[str, str] = {}
    for name in dict.fromkeys(one.peer for one in READERS if one.peer is not None):
        try:
            pythons[name] = environments.ready(name)
        except environments.InstallError as error:
            missing[name] = str(error)
            _tell(f"WARNING: {name} is missing: {error}")
    return pythons, missing


# --- measuring ---


def _measure(present: Sequence[Reader], pythons: dict[str, Path], count: int) -> dict[str, list[Told]]:
    """Let every reader read once a round. Raises ReaderError."""
    told: dict[str, list[Told]] = {one.name: [] for one in present}
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) == 1:
        _tell("WARNING: there is one core only: the sender takes its part of it")
    with ExitStack() as stack:
        servers = {}
        for exchange, trades in TRADES.items():
            options = ["--exchange", exchange, "--trades", str(trades), "--core", str(cores[-1])]
            servers[exchange] = stack.enter_context(load.serving(*options))
        volumes = {exchange: _volumes(exchange) for exchange in TRADES}
        for number in range(count):
            for one in present:
                server, parts = servers[one.exchange], PART if one.slow else 1
                python = pythons[one.peer] if one.peer else Path(sys.executable)
                trades = TRADES[one.exchange] // parts
                found = readers.run(one, python, server, trades, cores[0])
                _check(one, found, trades, volumes[one.exchange][parts])
                told[one.name].append(found)
                rate = found.trades / found.seconds
                _tell(f"round {number + 1} of {count}: {one.name:26} {rate:>10,.0f} trades/s")
    return told


def _volumes(exchange: str) -> dict[int, Decimal]:
    """Return the volume that is sent, in all and in the part for slow readers."""
    found, volume, trades = {}, Decimal(0), 0
    wanted = {TRADES[exchange] // part: part for part in (1, PART)}
    for text in load.texts(exchange, TRADES[exchange]):
        data = json.loads(text)["data"]
        for quantity in [data["q"]] if exchange == BINANCE else [one["v"] for one in data]:
            volume, trades = volume + Decimal(quantity), trades + 1
            if trades in wanted:
                found[wanted[trades]] = volume
    return found


def _check(reader: Reader, told: Told, trades: int, volume: Decimal) -> None:
    """Raise ReaderError unless a reader has seen exactly what was sent."""
    if told.trades != trades:
        raise ReaderError(f"{reader.name} saw {told.trades} trades of {trades}")
    if told.volume is not None and Decimal(told.volume) != volume:
        raise ReaderError(f"{reader.name} saw a volume of {told.volume}, not {volume}")


# --- what came of it ---


def _rates(told: Sequence[Told]) -> list[float]:
    return [one.trades / one.seconds for one in told]


def _costs(told: Sequence[Told]) -> list[float]:
    return [1e6 * one.cpu / one.trades for one in told]


def _ratios(figures: dict[str, float]) -> dict[str, float | None]:
    """Return how much higher the first reader's figure is than the second's; None where one is missing."""
    found: dict[str, float | None] = {
        name: round(figures[above] / figures[below], 3) if {above, below} <= figures.keys() else None
        for name, (above, below) in RATIOS.items()
    }
    both = [found["fold_vs_picows_binance"], found["fold_vs_picows_bybit"]]
    found["fold_vs_picows"] = None if None in both else min(both)
    return found


def _table(present: Sequence[Reader], told: dict[str, list[Told]], result: dict[str, Any]) -> str:
    lines = []
    for exchange, trades in TRADES.items():
        lines += ["", f"{SENT[exchange]}: {trades:,} trades (slow readers: the first {trades // PART:,})"]
        lines.append(f"{rounds.heading()}{'CPU µs':>9}{'of core':>9}  work")
        lines += [
            f"{rounds.line(one.name, _rates(told[one.name]))}"
            f"{result['cpu_us_per_trade'][one.name]:>9.2f}{result['core_share'][one.name]:>9.0%}  {one.work}"
            for one in present
            if one.exchange == exchange
        ]
    lines += ["", f"ratios of medians, {result['rounds']} rounds, {result['date']}:"]
    lines.append(f"  {'':34}{'trades/s':>10}{'CPU':>10}")
    lines += [
        f"  {name:34}{_shown(ratio):>10}{_shown(result['ratios_of_cpu'][name]):>10}"
        for name, ratio in result["ratios"].items()
    ]
    versions = [f"{one} {number}" for of in result["versions"].values() for one, number in of.items()]
    lines += ["", f"installed: {', '.join(dict.fromkeys(versions))}"]
    lines += [f"missing: {name}: {reason}" for name, reason in result["missing"].items()]
    return "\n".join(lines)


def _shown(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}"


if __name__ == "__main__":
    sys.exit(main())
