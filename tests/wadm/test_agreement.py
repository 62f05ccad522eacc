"""Every answer is the oracle's, on 10,500 made-up markets: see `agreeing` for what is held against what."""

import random
from collections.abc import Callable
from decimal import Decimal

import agreeing
import oracle_windows as windows
import pytest
from agreeing import How
from asked import Market
from oracle import Trade

from wadm.market import Instrument

D = Decimal
CASES = 700
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
MINUTE_MS = 60_000
SESSIONS = ("00:00@UTC", "17:00@America/Chicago", "09:15@Asia/Kolkata", "02:30@America/Chicago")
#: Days about which clocks change in Chicago, and an ordinary one.
DAYS_MS = tuple(DAY_MS * day for day in (19_791, 20_029, 19_943))
BITCOIN = Instrument("binance", "BTCUSDT", D("0.1"), D("0.001"))
ROW_SIZES = tuple(map(D, ("0.1", "0.3", "0.5", "1", "2.5", "7")))
SHARES = tuple(map(D, ("0.7", "0.7", "0.68", "0.4", "0.95", "1", "0.001")))


class Case:
    """A market and parameters made from a seed: few minutes, prices, quantities, so that they meet."""

    def __init__(self, seed: str) -> None:
        self.dice = dice = random.Random(seed)
        base = dice.choice(DAYS_MS) + dice.randint(-26, 3) * HOUR_MS
        minutes = [
            base
            + dice.choice((0, 0, HOUR_MS, DAY_MS, 2 * DAY_MS, 3 * DAY_MS))
            + dice.choice((0, 1, 4, 5, 59, 60, 300)) * MINUTE_MS
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
        closing = not late and dice.random() < 0.8
        whole = times[0] // DAY_MS * DAY_MS, times[-1] // DAY_MS * DAY_MS + DAY_MS
        asking = [whole, (times[0] // MINUTE_MS * MINUTE_MS, whole[1])] if dice.random() < 0.5 else []
        self.market = Market(BITCOIN, trades, merged=dice.random() < 0.5)
        self.market.fold_all([dice.randint(1, 6) for _ in range(4)], closing=closing, asking=asking)
        if dice.random() < 0.3:
            self.market.series.finish(2**60)
        self.row_size, self.share = dice.choice(ROW_SIZES), dice.choice(SHARES)
        self.how = How(self.row_size, self.share, dice.choice(agreeing.METHODS))
        self.session = dice.choice(SESSIONS)
        self.bar = dice.choice([*windows.LENGTHS_MS])
        first, last = min(times) // MINUTE_MS * MINUTE_MS, self.market.now_ms
        self.start = dice.choice([first, dice.choice(times) // MINUTE_MS * MINUTE_MS, first - HOUR_MS])
        self.end = dice.choice([last, last, self.start + dice.choice((1, 5, 60, 61, 1500)) * MINUTE_MS])
        self.end = max(self.end, self.start + MINUTE_MS)
        self.span = self.market, self.start, self.end
        self.volume = sum(trade.quantity for trade in trades)


def in_a_timeframe(case: Case) -> None:
    span = windows.window(case.bar, case.market.now_ms - 1)
    agreeing.profile(case.market, *span, case.how, timeframe=case.bar)


def in_a_session(case: Case) -> None:
    span = windows.session_window(case.session, case.market.now_ms - 1)
    agreeing.profile(case.market, *span, case.how, timeframe="session", session=case.session)


def developing(case: Case) -> None:
    end = min(case.end, case.start + 5 * HOUR_MS)
    agreeing.developing(case.market, case.start, end, case.dice.choice(("5m", "15m", "1h")), case.how)


def nodes(case: Case) -> None:
    smoothing, prominence = case.dice.choice((0, 1, 2, 5)), case.dice.choice((D(0), D("0.1"), D("0.5"), D(1)))
    agreeing.nodes(*case.span, case.row_size, smoothing=smoothing, prominence=prominence)


def footprint(case: Case) -> None:
    choose = case.dice.choice
    bar, ratio, minimum = (
        choose(("5m", "1h", "4h", "1d")), choose((D(1), D(3), D("1.5"))), choose((D(0), D("0.5"), D(2)))
    )  # fmt: skip
    agreeing.footprint(
        *case.span, bar, case.row_size, ratio=ratio, minimum=minimum, least=choose((2, 3))
    )  # fmt: skip


def large_trades(case: Case) -> None:
    quantile, least = case.dice.choice(("0.5", "0.9", "0.99", "1")), case.dice.choice(("0", "100", "123.4"))
    agreeing.large_trades(*case.span, D(quantile), D(least))


def vpin(case: Case) -> None:
    bucket = case.dice.choice((D("0.7"), D(1), D(3), D("33.3"))) * (1000 if case.volume > 2000 else 1)
    agreeing.vpin(*case.span, bucket, case.dice.choice((1, 2, 3)))


def composite(case: Case) -> None:
    agreeing.composite(case.market, case.dice.randint(1, 4), case.session, case.how)


def pocs(case: Case) -> None:
    agreeing.pocs(case.market, case.dice.randint(1, 4), case.session, case.row_size, case.share)


MEASURES: dict[str, Callable[[Case], None]] = {
    "profile": lambda case: agreeing.profile(*case.span, case.how),
    "profile in a timeframe": in_a_timeframe,
    "profile in a session": in_a_session,
    "flow": lambda case: agreeing.flow(*case.span, case.session),
    "composite": composite,
    "developing": developing,
    "POCs": pocs,
    "nodes": nodes,
    "footprint": footprint,
    "vwap": lambda case: agreeing.vwap(*case.span),
    "candles": lambda case: agreeing.candles(*case.span, case.dice.choice(("5m", "15m", "1h", "4h", "1d"))),
    "large trades": large_trades,
    "trade sizes": lambda case: agreeing.trade_sizes(*case.span),
    "vpin": vpin,
    "cvd": lambda case: agreeing.cvd(*case.span, case.dice.choice(("5m", "1h", "1d")), case.session),
}


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
