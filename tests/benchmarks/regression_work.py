"""The work whose instructions ``regression.py`` counts: ``regression_work.py STEP CASE FILE`` does it once.

Each step does what the one before it does and one thing more, so that what it takes more is that thing's.
``FILE`` holds the frames, a line each. It prints how many trades it has come to. Only what has to be imported
is: under valgrind that takes as long as the work.
"""

import sys
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

import msgspec

from actors import garbage
from actors.messages import TradeBatch
from actors.storage.payload import encode_batch
from wadm.exchanges import registry
from wadm.ledger import Ledger
from wadm.market import Instrument, Trades
from wadm.series import BarSeries

SYMBOL = "BTCUSDT"
#: After every trade of the recordings, µs.
RECEIVED_AT = 1_798_761_600_000_000

#: Exchange and frames to a run -> its name.
CASES = {
    "binance_usdm, runs of 300": ("binance_usdm", 300),
    "binance_usdm, singly": ("binance_usdm", 1),
    "bybit x8, runs of 60": ("bybit", 60),
}


class Aggregate(msgspec.Struct):
    """As much of Binance's aggTrade as anybody needs."""

    a: int
    p: str
    q: str
    T: int
    m: bool


class Binance(msgspec.Struct):
    """A frame of a combined stream."""

    data: Aggregate


class Public(msgspec.Struct):
    """As much of Bybit's publicTrade as anybody needs."""

    i: str
    p: str
    v: str
    T: int
    S: str


class Bybit(msgspec.Struct):
    """A frame of public trades."""

    data: list[Public]


def prepare(_exchange: str, runs: Sequence[Sequence[bytes]]) -> int:
    """Do nothing but what all steps begin with."""
    return sum(map(len, runs))


def reference(exchange: str, runs: Sequence[Sequence[bytes]]) -> int:
    """Decode every frame and sum the volume of every price, with as little as Python can do that.

    It is what the other steps are measured in, and has nothing of the product in it.
    """
    volumes: dict[str, int] = {}
    trades = 0
    if exchange == "bybit":
        decode_public = msgspec.json.Decoder(Bybit).decode
        for run in runs:
            for frame in run:
                for one in decode_public(frame).data:
                    volumes[one.p] = volumes.get(one.p, 0) + int(one.v.replace(".", ""))
                    trades += 1
        return trades
    decode = msgspec.json.Decoder(Binance).decode
    for run in runs:
        for frame in run:
            trade = decode(frame).data
            volumes[trade.p] = volumes.get(trade.p, 0) + int(trade.q.replace(".", ""))
            trades += 1
    return trades


def through(exchange: str, runs: Sequence[Sequence[bytes]], take: Callable[[Trades], object]) -> int:
    """Decode every run with a codec, and hand its trades to ``take``."""
    found, ledger, trades = registry.find(exchange), Ledger(), 0
    instrument = Instrument(exchange, SYMBOL, Decimal("0.1"), Decimal("0.001"))
    codec = found.codec({SYMBOL: instrument}, found.positions(), ledger)
    for run in runs:
        for event in codec.receive(run, RECEIVED_AT):
            assert isinstance(event, Trades)
            trades += len(event)
            take(event)
    return trades


def decode(exchange: str, runs: Sequence[Sequence[bytes]]) -> int:
    """Decode."""
    return through(exchange, runs, lambda _: None)


def fold(exchange: str, runs: Sequence[Sequence[bytes]]) -> int:
    """Decode, fold, and close minutes."""
    series = BarSeries()

    def take(trades: Trades) -> None:
        series.fold(trades)
        series.advance(max(trades.times))

    return through(exchange, runs, take)


def encode(exchange: str, runs: Sequence[Sequence[bytes]]) -> int:
    """Decode, fold, close minutes, and write what the journal keeps."""
    series, number = BarSeries(), 0

    def take(trades: Trades) -> None:
        nonlocal number
        number += 1
        series.fold(trades)
        series.advance(max(trades.times))
        encode_batch(TradeBatch(trades, 1, number, RECEIVED_AT, 0.0, RECEIVED_AT))

    return through(exchange, runs, take)


STEPS: dict[str, Callable[[str, Sequence[Sequence[bytes]]], int]] = {
    "prepare": prepare,
    "reference": reference,
    "decode": decode,
    "fold": fold,
    "encode": encode,
}


def main() -> None:
    """Do a step of a case."""
    step, case, path = sys.argv[1:]
    exchange, size = CASES[case]
    frames = Path(path).read_bytes().splitlines()
    runs = [frames[first : first + size] for first in range(0, len(frames), size)]
    garbage.settle()
    print(STEPS[step](exchange, runs))


if __name__ == "__main__":
    main()
