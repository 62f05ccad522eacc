"""Closed minutes against candles and a second source: what is an alarm, what is excused, what is cleared."""

from decimal import Decimal

import attrs

from actors.gaps import checking
from actors.memory import SymbolMemory
from actors.messages import GapRecord
from wadm.coverage import SuspectedGap
from wadm.crosscheck import figures
from wadm.exchanges.base import Filled, Gap
from wadm.market import HOUR, MINUTE, SECOND, Candle, IdKind, Instrument, TradeId, Trades
from wadm.series import BarSeries, ClosedBars

#: 2024-08-09T00:00:00Z
START = 1_723_161_600_000_000
GRACE = 2 * SECOND
SPOT = Instrument("binance", "BTCUSDT", Decimal("0.01"), Decimal("0.1"))
LINEAR = Instrument("bybit", "BTCUSDT", Decimal("0.01"), Decimal("0.1"))


@attrs.define
class Market:
    """A symbol's memory and its bars, told as an aggregator tells them."""

    one: Instrument
    memory: SymbolMemory = attrs.field(init=False)
    series: BarSeries = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.memory = SymbolMemory(self.one, ClosedBars(), IdKind.TRADE)
        self.series = BarSeries(self.memory.closed, GRACE)

    def trade(self, number: int, at: int, quantity: int = 10) -> None:
        trade_id: TradeId = number if self.memory.counted else f"name-{number}"
        trades = Trades(
            self.one.exchange, self.one.symbol, IdKind.TRADE, 2, 1,
            [trade_id], [at], [10_000 + number], [quantity], [1],
        )  # fmt: skip
        self.memory.note_received(trades)
        self.series.fold(trades)
        self.memory.seen(trades)
        self.come_to(at)

    def come_to(self, at: int) -> None:
        self.memory.market_time = max(self.memory.market_time, at)
        for bar in self.series.advance(self.memory.market_time):
            checking.closed_again(self.memory, bar)
        checking.compare(self.memory, self.series.open, GRACE)

    def candle(self, minute: int, **change: object) -> None:
        """Tell of a minute's candle; it says what our bar says but for ``change``."""
        start = START + minute * MINUTE
        ours = figures(self.memory.closed.get(start) or self.series.open.get(start))
        numbers = {name: Decimal(text) for name, text in ours.items() if name != "count"}
        for name in ("open", "high", "low", "close"):
            numbers.setdefault(name, Decimal(100))
        told = Candle(
            self.one.exchange, self.one.symbol, "1m", start, start + MINUTE,
            **numbers, turnover=Decimal(1), count=int(ours["count"]), closed=True,
        )  # fmt: skip
        self.memory.note_candle(attrs.evolve(told, **change))  # type: ignore[arg-type]
        checking.compare(self.memory, self.series.open, GRACE)


def market(one: Instrument = SPOT, minutes: int = 4) -> Market:
    """Return a market of two trades a minute, whose last minute is open."""
    made = Market(one)
    for number in range(2 * minutes):
        made.trade(number, START + number * 30 * SECOND)
    return made


def test_candles_that_agree_are_counted() -> None:
    made = market()
    made.candle(1)
    made.candle(2)
    assert (made.memory.candles.checked, made.memory.candles.differing) == (2, 0)
    assert checking.alarm(made.memory) == ""


def test_a_candle_that_comes_before_our_bar_is_closed_waits_for_it() -> None:
    made = market()
    made.candle(3)
    assert made.memory.candles.checked == 0
    made.come_to(START + 4 * MINUTE + GRACE)
    assert made.memory.candles.checked == 1


def test_a_candle_that_is_still_going_on_or_of_another_length_says_nothing() -> None:
    made = market()
    made.candle(1, closed=False, volume=Decimal(9))
    made.candle(1, interval="5m", volume=Decimal(9))
    assert made.memory.candles.checked == 0


def test_the_minute_in_which_receiving_began_is_left_out() -> None:
    made = Market(SPOT)
    for number in range(6):
        made.trade(number, START + 20 * SECOND + number * 30 * SECOND)
    made.candle(0, volume=Decimal(99))
    made.candle(1)
    assert (made.memory.candles.checked, made.memory.candles.differing) == (1, 0)


def test_what_differs_without_a_gap_is_an_alarm_for_an_hour() -> None:
    made = market()
    made.candle(1, volume=Decimal(9))
    assert made.memory.candles.differing == 1
    assert "differs from its candles in 1 of the last 60 minutes" in checking.alarm(made.memory)
    assert made.memory.gaps.known == []  # ids would show one
    made.come_to(START + MINUTE + HOUR + 1)
    assert checking.alarm(made.memory) == ""


def test_a_minute_with_a_known_gap_is_excused_until_it_is_filled() -> None:
    made = market()
    made.memory.note_gap(Gap("binance", "BTCUSDT", IdKind.TRADE, 90, 92, START + 90 * SECOND))
    made.candle(1, volume=Decimal(9))
    assert (made.memory.candles.checked, made.memory.candles.differing) == (0, 0)
    made.memory.note_filled(Filled("binance", "BTCUSDT", IdKind.TRADE, 90, 92, 0))
    made.come_to(START + 4 * MINUTE)
    assert (made.memory.candles.checked, made.memory.candles.differing) == (1, 1)


