"""Questions answered from a list of trades, as a data directory would answer them."""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from generated import run_of
from oracle import Trade

from wadm import bar as bars
from wadm.answers.asking import read, respond
from wadm.answers.question import Material, Question
from wadm.bar import Bar
from wadm.coverage import Coverage
from wadm.instants import iso
from wadm.market import MINUTE, Instrument, Trades
from wadm.series import BarSeries

MINUTE_MS = 60_000
BITCOIN = Instrument("binance", "BTCUSDT")
COVERED = Coverage(None, final=True, provable=True, gaps=[], sources=["store"], epoch=None, warming=False)


def minutes_of(trades: Sequence[Trade]) -> list[Bar]:
    """The closed one-minute bars of trades."""
    series = BarSeries(grace=0)
    series.fold(run_of(trades))
    return series.finish(2**60)


def answered(
    question: Question,
    trades: Sequence[Trade],
    *,
    start: int = 0,
    end: int = 60 * MINUTE,
    market_time: int | None = None,
    instrument: Instrument = BITCOIN,
    kept: bool = True,
    runs: Sequence[Trades] | None = None,
    around: Mapping[str, Any] | None = None,
    **given: str,
) -> dict[str, Any]:
    """The answer about `[start, end)` (µs); raw trades are `kept` or not, in one run or in `runs`.

    `around` names what else there is of the material: book, ticker, liquidations, coverage.
    """
    window = {} if {"timeframe", "hours"} & set(given) else {"start": iso(start), "end": iso(end)}
    asked = read(
        question,
        {"exchange": instrument.exchange, "symbol": instrument.symbol, **window, **given},
        {instrument.key: instrument},
    )
    minutes = minutes_of(trades)

    def within(first: int, last: int) -> list[Bar]:
        return [bar for bar in minutes if first <= bar.start < last]

    span = asked.span(end if market_time is None else market_time)
    needs = question.needs(span, asked.values)
    held = [one for one in trades if span.start <= one.at_ms * 1000 < span.end]
    material = Material(
        instrument=instrument,
        span=span,
        bar=bars.merge(within(span.start, span.end), span.start, span.end),
        coverage=COVERED,
        minutes=within(*needs.minutes) if needs.minutes else (),
        merged={name: bars.merge(within(*one), *one) for name, one in needs.merged.items()},
        trades=(runs or [run_of(held)]) if needs.trades and kept else None,
    )
    return respond(asked, attrs.evolve(material, **(around or {})))
