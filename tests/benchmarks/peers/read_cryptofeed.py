"""cryptofeed: its feed handler with a callback, which counts the trades, or (``--fold``) aggregates them."""

import asyncio
import logging
import os
from decimal import Decimal

from cryptofeed import FeedHandler
from cryptofeed.connection import WebsocketEndpoint
from cryptofeed.defines import BUY, TRADES
from cryptofeed.exchanges import BinanceFutures, Bybit
from cryptofeed.symbols import Symbols
from cryptofeed.types import Trade
from reading import Stopwatch, told

SYMBOL = "BTC-USDT-PERP"
#: Seconds of the timeframes that are aggregated.
TIMEFRAMES = (60, 300, 900, 3_600, 14_400)


class Counter:
    """Counts trades and their volume."""

    def __init__(self, trades: int) -> None:
        self._wanted = trades
        self._watch = Stopwatch()
        self.trades, self.volume = 0, Decimal(0)

    async def __call__(self, trade: Trade, receipt: float) -> None:
        """Handle one trade."""
        if not self.trades:
            self._watch.start()
        self.trades += 1
        self.volume += trade.amount
        if self.trades == self._wanted:
            self._watch.stop(self.trades, self.volume)


class Bar:
    """A volume profile with its delta: [bought, sold, purchases, sales] by price."""

    def __init__(self, start: float, price: Decimal) -> None:
        self.start = start
        self.open = self.high = self.low = self.close = price
        self.delta = self.delta_high = self.delta_low = Decimal(0)
        self.rows: dict[Decimal, list] = {}

    def add(self, price: Decimal, amount: Decimal, bought: bool) -> None:
        """Add one trade."""
        self.close = price
        if price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        row = self.rows.get(price)
        if row is None:
            row = self.rows[price] = [Decimal(0), Decimal(0), 0, 0]
        if bought:
            row[0] += amount
            row[2] += 1
            self.delta += amount
            if self.delta > self.delta_high:  # noqa: PLR1730  # max() costs twice this
                self.delta_high = self.delta
        else:
            row[1] += amount
            row[3] += 1
            self.delta -= amount
            if self.delta < self.delta_low:  # noqa: PLR1730  # likewise
                self.delta_low = self.delta


class Aggregator:
    """Aggregates trades into bars of every timeframe."""

    def __init__(self, trades: int) -> None:
        self._wanted = trades
        self._watch = Stopwatch()
        self._trades = 0
        self._open: dict[int, Bar] = {}
        self._closed: list[Bar] = []  # of the first timeframe, which hold every trade once

    async def __call__(self, trade: Trade, receipt: float) -> None:
        """Handle one trade."""
        if not self._trades:
            self._watch.start()
        self._trades += 1
        at, price, amount, bought = trade.timestamp, trade.price, trade.amount, trade.side == BUY
        for seconds in TIMEFRAMES:
            start = at - at % seconds
            bar = self._open.get(seconds)
            if bar is None or bar.start != start:
                if bar is not None and seconds == TIMEFRAMES[0]:
                    self._closed.append(bar)
                bar = self._open[seconds] = Bar(start, price)
            bar.add(price, amount, bought)
        if self._trades == self._wanted:
            bars = [*self._closed, self._open[TIMEFRAMES[0]]]
            volume = sum(row[0] + row[1] for bar in bars for row in bar.rows.values())
            self._watch.stop(self._trades, volume)


def main() -> None:
    """Read."""
    arguments = told()
    feed = BinanceFutures if arguments.exchange == "binance_usdm" else Bybit
    # Where it would ask the exchange for its symbols it finds them known; its addresses are ours.
    Symbols.set(feed.id, {SYMBOL: "BTCUSDT"}, {"tick_size": {SYMBOL: "0.1"}, "instrument_type": {}})
    path = "" if feed is BinanceFutures else "/v5/public/linear"
    options = feed.websocket_endpoints[0].options
    feed.websocket_endpoints = [WebsocketEndpoint(arguments.url + path, options=options)]
    callback = (Aggregator if arguments.fold else Counter)(arguments.trades)
    handler = FeedHandler(config={"uvloop": True, "log": {"filename": os.devnull, "level": "ERROR"}})
    asyncio.set_event_loop(asyncio.new_event_loop())  # uvloop's newest does not make the one it asks for
    handler.add_feed(feed(symbols=[SYMBOL], channels=[TRADES], callbacks={TRADES: callback}))
    logging.getLogger("feedhandler").addHandler(logging.StreamHandler())
    handler.run()


if __name__ == "__main__":
    main()
