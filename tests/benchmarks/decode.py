"""What it costs to read frames of trades: µs of CPU per trade, beside those of decoding their JSON alone.

``python tests/benchmarks/decode.py`` prints the median and the spread of ``--rounds`` rounds, in which the
cases take turns. The trades are the recorded ones of ``tests/captures``; a *run* is what one read of the
socket brings. Nothing but the codec is measured: no socket, no fold.
"""

import gc
import sys
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import attrs
import msgspec
from load import SYMBOL, texts
from rounds import show

from wadm.exchanges import registry
from wadm.exchanges.binance_frames import Aggregate, Wrapped
from wadm.exchanges.bybit_frames import TradeFrame
from wadm.ledger import Ledger
from wadm.market import Instrument, Trades

TRADES = 12_000
#: After every trade of the recordings.
RECEIVED_AT = 1_798_761_600_000_000


@attrs.frozen
class Case:
    """Frames of an exchange, and how many of them come at once."""

    name: str
    exchange: str
    frames: Sequence[bytes]
    run: int


def cases() -> list[Case]:
    """Return what is measured."""
    aggregates = list(texts("binance_usdm", TRADES))
    eights = list(texts("bybit", TRADES))
    return [
        *(Case(f"binance_usdm, runs of {run}", "binance_usdm", aggregates, run) for run in (1, 20, 300)),
        *(Case(f"bybit x8, runs of {run}", "bybit", eights, run) for run in (1, 60)),
    ]


def read(case: Case) -> float:
    """Return the µs per trade of a new codec that reads all of a case's frames."""
    exchange, ledger = registry.find(case.exchange), Ledger()
    instrument = Instrument(case.exchange, SYMBOL, Decimal("0.1"), Decimal("0.001"))
    codec = exchange.codec({SYMBOL: instrument}, exchange.positions(), ledger)
    runs = [case.frames[first : first + case.run] for first in range(0, len(case.frames), case.run)]
    found = 0
    begun = time.process_time()
    for run in runs:
        for event in codec.receive(run, RECEIVED_AT):
            assert isinstance(event, Trades)
            found += len(event)
    taken = time.process_time() - begun
    assert found == ledger.total().received == TRADES
    return taken / found * 1e6


def floor(frames: Sequence[bytes], frame_type: Any) -> float:
    """Return the µs per trade of decoding the frames' JSON, and nothing else."""
    decode = msgspec.json.Decoder(frame_type).decode
    begun = time.process_time()
    for frame in frames:
        decode(frame)
    return (time.process_time() - begun) / TRADES * 1e6


def measure(rounds: int = 9) -> dict[str, list[float]]:
    """Return the µs per trade of every case, round by round; the cases take turns."""
    measured = cases()
    of: dict[str, Sequence[bytes]] = {case.exchange: case.frames for case in measured}
    jobs: dict[str, Callable[[], float]] = {
        "binance_usdm, JSON alone": lambda: floor(of["binance_usdm"], Wrapped[Aggregate]),
        "bybit x8, JSON alone": lambda: floor(of["bybit"], TradeFrame),
        **{case.name: lambda case=case: read(case) for case in measured},
    }
    gc.freeze()
    figures: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            figures[name].append(job())
    return figures


if __name__ == "__main__":
    show(__doc__, "µs of CPU per trade", measure)
