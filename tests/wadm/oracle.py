"""An independent, brute-force reading of the definitions: a list of trades, Decimal, dense rows, no tricks.

It imports nothing from the packages it checks, and is meant to be read beside the definitions line by
line: slow where slow is plainer.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from typing import NamedTuple

MINUTE_MS = 60_000
DAY_MS = 86_400_000
WIDE = Context(prec=400)  # Decimal's own 28 digits would round large sums silently


class Trade(NamedTuple):
    """One trade: `buy` when its taker bought; `count` is how many trades it stands for."""

    at_ms: int
    id: int
    price: Decimal
    quantity: Decimal
    buy: bool
    count: int = 1


class Row(NamedTuple):
    buy: Decimal
    sell: Decimal
    count: int

    @property
    def volume(self) -> Decimal:
        return WIDE.add(self.buy, self.sell)


EMPTY_ROW = Row(Decimal(0), Decimal(0), 0)


def total(values: Iterable[Decimal]) -> Decimal:
    with localcontext(WIDE):
        return sum(values, Decimal(0))


def row_index(price: Decimal, row_size: Decimal) -> int:
    """floor(price / row_size), in exact fractions."""
    ratio = Fraction(price) / Fraction(row_size)
    return ratio.numerator // ratio.denominator


def edge(index: int, row_size: Decimal) -> Decimal:
    """A row is named by its lower edge."""
    return WIDE.multiply(Decimal(index), row_size)


def dense_rows(trades: Sequence[Trade], row_size: Decimal) -> tuple[int, list[Row]]:
    """The index of the lowest traded row, and every row from it to the highest: those without volume too."""
    if not trades:
        return 0, []
    index_of = {price: row_index(price, row_size) for price in {trade.price for trade in trades}}
    indexes = [index_of[trade.price] for trade in trades]
    lowest, highest = min(indexes), max(indexes)
    height = highest - lowest + 1
    buys, sells, counts = [Decimal(0)] * height, [Decimal(0)] * height, [0] * height
    with localcontext(WIDE):
        for trade, index in zip(trades, indexes, strict=True):
            side = buys if trade.buy else sells
            side[index - lowest] += trade.quantity
            counts[index - lowest] += trade.count
    return lowest, [Row(*row) for row in zip(buys, sells, counts, strict=True)]


def poc_position(rows: Sequence[Row]) -> int | None:
    """Most volume; a tie goes to the row nearest the middle of the range, then to the lower one."""
    if not rows or total(row.volume for row in rows) == 0:
        return None
    most = max(row.volume for row in rows)
    middle = Fraction(len(rows) - 1, 2)
    tied = [position for position, row in enumerate(rows) if row.volume == most]
    nearest = min(abs(position - middle) for position in tied)
    return min(position for position in tied if abs(position - middle) == nearest)


def value_area_positions(
    rows: Sequence[Row], share: Decimal = Decimal("0.7"), method: str = "pair"
) -> tuple[int, int] | None:
    """The lowest and the highest row of the value area, as positions in `rows`; nothing without volume."""
    poc = poc_position(rows)
    if poc is None:
        return None
    step = {"pair": 2, "single_row": 1}[method]
    target = WIDE.multiply(total(row.volume for row in rows), share)
    low = high = poc
    volume = rows[poc].volume
    while volume < target:
        above = [position for position in range(high + 1, high + 1 + step) if position < len(rows)]
        below = [position for position in range(low - step, low) if position >= 0]
        volume_above = total(rows[position].volume for position in above)
        volume_below = total(rows[position].volume for position in below)
        if above and (not below or volume_above >= volume_below):
            high, volume = above[-1], WIDE.add(volume, volume_above)
        else:
            low, volume = below[0], WIDE.add(volume, volume_below)
    return low, high


class Levels(NamedTuple):
    poc: Decimal | None
    vah: Decimal | None
    val: Decimal | None


def levels(
    trades: Sequence[Trade], row_size: Decimal, share: Decimal = Decimal("0.7"), method: str = "pair"
) -> Levels:
    lowest, rows = dense_rows(trades, row_size)
    poc = poc_position(rows)
    area = value_area_positions(rows, share, method)
    if poc is None or area is None:
        return Levels(None, None, None)
    return Levels(
        edge(lowest + poc, row_size), edge(lowest + area[1], row_size), edge(lowest + area[0], row_size)
    )


def traded_rows(trades: Sequence[Trade], row_size: Decimal) -> list[tuple[Decimal, Decimal, Decimal, int]]:
    """Rows with trades only, ascending: (lower edge, taker-buy volume, taker-sell volume, trade count)."""
    lowest, rows = dense_rows(trades, row_size)
    return [
        (edge(lowest + position, row_size), row.buy, row.sell, row.count)
        for position, row in enumerate(rows)
        if row.count
    ]


def plain(value: Decimal) -> str:
    """Plain notation: no exponent, no trailing zeros."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def fingerprint(trades: Sequence[Trade], row_size: Decimal) -> str:
    lines = "".join(
        f"{plain(row)},{plain(buy)},{plain(sell)},{count}\n"
        for row, buy, sell, count in traded_rows(trades, row_size)
    )
    return hashlib.sha256(lines.encode()).hexdigest()


