"""Entries of every kind, small and exact."""

from decimal import Decimal

from actors.messages import (
    BarRecord,
    BookRecord,
    GapRecord,
    LevelMark,
    LevelsRecord,
    OrderFlowRecord,
    ProfileRecord,
    TradeBatch,
)
from wadm.analytics.levels import LiquidityType
from wadm.analytics.order_flow import order_flow
from wadm.analytics.profile import profile
from wadm.bar import Bar
from wadm.coverage import SuspectedGap
from wadm.exchanges.base import Gap
from wadm.market import DAY, MINUTE, IdKind, Trades

EXCHANGE, SYMBOL = "binance_usdm", "BTCUSDT"
NAME = EXCHANGE, SYMBOL
KEY = f"{EXCHANGE}:{SYMBOL}"

#: 2024-08-08T23:55:00Z
START = 1_723_161_300_000_000
FOREVER = 1 << 62


def trades_at(*times, symbol=SYMBOL, exchange=EXCHANGE, ids=None, price=61_000_0, quantity=5):
    """Return one trade per time, each a tick dearer than the last, buys and sells by turns."""
    count = range(len(times))
    return Trades(
        exchange, symbol, IdKind.AGG_TRADE, 1, 3,
        list(ids or (time - START for time in times)),
        list(times),
        [price + index for index in count],
        [quantity if index % 2 == 0 else -2 * quantity for index in count],
        [1 + index for index in count],
    )  # fmt: skip


def batch(number, *times, incarnation=1, symbol=SYMBOL, ids=None, size=4):
    """Return batch ``number``: trades at the times given, else ``size`` of them in second ``number``."""
    times = times or [START + number * 1_000_000 + index * 1_000 for index in range(size)]
    trades = trades_at(*times, symbol=symbol, ids=ids)
    return TradeBatch(trades, incarnation, number, max(times) + 7, 12.5, max(times) + 3)


def bar(start=START, revision=0, quantity=5, count=3, partial=False):
    """Return a one-minute bar with ``count`` trades in it."""
    made = Bar(start, start + MINUTE, revision=revision, partial=partial)
    made.fold(trades_at(*(start + index for index in range(count)), quantity=quantity))
    return made


def bar_record(start=START, symbol=SYMBOL, **kind):
    return BarRecord(EXCHANGE, symbol, bar(start, **kind))


def profile_record(start=START, revision=0, quantity=5, empty=False):
    source = Bar(start, start + MINUTE) if empty else bar(start, quantity=quantity)
    made = profile(source, Decimal("0.5"))
    return ProfileRecord(EXCHANGE, SYMBOL, "1m", start, start + MINUTE, revision, False, made)


def order_flow_record(start=START, revision=0, quantity=5, empty=False, counts=(3, 1)):
    """Return the order flow of a minute; ``counts`` are its large trades and its absorptions."""
    source = Bar(start, start + MINUTE) if empty else bar(start, quantity=quantity)
    flow = order_flow(source, source)
    return OrderFlowRecord(EXCHANGE, SYMBOL, "1m", start, start + MINUTE, revision, True, flow, *counts)


def book_record(at=START, sequence=7, symbol=SYMBOL, levels=3, quantity=5):
    """Return a book of ``levels`` a side around 61,000."""
    bids = [(61_000_0 - index, quantity + index) for index in range(levels)]
    asks = [(61_000_1 + index, 2 * quantity + index) for index in range(levels)]
    return BookRecord(EXCHANGE, symbol, at, sequence, 1, 3, bids, asks)


def levels_record(end=START + 5 * MINUTE, revision=0, symbol=SYMBOL):
    """Return a point of control, and a support that nothing touched yet."""
    marks = (
        LevelMark(LiquidityType.SUPPORT, Decimal("60900"), Decimal("31.5"), Decimal("0.015"), 0, None),
        LevelMark(LiquidityType.POC, Decimal("61000.5"), Decimal(100), Decimal("1.25"), 2, end - MINUTE),
    )
    return LevelsRecord(EXCHANGE, symbol, end - DAY, end, revision, marks)


def gap_record(first=10, last=19, state="open", reason="", at=START):
    return GapRecord(Gap(EXCHANGE, SYMBOL, IdKind.AGG_TRADE, first, last, at), state, reason)


def suspected_record(first=START, last=START + 9, state="open", reason="the connection ended"):
    return GapRecord(SuspectedGap(EXCHANGE, SYMBOL, first, last), state, reason)


def one_of_each():
    """Return one entry of every kind."""
    return [
        batch(1), bar_record(), profile_record(), order_flow_record(), gap_record(),
        book_record(), levels_record(),
    ]  # fmt: skip


def plain(entry):
    """Return an entry as comparable values: what must come back from a disk."""
    if isinstance(entry, TradeBatch):
        trades = entry.trades
        columns = (trades.ids, trades.times, trades.prices, trades.signed_quantities, trades.counts)
        names = (
            trades.exchange,
            trades.symbol,
            trades.id_kind,
            trades.price_decimals,
            trades.quantity_decimals,
        )
        stamps = (entry.incarnation, entry.number, entry.received_at, entry.market_time)
        return (*names, *stamps, *(list(column) for column in columns))
    if isinstance(entry, BarRecord):
        return (entry.exchange, entry.symbol, entry.bar)
    if isinstance(entry, GapRecord | LevelsRecord):
        return entry
    if isinstance(entry, BookRecord):
        scales = (entry.price_decimals, entry.quantity_decimals)
        sides = ([tuple(level) for level in side] for side in (entry.bids, entry.asks))
        return (type(entry), entry.exchange, entry.symbol, entry.at, entry.sequence, *scales, *sides)
    if isinstance(entry, ProfileRecord):
        rest = entry.profile
    else:
        rest = (entry.order_flow, entry.large_trades, entry.absorption_events)
    window = (entry.timeframe, entry.start, entry.end, entry.revision, entry.partial)
    return (type(entry), entry.exchange, entry.symbol, *window, rest)


def plainly(entries):
    return [plain(entry) for entry in entries]
