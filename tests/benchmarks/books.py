"""What order books cost: µs of CPU to decode a diff and to fold it, and to take the top of a book down.

``python tests/benchmarks/books.py`` prints the median and the spread of ``--rounds`` rounds, in which the
figures take turns. The diffs are those of the bundled spot recording, some 34 levels each, put on the
snapshots recorded with them. They are decoded singly, as a live stream brings them, and in runs of 20; what
decoding their JSON alone costs stands beside it.
"""

import gzip
import sys
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from rounds import show

from actors import garbage
from wadm.book_sync import BookSync, Outcome
from wadm.exchanges import registry
from wadm.exchanges.binance_events import WRAPPED
from wadm.ledger import Ledger
from wadm.market import BookRun, BookUpdate, Instrument

RECORDED = Path(__file__).parents[2] / "actors" / "playback" / "captures" / "binance_spot_20240808.gz"
BINANCE = registry.find("binance")
SYMBOLS = {
    "ETHUSDT": Instrument("binance", "ETHUSDT", Decimal("0.01"), Decimal("0.0001")),
    "BTCUSDT": Instrument("binance", "BTCUSDT", Decimal("0.01"), Decimal("0.00001")),
}
#: After every update of the recording.
RECEIVED_AT = 1_798_761_600_000_000
TOGETHER = 20
#: Levels of a side that are taken down once a second.
TOP = 50
PER_DIFF = ("JSON alone", "decode, singly", f"decode, runs of {TOGETHER}", "fold", f"top {TOP} of both sides")


def recorded() -> tuple[list[bytes], list[BookUpdate]]:
    """Return the recording's frames of diffs, and its snapshots in the order of ``SYMBOLS``."""
    with gzip.open(RECORDED, "rb") as file:
        lines = [written.partition(b" ")[2].strip() for written in file]
    snapshots = [written for written in lines if written.startswith(b'{"lastUpdateId"')]
    read = [BINANCE.endpoints.depth(symbol).read(raw) for symbol, raw in zip(SYMBOLS, snapshots, strict=True)]
    return [written for written in lines if b'@depth@100ms","data"' in written], read


def parse(frames: Sequence[bytes]) -> float:
    """Return the µs per diff of decoding the frames' JSON, and nothing else."""
    decode = WRAPPED["depthUpdate"]
    begun = time.process_time()
    for frame in frames:
        decode(frame)
    return (time.process_time() - begun) / len(frames) * 1e6


def read(frames: Sequence[bytes], together: int) -> float:
    """Return the µs per diff of a new codec that reads so many frames at once."""
    codec = BINANCE.codec(SYMBOLS, BINANCE.positions(), Ledger())
    runs = [frames[first : first + together] for first in range(0, len(frames), together)]
    found = 0
    begun = time.process_time()
    for run in runs:
        for event in codec.receive(run, RECEIVED_AT):
            found += len(event.steps)
    taken = time.process_time() - begun
    assert found == len(frames)
    return taken / found * 1e6


def fold(frames: Sequence[bytes], snapshots: Sequence[BookUpdate]) -> tuple[float, float]:
    """Return the µs per diff of folding, and those of taking the top of a book down."""
    codec = BINANCE.codec(SYMBOLS, BINANCE.positions(), Ledger())
    books = {symbol: BookSync(BINANCE.book_rule) for symbol in SYMBOLS}
    for sync, snapshot in zip(books.values(), snapshots, strict=True):
        sync.snapshot(snapshot, 0)
    folding = showing = shown = 0
    for first in range(0, len(frames), TOGETHER):
        events = codec.receive(frames[first : first + TOGETHER], RECEIVED_AT)
        begun = time.process_time_ns()
        for run in events:
            assert isinstance(run, BookRun)
            sync = books[run.symbol]
            for step in run.steps:
                assert sync.take(step, 0) in (Outcome.APPLIED, Outcome.OLD)
        folded = time.process_time_ns()
        for sync in books.values():
            sync.book.bids.top(TOP)
            sync.book.asks.top(TOP)
        showing += time.process_time_ns() - folded
        shown += len(books)
        folding += folded - begun
    return folding / len(frames) / 1e3, showing / shown / 1e3


def measure(rounds: int = 9) -> dict[str, list[float]]:
    """Return the µs of each figure of ``PER_DIFF``, round by round; they take turns."""
    frames, snapshots = recorded()
    garbage.settle()
    figures: dict[str, list[float]] = {name: [] for name in PER_DIFF}
    for _ in range(rounds):
        found = (parse(frames), read(frames, 1), read(frames, TOGETHER), *fold(frames, snapshots))
        for values, figure in zip(figures.values(), found, strict=True):
            values.append(figure)
    return figures


if __name__ == "__main__":
    show(__doc__, "µs of CPU per diff", measure)
