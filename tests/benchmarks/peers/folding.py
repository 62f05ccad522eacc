"""Our decoding and aggregation, for whoever receives the frames: the codec, then bars of every timeframe."""

from collections.abc import Sequence
from decimal import Decimal

from wadm.exchanges import registry
from wadm.ledger import Ledger
from wadm.market import Instrument, Trades
from wadm.numbers import to_decimal
from wadm.series import BarSeries
from wadm.timeframes import TIMEFRAMES, window

TICK, STEP = Decimal("0.1"), Decimal("0.001")


class Folding:
    """Trades of one symbol on their way from frames to bars, as in the daemon.

    Minutes are closed by market time; a longer window is merged when its last minute has closed.
    """

    def __init__(self, exchange: str) -> None:
        found = registry.find(exchange)
        instrument = Instrument(exchange, "BTCUSDT", TICK, STEP)
        self.codec = found.codec({instrument.symbol: instrument}, found.positions(), Ledger())
        self.stream = found.trade_stream(instrument.symbol)
        self.path = next(iter(found.routes([self.stream])))
        self.requests = [frame for _, frame in self.codec.subscribe([self.stream])]
        self._series = BarSeries()
        self.trades = 0

    def take(self, frames: Sequence[bytes], at: int) -> None:
        """Decode and fold a run of frames received at ``at`` (µs)."""
        for event in self.codec.receive(frames, at):
            if isinstance(event, Trades):
                self._series.fold(event)
                self.trades += len(event)
                for bar in self._series.advance(max(event.times)):
                    self._merge(bar.end)

    def _merge(self, end: int) -> None:
        """Merge the windows that end with this minute."""
        for name, length in TIMEFRAMES.items():
            if name != "1m" and end % length == 0:
                self._series.merged(end - length, end)

    def finish(self) -> Decimal:
        """Merge the windows that are still open; return the volume of all trades."""
        first, last = self._series.extent() or (0, 0)
        for name in TIMEFRAMES:
            self._series.merged(*window(name, last - 1))
        whole = self._series.merged(first, last)
        return to_decimal(whole.buy_volume + whole.sell_volume, whole.quantity_decimals)
