"""What is measured over windows of order flow, as the daemon's ``delta-analysis`` and ``cvd`` measure bars.

Windows without a trade are none.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TypedDict

import attrs

from actors.storage.mongo.values import Document, micros
from actors.storage.window_payload import FIGURES, order_flow_figures
from wadm.analytics.delta import Run, largest, longest
from wadm.numbers import ratio, to_decimal
from wadm.timeframes import TIMEFRAMES

#: How many of the largest windows are named.
LARGEST = 5

_AT = {name: place for place, name in enumerate(FIGURES)}
_VOLUMES = ("buy_volume", "sell_volume", "delta", "delta_high", "delta_low", "cvd")


class DeltaRun(TypedDict):
    """Windows one after the other whose deltas are of one sign, from ``start`` to ``end`` (µs)."""

    start: int
    end: int
    bars: int
    delta: Decimal


class LargeDelta(TypedDict):
    """A window of large delta; ``start`` in µs."""

    start: int
    delta: Decimal


class DeltaAnalysis(TypedDict):
    """The delta of ``[start, end)`` (µs), in base units, from windows of a timeframe.

    ``delta_high`` and ``delta_low`` are extremes of the running delta, the start's zero included. Everything
    is zero or None where there is no window.
    """

    exchange: str | None
    timeframe: str
    start: int | None
    end: int | None
    volume: Decimal
    buy_volume: Decimal
    sell_volume: Decimal
    delta: Decimal
    delta_high: Decimal
    delta_low: Decimal
    delta_path: str
    delta_over_volume: Decimal | None
    bars: int
    bars_positive: int
    bars_negative: int
    longest_positive: DeltaRun | None
    longest_negative: DeltaRun | None
    largest: list[LargeDelta]


class CumulativeDelta(TypedDict):
    """CVD at a window's end, counted from ``session_start``; times in µs."""

    exchange: str
    start_time: int
    end_time: int
    session_start: int
    delta: Decimal
    cumulative_delta: Decimal


@attrs.frozen(eq=False)
class FlowWindows:
    """Windows of a timeframe in which something was traded, ascending: those that begin in ``[start, end)``.

    ``volumes`` are scaled by ``10**decimals``; ``exact`` says that every path is.
    """

    timeframe: str
    start: int | None
    end: int | None
    found: Sequence[Document]
    sessions: Sequence[int]
    decimals: int
    volumes: Mapping[str, Sequence[int]]
    exact: bool

    @classmethod
    def of(cls, found: Iterable[Document], timeframe: str, span: tuple[int, int] | None) -> "FlowWindows":
        """Return the windows of documents, ascending; each has its exchange, timestamp and ``packed``."""
        start, end = span or (None, None)
        bought, sold = _AT["buy_volume"], _AT["sell_volume"]
        read = [(one, *order_flow_figures(one["packed"])) for one in found]
        traded = [one for one in read if one[3][bought] or one[3][sold]]
        decimals = max((own for _, own, _, _ in traded), default=0)
        volumes = {
            name: [figures[_AT[name]] * int(10 ** (decimals - own)) for _, own, _, figures in traded]
            for name in _VOLUMES
        }
        return cls(
            timeframe, start, end, [one for one, _, _, _ in traded],
            [figures[_AT["session_start"]] for _, _, _, figures in traded],
            decimals, volumes, all(exact for _, _, exact, _ in traded),
        )  # fmt: skip

    def trend(self) -> list[CumulativeDelta]:
        """Return the CVD at the end of each."""
        deltas, cvds = self.volumes["delta"], self.volumes["cvd"]
        return [
            {
                "exchange": one["exchange"],
                "start_time": micros(one["timestamp"]),
                "end_time": self._end(one),
                "session_start": session,
                "delta": self._volume(delta),
                "cumulative_delta": self._volume(cvd),
            }
            for one, session, delta, cvd in zip(self.found, self.sessions, deltas, cvds, strict=True)
        ]

    def analysis(self, exchange: str | None) -> DeltaAnalysis:
        """Return the delta of all. ``exchange`` is the one asked for."""
        deltas = self.volumes["delta"]
        buy, sell = sum(self.volumes["buy_volume"]), sum(self.volumes["sell_volume"])
        high, low = self._extremes()
        return {
            "exchange": self.found[0]["exchange"] if self.found else exchange,
            "timeframe": self.timeframe,
            "start": self.start,
            "end": self.end,
            "volume": self._volume(buy + sell),
            "buy_volume": self._volume(buy),
            "sell_volume": self._volume(sell),
            "delta": self._volume(buy - sell),
            "delta_high": self._volume(high),
            "delta_low": self._volume(low),
            "delta_path": "exact" if self.exact else "inexact",
            "delta_over_volume": ratio(buy - sell, buy + sell),
            "bars": len(deltas),
            "bars_positive": sum(delta > 0 for delta in deltas),
            "bars_negative": sum(delta < 0 for delta in deltas),
            "longest_positive": self._run(longest(deltas, 1)),
            "longest_negative": self._run(longest(deltas, -1)),
            "largest": [
                {"start": micros(self.found[at]["timestamp"]), "delta": self._volume(deltas[at])}
                for at in largest(deltas, LARGEST)
            ],
        }

    def _extremes(self) -> tuple[int, int]:
        """Return the highest and the lowest of the running delta."""
        running = high = low = 0
        paths = (self.volumes[name] for name in ("delta", "delta_high", "delta_low"))
        for delta, above, below in zip(*paths, strict=True):
            high, low = max(high, running + above), min(low, running + below)
            running += delta
        return high, low

    def _run(self, run: Run | None) -> DeltaRun | None:
        if run is None:
            return None
        return {
            "start": micros(self.found[run.first]["timestamp"]),
            "end": self._end(self.found[run.last]),
            "bars": run.bars,
            "delta": self._volume(run.delta),
        }

    def _volume(self, scaled: int) -> Decimal:
        return to_decimal(scaled, self.decimals)

    def _end(self, one: Document) -> int:
        return micros(one["timestamp"]) + TIMEFRAMES[self.timeframe]