class Flow(NamedTuple):
    """What a window's trades add up to."""

    trades: int
    volume: Decimal
    buy: Decimal
    sell: Decimal
    delta: Decimal
    delta_high: Decimal
    delta_low: Decimal
    imbalance: Fraction | None
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    close: Decimal | None


def flow(trades: Sequence[Trade]) -> Flow:
    """`delta_high` and `delta_low` follow the trades in the order given and start from zero."""
    with localcontext(WIDE):
        buy = total(trade.quantity for trade in trades if trade.buy)
        sell = total(trade.quantity for trade in trades if not trade.buy)
        running = [Decimal(0)]
        for trade in trades:
            running.append(running[-1] + (trade.quantity if trade.buy else -trade.quantity))
        in_time = sorted(trades, key=lambda trade: (trade.at_ms, trade.id))
        prices = [trade.price for trade in trades]
        return Flow(
            trades=sum(trade.count for trade in trades),
            volume=buy + sell,
            buy=buy,
            sell=sell,
            delta=buy - sell,
            delta_high=max(running),
            delta_low=min(running),
            imbalance=Fraction(buy) / Fraction(sell) if sell else None,
            open=in_time[0].price if in_time else None,
            high=max(prices, default=None),
            low=min(prices, default=None),
            close=in_time[-1].price if in_time else None,
        )


def within(trades: Sequence[Trade], start_ms: int, end_ms: int) -> list[Trade]:
    """The trades of [start, end)."""
    return [trade for trade in trades if start_ms <= trade.at_ms < end_ms]


def cvd(trades: Sequence[Trade], at_ms: int) -> Decimal:
    """Running delta from 00:00 UTC of the day of `at_ms` - 1 ms up to, not including, `at_ms`."""
    midnight = (at_ms - 1) // DAY_MS * DAY_MS
    return flow(within(trades, midnight, at_ms)).delta


def windows(trades: Sequence[Trade], length_ms: int) -> dict[int, list[Trade]]:
    """The trades by UTC-aligned window, in the order given; windows without trades are absent."""
    result: dict[int, list[Trade]] = {}
    for trade in trades:
        result.setdefault(trade.at_ms // length_ms * length_ms, []).append(trade)
    return result


def read_trades(lines: Iterable[str], symbol: str) -> list[Trade]:
    """The market trades of a recording (`<receive time> <frame>` a line), as they arrived, each id once."""
    result: list[Trade] = []
    seen: set[int] = set()
    for line in lines:
        _, _, text = line.partition(" ")
        frame = json.loads(text, parse_float=Decimal)
        data = frame.get("data", frame)
        if data.get("e") not in ("trade", "aggTrade") or data["s"] != symbol:
            continue
        aggregated = data["e"] == "aggTrade"
        number = data["a"] if aggregated else data["t"]
        if number in seen or data.get("X", "MARKET") != "MARKET":
            continue
        seen.add(number)
        count = data["l"] - data["f"] + 1 if aggregated else 1
        result.append(Trade(data["T"], number, Decimal(data["p"]), Decimal(data["q"]), not data["m"], count))
    return result
