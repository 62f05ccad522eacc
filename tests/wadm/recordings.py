"""The recordings in `captures`, through the codec as they were sent, beside the oracle's own reading."""

import gzip
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from functools import cache
from itertools import cycle
from pathlib import Path

import oracle
from asked import BATCHES, Market
from oracle import Trade

from wadm.exchanges.registry import find
from wadm.ledger import Ledger
from wadm.market import Instrument, Trades

D = Decimal
CAPTURES = Path(__file__).parents[1] / "captures"
LITECOIN = CAPTURES / "orderflow_ltcusdt" / "ltcusdt_20250621_agg_trades.csv.gz"
RECORDINGS = (*sorted((CAPTURES / "hftbacktest").glob("*.gz")), LITECOIN)
#: Tick and step of each symbol recorded.
FINEST = {
    "spot_btcusdt": ("0.01", "0.00001"),
    "spot_ethusdt": ("0.01", "0.0001"),
    "usdm_btcusdt": ("0.1", "0.001"),
    "usdm_ethusdt": ("0.01", "0.001"),
    "ltcusdt": ("0.01", "0.001"),
}


def instrument_of(path: Path) -> Instrument:
    """Files are named by market and symbol."""
    name = next(name for name in FINEST if path.name.startswith(name))
    exchange = "binance_usdm" if name.startswith("usdm") else "binance"
    tick, step = FINEST[name]
    return Instrument(exchange, name.rpartition("_")[2].upper(), D(tick), D(step))


@cache
def recorded(path: Path) -> Market:
    """A recording, folded."""
    one = instrument_of(path)
    if path == LITECOIN:
        trades = list(litecoin())
        return folded(one, trades, [(trade.at_ms * 1000, frame(trade)) for trade in trades], merged=True)
    with gzip.open(path, "rt") as file:
        lines = file.read().splitlines()
    frames = [(int(at) // 1000, body.encode()) for at, _, body in (line.partition(" ") for line in lines)]
    return folded(one, oracle.read_trades(lines, one.symbol), frames)


def folded(
    one: Instrument, trades: Sequence[Trade], frames: Sequence[tuple[int, bytes]], *, merged: bool = False
) -> Market:
    """Frames received at a time (µs), in batches through the codec and into the series."""
    market = Market(one, trades, merged=merged)
    market.fold(list(runs_of(one, frames)))
    return market


def runs_of(one: Instrument, frames: Sequence[tuple[int, bytes]]) -> Iterator[Trades]:
    """The symbol's trades as the codec gives them."""
    exchange = find(one.exchange)
    codec = exchange.codec({one.symbol: one}, exchange.positions(), Ledger())
    at = 0
    for size in cycle(BATCHES):
        if at >= len(frames):
            return
        batch = frames[at : at + size]
        for event in codec.receive([body for _, body in batch], batch[-1][0]):
            if isinstance(event, Trades) and event.symbol == one.symbol:
                yield event
        at += size


def litecoin() -> Iterator[Trade]:
    """Aggregate trades, each told by what it differs from the one before."""
    number = at = 0
    for line in _lines(LITECOIN):
        step, later, price, quantity = line.split(",")
        number, at = number + int(step), at + int(later)
        yield Trade(at, number, D(price), D(quantity.lstrip("-")), not quantity.startswith("-"))


def frame(trade: Trade) -> bytes:
    """An aggregate of LTCUSDT as the stream sends it; of its fills only itself is known."""
    return (
        f'{{"e":"aggTrade","E":{trade.at_ms},"s":"LTCUSDT","a":{trade.id},"p":"{trade.price}",'
        f'"q":"{trade.quantity}","f":{trade.id},"l":{trade.id},"T":{trade.at_ms},'
        f'"m":{"false" if trade.buy else "true"},"M":true}}'
    ).encode()


def _lines(path: Path) -> Iterable[str]:
    with gzip.open(path, "rt") as file:
        for line in file:
            yield line.strip()
