"""Every answer is the oracle's, on 15,000 made-up markets: see `agreeing` for what is held against what."""

import random
from collections.abc import Callable
from decimal import Decimal

import pytest

pytest.register_assert_rewrite("agreeing")
import agreeing
import oracle_windows as windows
from asked import Market
from oracle import Trade

from wadm.market import Instrument

D = Decimal
CASES = 1_000
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
MINUTE_MS = 60_000
SESSIONS = ("00:00@UTC", "17:00@America/Chicago", "09:15@Asia/Kolkata", "02:30@America/Chicago")
#: Days about which clocks change in Chicago, and an ordinary one.
DAYS_MS = tuple(DAY_MS * day for day in (19_791, 20_029, 19_943))
BITCOIN = Instrument("binance", "BTCUSDT", D("0.1"), D("0.001"))
ROW_SIZES = tuple(map(D, ("0.1", "0.3", "0.5", "1", "2.5", "7")))
SHARES = tuple(map(D, ("0.7", "0.7", "0.68", "0.4", "0.95", "1", "0.001")))


class Case:
    """A market and parameters made from a seed: few minutes, prices and quantities, so that things meet and tie."""

    def __init__(self, seed: str) -> None:
        self.dice = dice = random.Random(seed)
        base = dice.choice(DAYS_MS) + dice.randint(-26, 3) * HOUR_MS
        minutes = [
            base + dice.choice((0, 0, HOUR_MS, DAY_MS)) + dice.choice((0, 1, 4, 5, 59, 60, 300)) * MINUTE_MS
            for _ in range(dice.randint(1, 5))
        ]
        offsets = (0, 1, 500, 500, 30_000, MINUTE_MS - 1)
        times = sorted(dice.choice(minutes) + dice.choice(offsets) for _ in range(dice.randint(1, 24)))
        prices = [D(dice.randint(1000, 1000 + dice.choice((3, 12, 60)))) / 10 for _ in range(8)]
        quantities = [D(one) for one in ("1", "1", "2", "3", "0.5", "0.001", "40", "1e5")]
        some = quantities[: dice.randint(2, 8)]
        trades = [
            Trade(
                at,
                number,
                dice.choice(prices),
                dice.choice(some),
                dice.random() < 0.5,
                dice.choice((1, 1, 4)),
            )
            for number, at in enumerate(times, start=dice.randint(1, 10**9))
        ]
        late = dice.random() < 0.3
        if late:
            dice.shuffle(trades)
        self.market = Market(BITCOIN, trades, merged=dice.random() < 0.5)
        self.market.fold_all([dice.randint(1, 6) for _ in range(4)], closing=not late and dice.random() < 0.8)
        if dice.random() < 0.3:
            self.market.series.finish(2**60)
        self.row_size, self.share = dice.choice(ROW_SIZES), dice.choice(SHARES)
        self.method, self.session = dice.choice(agreeing.METHODS), dice.choice(SESSIONS)
        self.bar = dice.choice([*windows.LENGTHS_MS])
        first, last = min(times) // MINUTE_MS * MINUTE_MS, self.market.now_ms
        self.start = dice.choice([first, dice.choice(times) // MINUTE_MS * MINUTE_MS, first - HOUR_MS])
        self.end = dice.choice([last, last, self.start + dice.choice((1, 5, 60, 61, 1500)) * MINUTE_MS])
        self.end = max(self.end, self.start + MINUTE_MS)
        self.span = self.market, self.start, self.end
        self.volume = sum(trade.quantity for trade in trades)


def in_a_timeframe(case: Case) -> None:
    span = windows.window(case.bar, case.market.now_ms - 1)
    agreeing.profile(
        case.market, *span, case.row_size, case.share, case.method, timeframe=case.bar
    )  # fmt: skip


def in_a_session(case: Case) -> None:
    span = windows.session_window(case.session, case.market.now_ms - 1)
    window = {"timeframe": "session", "session": case.session}
    agreeing.profile(case.market, *span, case.row_size, case.share, case.method, **window)


MEASURES: dict[str, Callable[[Case], None]] = {
    "profile": lambda one: agreeing.profile(*one.span, one.row_size, one.share, one.method),
    "profile in a timeframe": in_a_timeframe,
    "profile in a session": in_a_session,
    "flow": lambda one: agreeing.flow(*one.span, one.session),
    "composite": lambda one: agreeing.composite(
        one.market, one.dice.randint(1, 4), one.session, one.row_size, one.share, one.method
    ),
    "developing": lambda one: agreeing.developing(
        one.market, one.start, min(one.end, one.start + 5 * HOUR_MS), one.dice.choice(("5m", "15m", "1h")),
        one.row_size, one.share, one.method,
    ),
    "POCs": lambda one: agreeing.pocs(
        one.market, one.dice.randint(1, 4), one.session, one.row_size, one.share
    ),
    "nodes": lambda one: agreeing.nodes(
        *one.span, one.row_size, one.dice.choice((0, 1, 2, 5)), one.dice.choice((D(0), D("0.1"), D("0.5"), D(1)))
    ),
    "footprint": lambda one: agreeing.footprint(
        *one.span, one.dice.choice(("5m", "1h", "4h", "1d")), one.row_size, one.dice.choice((D(1), D(3), D("1.5"))),
        one.dice.choice((D(0), D("0.5"), D(2))), one.dice.choice((2, 3)),
    ),
    "vwap": lambda one: agreeing.vwap(*one.span),
    "candles": lambda one: agreeing.candles(*one.span, one.dice.choice(("5m", "15m", "1h", "4h", "1d"))),
    "large trades": lambda one: agreeing.large_trades(
        *one.span, one.dice.choice((D("0.5"), D("0.9"), D("0.99"), D(1))), one.dice.choice((D(0), D(100), D("123.4")))
    ),
    "trade sizes": lambda one: agreeing.trade_sizes(*one.span),
    "vpin": lambda one: agreeing.vpin(
        *one.span, one.dice.choice((D("0.7"), D(1), D(3), D("33.3"))) * (1000 if one.volume > 2000 else 1),
        one.dice.choice((1, 2, 3)),
    ),
    "cvd": lambda one: agreeing.cvd(*one.span, one.dice.choice(("5m", "1h", "1d")), one.session),
}  # fmt: skip


def test_there_are_cases_enough() -> None:
    assert len(MEASURES) * CASES >= 10_000


@pytest.mark.parametrize("name", MEASURES)
def test_the_answer_is_the_oracles(name: str) -> None:
    for number in range(CASES):
        try:
            MEASURES[name](Case(f"{name} {number}"))
        except Exception as error:
            error.add_note(f"case {number} of {name}: Case({f'{name} {number}'!r})")
            raise