def test_the_minutes_that_a_gap_spans_are_all_excused_and_no_others() -> None:
    made = market(minutes=2)
    made.trade(50, START + 6 * MINUTE + SECOND)
    made.memory.note_gap(Gap("binance", "BTCUSDT", IdKind.TRADE, 4, 49, START + 6 * MINUTE + SECOND))
    made.come_to(START + 8 * MINUTE + GRACE)
    for minute in range(1, 8):
        made.candle(minute, volume=Decimal(9))
    # It begins somewhere behind the last trade before it, which is in minute 1.
    assert sorted(made.memory.candles.differences) == [START + 7 * MINUTE]
    assert [one.gap.at for one in made.memory.gaps_between(START + 3 * MINUTE, START + 4 * MINUTE)] == [
        START + 6 * MINUTE + SECOND
    ]
    assert made.memory.gaps_between(START, START + MINUTE) == []


def test_a_late_trade_settles_what_differed() -> None:
    made = market()
    made.candle(1, volume=Decimal("3"), buy_volume=Decimal("3"), count=3, close=Decimal("100.99"),
                high=Decimal("100.99"))  # fmt: skip
    assert made.memory.candles.differing == 1
    made.trade(99, START + MINUTE + 59 * SECOND)
    made.come_to(START + 5 * MINUTE)
    assert (made.memory.candles.checked, made.memory.candles.differing) == (1, 0)
    assert checking.alarm(made.memory) == ""


def test_where_ids_are_names_a_minute_that_differs_is_suspected_once() -> None:
    made = market(LINEAR)
    made.candle(1, volume=Decimal(9))
    made.candle(1, volume=Decimal(8))
    ((gap, state, reason),) = [(one.gap, one.state, one.reason) for one in made.memory.gaps.known]
    assert gap == SuspectedGap("bybit", "BTCUSDT", START + MINUTE, START + 2 * MINUTE - 1)
    assert (state, reason) == ("open", checking.OTHER_CANDLE)


def test_a_suspicion_is_cleared_once_all_its_minutes_agree() -> None:
    made = market(LINEAR)
    made.memory.suspect(START + 90 * SECOND, START + 130 * SECOND, "the connection ended")
    made.candle(1)
    assert len(made.memory.gaps.known) == 1
    made.candle(2)
    assert made.memory.gaps.known == []
    filled = [one for one in made.memory.records if isinstance(one, GapRecord) and one.state == "filled"]
    assert [(one.gap.first, one.gap.last, one.reason) for one in filled] == [
        (START + 90 * SECOND, START + 130 * SECOND, checking.SAME_CANDLES)
    ]


def test_what_could_not_be_filled_is_cleared_too() -> None:
    made = market(LINEAR)
    made.memory.suspect(START + 70 * SECOND, START + 80 * SECOND, "the connection ended")
    made.memory.note_not_covered(START, START + HOUR, "the exchange gives no older trades")
    made.candle(1)
    assert made.memory.gaps.known == []


# --- where trades may have been missed ---


def test_a_break_is_suspected_from_the_last_trade_to_the_next() -> None:
    made = market(LINEAR)
    made.memory.note_break("the connection ended")
    made.memory.note_break("again")
    assert made.memory.gaps.known == []
    made.trade(50, START + 10 * MINUTE)
    made.trade(51, START + 11 * MINUTE)
    ((gap, reason),) = [(one.gap, one.reason) for one in made.memory.gaps.known]
    assert (gap.first, gap.last) == (START + 210 * SECOND, START + 10 * MINUTE)
    assert reason == "the connection ended"


def test_trades_from_before_a_break_do_not_end_it() -> None:
    made = market(LINEAR)
    made.memory.note_break("the connection ended")
    made.trade(50, START + 200 * SECOND)
    assert made.memory.gaps.known == []
    made.trade(51, START + 240 * SECOND)
    assert [(one.gap.first, one.gap.last) for one in made.memory.gaps.known] == [
        (START + 210 * SECOND, START + 240 * SECOND)
    ]


def test_before_the_first_trade_nothing_can_be_missed_and_counted_ids_show_it_themselves() -> None:
    fresh = Market(LINEAR)
    fresh.memory.note_break("the connection ended")
    fresh.trade(1, START)
    assert fresh.memory.gaps.known == []
    counted = market(SPOT)
    counted.memory.note_break("the connection ended")
    counted.trade(50, START + 10 * MINUTE)
    assert counted.memory.gaps.known == []


# --- the second source ---


def test_a_second_source_that_differs_is_an_alarm() -> None:
    made = market()
    for minute in range(4):
        at = START + minute * MINUTE + 5 * SECOND
        quantity = 20 if minute != 2 else 19
        made.memory.second.count(
            Trades("binance", "BTCUSDT", IdKind.AGG_TRADE, 2, 1, [minute], [at], [10_000], [quantity], [2])
        )
    made.come_to(START + 5 * MINUTE)
    second = made.memory.second.check
    assert (second.checked, second.differing) == (3, 1)
    assert second.differences[START + 2 * MINUTE].figures == {
        "volume": ("2", "1.9"), "buy_volume": ("2", "1.9")
    }  # fmt: skip
    assert "second source" in checking.alarm(made.memory)


def test_a_gap_in_the_second_source_is_none_of_the_symbol() -> None:
    made = market()
    made.memory.note_gap(Gap("binance", "BTCUSDT", IdKind.AGG_TRADE, 7, 9, START + 70 * SECOND))
    assert made.memory.gaps.known == []
    assert not made.memory.records
