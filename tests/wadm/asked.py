"""A market for tests: trades as the oracle has them, and folded and asked as a daemon would be."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import cycle
from typing import Any

import attrs
import msgspec
import oracle
from generated import run_of
from oracle import Trade

from wadm import bar as bars
from wadm.answers.asking import read, respond
from wadm.answers.question import Material
from wadm.answers.registry import QUESTIONS
from wadm.coverage import Coverage
from wadm.market import DAY, IdKind, Instrument, Trades
from wadm.series import BarSeries, ClosedBars

COVERED = Coverage(None, final=True, provable=True, gaps=[], sources=["live"], epoch=1, warming=False)
#: As many trades as come in one batch: single ones, small runs, bursts.
BATCHES = (1, 3, 1, 17, 64, 2, 500)


@attrs.define(eq=False)
class Market:
    """The trades of one symbol, in the order they arrived and in the order of the bars, and their series.

    `merged` says that they are aggregates of one taker's fills.
    """

    instrument: Instrument
    trades: Sequence[Trade]
    merged: bool = False
    series: BarSeries = attrs.field(factory=lambda: BarSeries(ClosedBars(keep=30 * DAY)))
    _runs: list[Trades] = attrs.field(factory=list)

    def fold(
        self, runs: Sequence[Trades], *, closing: bool = True, asking: Sequence[tuple[int, int]] = ()
    ) -> None:
        """Fold runs as they come, bars being closed behind them if `closing`, spans merged in between."""
        for run in runs:
            assert self.series.fold(run) == 0
            if closing:
                self.series.advance(max(run.times))
            for start_ms, end_ms in asking:
                self.series.merged(start_ms * 1000, end_ms * 1000)
        self._runs.extend(runs)
        # Path-dependent numbers follow minute after minute, in each minute the order of arrival.
        self.trades = sorted(self.trades, key=lambda trade: trade.at_ms // oracle.MINUTE_MS)

    def fold_all(
        self, sizes: Sequence[int], *, closing: bool = True, asking: Sequence[tuple[int, int]] = ()
    ) -> None:
        """Fold all trades in batches of such sizes."""
        kind, at, runs = IdKind.AGG_TRADE if self.merged else IdKind.TRADE, 0, []
        for size in cycle(sizes):
            if at >= len(self.trades):
                break
            runs.append(msgspec.structs.replace(run_of(self.trades[at : at + size]), id_kind=kind))
            at += size
        self.fold(runs, closing=closing, asking=asking)

    @property
    def now_ms(self) -> int:
        """Where the last minute known ends."""
        extent = self.series.extent()
        assert extent is not None
        return extent[1] // 1000

    def ask(self, name: str, *, now_ms: int | None = None, **given: object) -> dict[str, Any]:
        """The answer, with market time at `now_ms`; times given are in ms."""
        one, question = self.instrument, QUESTIONS[name]
        texts = {key: _written(value) for key, value in given.items()}
        asked = read(question, {"exchange": one.exchange, "symbol": one.symbol, **texts}, {one.key: one})
        now = (self.now_ms if now_ms is None else now_ms) * 1000
        span = attrs.evolve(asked.span(now - 1), market_time=now)
        needs = question.needs(span, asked.values)
        minutes = self.series.packed(*needs.minutes) if needs.minutes else []
        material = Material(
            instrument=one,
            span=span,
            bar=self.series.merged(span.start, span.end),
            coverage=COVERED,
            minutes=[bars.decode(packed) for packed in minutes],
            merged={place: self.series.merged(*wanted) for place, wanted in needs.merged.items()},
            trades=self._within(span.start, span.end) if needs.trades else None,
        )
        return respond(asked, material)

    def _within(self, start: int, end: int) -> list[Trades]:
        held = oracle.within(self.trades, start // 1000, end // 1000)
        return [run_of(held)]


def _written(value: object) -> str:
    if isinstance(value, int) and value > 10**11:
        return datetime.fromtimestamp(value / 1000, UTC).isoformat()
    return str(value)


def ms(text: str) -> int:
    """What an answer's time is in ms."""
    at = datetime.fromisoformat(text)
    return round(at.timestamp() * 1000)
