"""Whether one-minute bars agree with what else is known of the same minutes.

Two things are: the exchange's own candles, and a second source of the same trades. Neither is folded.
Candles were compared with recorded aggregate trades: volume, takers' buying and count agree exactly.
https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams#klinecandlestick-streams-for-utc
"""

from collections import deque
from collections.abc import Mapping

import attrs

from wadm.bar import Bar
from wadm.instants import iso
from wadm.market import MINUTE, SECOND, Candle, Trades
from wadm.numbers import plain, plain_scaled
from wadm.series import BarSeries, ClosedBars

#: Minutes remembered of each check, differences shown, and spans of a second source that had gaps.
KEPT = 1_500
SHOWN = 10
UNSOUND = 256

#: What a second source must agree in; a candle as well, where ids count up and so order trades of one time.
TOTALS = ("volume", "buy_volume", "count")
EVERYTHING = ("open", "high", "low", "close", *TOTALS)
#: Where ids are names, trades of one time have no order, and a candle opens at the one before it.
VOLUME = ("volume",)

#: What a minute comes to, as plain text: numbers compare by their text, and are shown by it.
Figures = Mapping[str, str]


def figures(bar: Bar | None) -> Figures:
    """Return what our bar of a minute comes to; None is a minute without trades."""
    if bar is None or bar.open is None or bar.close is None:
        return {"volume": "0", "buy_volume": "0", "count": "0"}
    prices = {"open": bar.open[2], "high": max(bar.rows), "low": min(bar.rows), "close": bar.close[2]}
    buy, sell = bar.buy_volume, bar.sell_volume
    return {
        **{name: plain_scaled(price, bar.price_decimals) for name, price in prices.items()},
        "volume": plain_scaled(buy + sell, bar.quantity_decimals),
        "buy_volume": plain_scaled(buy, bar.quantity_decimals),
        "count": str(bar.buy_trades + bar.sell_trades),
    }


def candle_figures(candle: Candle) -> Figures:
    """Return what an exchange's candle says, without what it does not tell.

    One without trades repeats the price before it: that says nothing.
    """
    found = {"volume": plain(candle.volume)}
    if candle.volume:
        found |= {name: plain(getattr(candle, name)) for name in ("open", "high", "low", "close")}
    if candle.buy_volume is not None:
        found["buy_volume"] = plain(candle.buy_volume)
    if candle.count is not None:
        found["count"] = str(candle.count)
    return found


@attrs.frozen
class Difference:
    """A minute on which two sources differ, and in what: name -> (ours, theirs)."""

    start: int
    figures: Mapping[str, tuple[str | None, str]]

    def answer(self) -> dict[str, object]:
        """Return the difference as it is shown."""
        told = {name: {"ours": ours, "theirs": theirs} for name, (ours, theirs) in self.figures.items()}
        return {"minute": iso(self.start), **told}


@attrs.define
class Check:
    """Compares minutes in what ``names`` says; counts each minute once, by its last comparison."""

    names: tuple[str, ...]
    checked: int = 0
    differing: int = 0
    differences: dict[int, Difference] = attrs.field(factory=dict)
    _theirs: dict[int, Figures] = attrs.field(factory=dict, init=False)
    _due: set[int] = attrs.field(factory=set, init=False)
    _agreed: dict[int, bool] = attrs.field(factory=dict, init=False)
    _passed_over: set[int] = attrs.field(factory=set, init=False)

    def tell(self, start: int, theirs: Figures) -> None:
        """Note what the other source says of the minute from ``start`` (µs)."""
        self._theirs[start] = theirs
        self._due.add(start)
        if len(self._theirs) > KEPT:
            self._forget(min(self._theirs))

    def knows(self, start: int) -> bool:
        """Return whether the other source has told of a minute."""
        return start in self._theirs

    def again(self, start: int) -> None:
        """Compare a minute once more: our bar was closed, maybe again."""
        if start in self._theirs:
            self._due.add(start)

    def again_where_unsettled(self) -> None:
        """Compare once more what differed or was passed over: it is now known otherwise what is missing."""
        self._due |= self._passed_over | self.differences.keys()

    def due(self, until: int) -> list[int]:
        """Return the minutes to be compared that ended by ``until`` (µs)."""
        return [start for start in self._due if start + MINUTE <= until] if self._due else []

    def pass_over(self, start: int) -> None:
        """Leave a minute out: trades of it are known to be missing, or it was not received in full."""
        self._unsettle(start)
        self._passed_over.add(start)

    def compare(self, start: int, bar: Bar | None) -> Difference | None:
        """Compare a minute with our bar of it; return in what they differ, unless they did before."""
        again = start in self.differences
        theirs, ours = self._theirs[start], figures(bar)
        self._unsettle(start)
        found = {
            name: (ours.get(name), theirs[name])
            for name in self.names
            if name in theirs and ours.get(name) != theirs[name]
        }
        self._agreed[start] = not found
        self.checked += 1
        if not found:
            return None
        self.differing += 1
        difference = self.differences[start] = Difference(start, found)
        return None if again else difference

    def agrees(self, start: int) -> bool:
        """Return whether a minute was compared and is the same."""
        return self._agreed.get(start, False)

    def answer(self) -> list[dict[str, object]]:
        """Return the last differences as they are shown."""
        return [self.differences[start].answer() for start in sorted(self.differences)[-SHOWN:]]

    def _unsettle(self, start: int) -> None:
        self._due.discard(start)
        self._passed_over.discard(start)
        if self._agreed.pop(start, None) is not None:
            self.checked -= 1
        if self.differences.pop(start, None) is not None:
            self.differing -= 1

    def _forget(self, start: int) -> None:
        """Let a minute go that was compared long ago; it stays counted."""
        del self._theirs[start]
        self._due.discard(start)
        self._passed_over.discard(start)
        self._agreed.pop(start, None)
        self.differences.pop(start, None)


@attrs.define
class SecondSource:
    """The same trades once more, counted beside the ones that are folded, by the minute."""

    check: Check = attrs.field(factory=lambda: Check(TOTALS))
    _series: BarSeries = attrs.field(
        factory=lambda: BarSeries(ClosedBars(keep=60 * MINUTE), grace=2 * SECOND), init=False
    )
    _since: int | None = attrs.field(default=None, init=False)
    _newest: int = attrs.field(default=0, init=False)
    _unsound: deque[tuple[int, int]] = attrs.field(factory=lambda: deque(maxlen=UNSOUND), init=False)

    def count(self, trades: Trades) -> None:
        """Count a run of its trades."""
        self._since = min(trades.times) if self._since is None else self._since
        self._series.fold(trades)

    def missed(self, at: int) -> None:
        """Note that its ids jumped at the trade of time ``at`` (µs): that minute has not all of them.

        Nor have those before it, back to the last one of which there are any.
        """
        minute = at - at % MINUTE
        known = [*self._series.open, *self._series.closed.starts]
        self._unsound.append((max((start for start in known if start < minute), default=0), minute))

    def advance(self, market_time: int) -> None:
        """Close its minutes by market time (µs), which puts them up for comparison."""
        for bar in self._series.advance(market_time):
            if self._since is not None and bar.start > self._since and not self._lacks(bar.start):
                told = figures(bar)
                self.check.tell(bar.start, {name: told[name] for name in TOTALS})

    def _lacks(self, start: int) -> bool:
        return any(first <= start <= last for first, last in self._unsound)
