"""The footprint bar: everything traded in a span of time, by exact price. The one fold of the product.

Bars form a monoid: every profile, timeframe, session, candle and CVD is a merge of one-minute bars.
Prices and volumes are integers scaled by ``price_decimals`` and ``quantity_decimals``.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence

import attrs
import msgspec
from msgspec.structs import replace

from wadm import columns, orders
from wadm.market import TradeId, Trades
from wadm.orders import Orders

#: (time, id, price) of a trade: the lowest is the open, the highest the close.
Mark = tuple[int, TradeId, int]

#: What one price saw: taker-buy volume, taker-sell volume, taker-buy count, taker-sell count. A row is never
#: changed but replaced, so that bars can have rows in common: neither a copy nor a merge copies any.
Row = tuple[int, int, int, int]

_NOTHING: Row = (0, 0, 0, 0)

#: Format 1, of which there are bars from before, knows no taker orders.
FORMAT = 2


class BarFormatError(ValueError):
    """Stored bytes that are not a bar, or a bar of a later format."""


@attrs.define
class Bar:
    """Trades of ``[start, end)`` (µs). An empty one has no rows, no open and no close.

    ``delta_high`` and ``delta_low`` are the extremes of the running delta, the bar's own start (zero)
    included. ``exact_path`` is False when trades came out of their order, so that these two are those of the
    order of arrival: by (time, id), or by time alone where ids are names and not numbers that count up.
    ``orders`` are the taker orders; that of a trade which reopens a bar is taken apart from those it had.
    ``partial`` says that the span was still going on when the data ended. ``revision`` counts how often the
    bar was closed again; that of a merge rises whenever one of its bars is closed, be it anew or again.
    """

    start: int
    end: int
    price_decimals: int = 0
    quantity_decimals: int = 0
    rows: dict[int, Row] = attrs.field(factory=dict)
    open: Mark | None = None
    close: Mark | None = None
    delta: int = 0
    delta_high: int = 0
    delta_low: int = 0
    exact_path: bool = True
    revision: int = 0
    partial: bool = False
    orders: Orders = attrs.field(factory=Orders)

    def fold(self, trades: Trades, first: int = 0, last: int | None = None) -> None:
        """Add the trades of ``trades[first:last]``, all of which lie in this bar's span. O(1) per trade."""
        count = len(trades.ids)
        last = count if last is None else last
        if first == last:
            return
        if last - first < count:
            trades = _cut(trades, first, last)
        price_factor, quantity_factor = self._make_room(trades.price_decimals, trades.quantity_decimals)
        if price_factor != 1 or quantity_factor != 1:
            trades = _scaled(trades, price_factor, quantity_factor)
        self._fold_rows(trades)
        self._mark(trades)
        self.orders.fold(trades, self.price_decimals + self.quantity_decimals)

    def _fold_rows(self, trades: Trades) -> None:
        rows, delta, high, low = self.rows, self.delta, self.delta_high, self.delta_low
        arrived = zip(trades.prices, trades.signed_quantities, trades.counts)  # noqa: B905 -- of equal length
        for price, signed, count in arrived:
            buy, sell, buys, sells = rows.get(price, _NOTHING)
            delta += signed
            if signed > 0:
                rows[price] = buy + signed, sell, buys + count, sells
                if delta > high:  # noqa: PLR1730 -- max() costs twice this in the hottest loop
                    high = delta
            else:
                rows[price] = buy, sell - signed, buys, sells + count
                if delta < low:  # noqa: PLR1730 -- likewise
                    low = delta
        self.delta, self.delta_high, self.delta_low = delta, high, low

    def _mark(self, trades: Trades) -> None:
        """Move open and close, by (time, id), and notice trades that came out of order."""
        ids, times, prices = trades.ids, trades.times, trades.prices
        first, last, in_order = _ends(times, ids)
        lowest, highest = (times[first], ids[first]), (times[last], ids[last])
        if self.open is None or self.close is None:
            self.open, self.close = (*lowest, prices[first]), (*highest, prices[last])
        elif lowest >= (before := self.close[:2]):
            self.close = (*highest, prices[last])
        else:
            in_order = in_order and isinstance(ids[0], str) and times[0] >= before[0]
            if lowest < self.open[:2]:
                self.open = (*lowest, prices[first])
            if highest > before:
                self.close = (*highest, prices[last])
        if not in_order:
            self.exact_path = False

    def _make_room(self, price_decimals: int, quantity_decimals: int) -> tuple[int, int]:
        """Widen this bar's scales to hold finer numbers; return what coarser ones must be multiplied by."""
        if price_decimals == self.price_decimals and quantity_decimals == self.quantity_decimals:
            return 1, 1
        if price_decimals > self.price_decimals or quantity_decimals > self.quantity_decimals:
            self.rescale(
                max(price_decimals, self.price_decimals), max(quantity_decimals, self.quantity_decimals)
            )
        return (
            10 ** (self.price_decimals - price_decimals),
            10 ** (self.quantity_decimals - quantity_decimals),
        )

    def rescale(self, price_decimals: int, quantity_decimals: int) -> None:
        """Express this bar in finer scales (never coarser ones)."""
        price_factor = 10 ** (price_decimals - self.price_decimals)
        factor = 10 ** (quantity_decimals - self.quantity_decimals)
        self.rows = _rescaled(self.rows, price_factor, factor)
        self.orders.rescale(price_factor, factor)
        self.open = self.open and (*self.open[:2], self.open[2] * price_factor)
        self.close = self.close and (*self.close[:2], self.close[2] * price_factor)
        self.delta, self.delta_high, self.delta_low = (
            self.delta * factor, self.delta_high * factor, self.delta_low * factor
        )  # fmt: skip
        self.price_decimals, self.quantity_decimals = price_decimals, quantity_decimals

    def copy(self) -> "Bar":
        """Return a copy that goes its own way."""
        return attrs.evolve(self, rows=self.rows.copy(), orders=self.orders.copy())

    def absorb(self, later: "Bar") -> None:
        """Merge ``later``, whose span follows this one's, into this bar."""
        price_factor, factor = self._make_room(later.price_decimals, later.quantity_decimals)
        if later.rows:
            self.revision += later.revision + bool(self.rows)
        self._absorb_rows(later.rows, price_factor, factor)
        self.orders.absorb(later.orders, price_factor, factor)
        self.delta_high = max(self.delta_high, self.delta + later.delta_high * factor)
        self.delta_low = min(self.delta_low, self.delta + later.delta_low * factor)
        self.delta += later.delta * factor
        if later.open is not None and (self.open is None or later.open[:2] < self.open[:2]):
            self.open = (*later.open[:2], later.open[2] * price_factor)
        if later.close is not None and (self.close is None or later.close[:2] > self.close[:2]):
            self.close = (*later.close[:2], later.close[2] * price_factor)
        self.exact_path = self.exact_path and later.exact_path
        self.partial = self.partial or later.partial
        self.start, self.end = min(self.start, later.start), max(self.end, later.end)

    def _absorb_rows(self, later: Mapping[int, Row], price_factor: int, factor: int) -> None:
        """Add rows, their numbers multiplied by the factors; nothing else costs as much in a merge."""
        if price_factor != 1 or factor != 1:
            later = _rescaled(later, price_factor, factor)
        rows = self.rows
        if len(later) > len(rows):  # the fewer are added to the more
            rows, later = dict(later), rows
            self.rows = rows
        for price, seen in later.items():
            row = rows.get(price)
            if row is None:
                rows[price] = seen
            else:
                buy, sell, buys, sells = row
                more_buy, more_sell, more_buys, more_sells = seen
                rows[price] = buy + more_buy, sell + more_sell, buys + more_buys, sells + more_sells

    def settle(self) -> None:
        """Forget which taker orders may get more fills: the bar is about to be closed."""
        self.orders.settle()

    @property
    def high(self) -> int | None:
        """The highest price traded."""
        return max(self.rows, default=None)

    @property
    def low(self) -> int | None:
        """The lowest price traded."""
        return min(self.rows, default=None)

    @property
    def buy_volume(self) -> int:
        """What takers bought."""
        return sum(row[0] for row in self.rows.values())

    @property
    def sell_volume(self) -> int:
        """What takers sold."""
        return sum(row[1] for row in self.rows.values())

    @property
    def buy_trades(self) -> int:
        """How many trades had a buying taker."""
        return sum(row[2] for row in self.rows.values())

    @property
    def sell_trades(self) -> int:
        """How many trades had a selling taker."""
        return sum(row[3] for row in self.rows.values())


def _rescaled(rows: Mapping[int, Row], price_factor: int, factor: int) -> dict[int, Row]:
    return {
        price * price_factor: (buy * factor, sell * factor, buys, sells)
        for price, (buy, sell, buys, sells) in rows.items()
    }


def _cut(trades: Trades, first: int, last: int) -> Trades:
    return replace(
        trades,
        ids=trades.ids[first:last],
        times=trades.times[first:last],
        prices=trades.prices[first:last],
        signed_quantities=trades.signed_quantities[first:last],
        counts=trades.counts[first:last],
    )


def _scaled(trades: Trades, price_factor: int, quantity_factor: int) -> Trades:
    return replace(
        trades,
        prices=[price * price_factor for price in trades.prices],
        signed_quantities=[signed * quantity_factor for signed in trades.signed_quantities],
    )


def _ends(times: Sequence[int], ids: Sequence[TradeId]) -> tuple[int, int, bool]:
    """Return where the first and the last trade by (time, id) stand, and whether all are in their order.

    Ids that are names (Bybit's) say nothing of the order within one instant; the order of arrival does.
    """
    if len(ids) == 1:
        return 0, 0, True
    if _rising(times):
        if isinstance(ids[0], str):
            ties, late = bisect_right(times, times[0]), bisect_left(times, times[-1])
            return (
                min(range(ties), key=ids.__getitem__),
                max(range(late, len(ids)), key=ids.__getitem__),
                True,
            )
        if _rising(ids):  # type: ignore[arg-type]  # the first is a number, so all are
            return 0, len(ids) - 1, True
    keys = list(zip(times, ids, strict=True))
    return keys.index(min(keys)), keys.index(max(keys)), keys == sorted(keys)


def _rising(numbers: Sequence[int]) -> bool:
    return list(numbers) == sorted(numbers)  # a fourth of what comparing them one by one costs


def merge(bars: Iterable[Bar], start: int, end: int) -> Bar:
    """Return the merge of ``bars``, ascending in time, as one bar over ``[start, end)``."""
    merged = Bar(start, end)
    for bar in bars:
        merged.absorb(bar)
    merged.start, merged.end = start, end
    return merged


#: A mark whose price is text, as MessagePack's integers end at 64 bits.
_StoredMark = tuple[int, TradeId, str]


class _Stored(msgspec.Struct, array_like=True, frozen=True):
    """A bar as bytes: MessagePack of these fields in this order, the rows in columns ascending by price."""

    format: int
    start: int
    end: int
    price_decimals: int
    quantity_decimals: int
    open: _StoredMark | None
    close: _StoredMark | None
    delta: str
    delta_high: str
    delta_low: str
    exact_path: bool
    revision: int
    partial: bool
    prices: bytes
    buys: bytes
    sells: bytes
    buy_counts: bytes
    sell_counts: bytes
    orders: tuple[tuple[bytes, ...], tuple[bytes, ...], tuple[bytes, ...]] | None = None


_NO_ROWS = (columns.pack([]),) * 4

_decoder = msgspec.msgpack.Decoder(_Stored)
_encoder = msgspec.msgpack.Encoder()


def encode(bar: Bar) -> bytes:
    """Return a bar in the compact form that memory, journal and stores keep."""
    prices = sorted(bar.rows)
    rows = [bar.rows[price] for price in prices]
    buys, sells, buy_counts, sell_counts = map(columns.pack, zip(*rows, strict=True)) if rows else _NO_ROWS
    exact = bytearray()  # what ``encode`` returns keeps the room it grew into: a third more
    _encoder.encode_into(
        _Stored(
            FORMAT, bar.start, bar.end, bar.price_decimals, bar.quantity_decimals,
            bar.open and (*bar.open[:2], str(bar.open[2])), bar.close and (*bar.close[:2], str(bar.close[2])),
            str(bar.delta), str(bar.delta_high), str(bar.delta_low),
            bar.exact_path, bar.revision, bar.partial,
            columns.pack_rising(prices), buys, sells, buy_counts, sell_counts,
            orders.pack(bar.orders),
        ),
        exact,
    )  # fmt: skip
    return bytes(exact)


def outline(data: bytes) -> Bar:
    """Return of a packed bar its span and its highest and lowest price, as rows without any volume.

    Ten times as fast as ``decode``. Raises BarFormatError.
    """
    stored = _stored(data)
    try:
        prices = columns.unpack_rising(stored.prices)
    except ValueError as error:
        raise BarFormatError(f"stored bytes are not a bar: {error}") from error
    rows = dict.fromkeys((*prices[:1], *prices[-1:]), _NOTHING)
    return Bar(stored.start, stored.end, stored.price_decimals, stored.quantity_decimals, rows)


@attrs.frozen
class Digest:
    """What is wanted of a bar without its rows. ``orders``: size number -> taker orders."""

    start: int
    revision: int
    quantity_decimals: int
    delta: int
    orders: Mapping[int, int]
    traded: bool

    @classmethod
    def of(cls, bar: Bar) -> "Digest":
        """Return that of a bar."""
        counted = {number: size[2] + size[3] for number, size in bar.orders.sizes.items()}
        return cls(bar.start, bar.revision, bar.quantity_decimals, bar.delta, counted, bool(bar.rows))


def digest(data: bytes) -> Digest:
    """Return that of a packed bar: a tenth of what ``decode`` costs. Raises BarFormatError."""
    stored = _stored(data)
    try:
        sides = stored.buys, stored.sells, stored.buy_counts, stored.sell_counts
        (rows,) = set(map(columns.length, (stored.prices, *sides)))
        counted = {} if stored.orders is None else orders.counted(stored.orders)
        delta = int(stored.delta)
    except ValueError as error:
        raise BarFormatError(f"stored bytes are not a bar: {error}") from error
    return Digest(stored.start, stored.revision, stored.quantity_decimals, delta, counted, rows > 0)


def _stored(data: bytes) -> _Stored:
    try:
        stored = _decoder.decode(data)
    except msgspec.DecodeError as error:
        raise BarFormatError(f"stored bytes are not a bar: {error}") from error
    if stored.format not in (1, FORMAT):
        raise BarFormatError(
            f"stored bar of format {stored.format}; this version reads formats up to {FORMAT}"
        )
    return stored


def decode(data: bytes) -> Bar:
    """Return the bar that ``encode`` made. Raises BarFormatError if it is not one."""
    stored = _stored(data)
    try:
        rows = zip(
            columns.unpack(stored.buys),
            columns.unpack(stored.sells),
            columns.unpack(stored.buy_counts),
            columns.unpack(stored.sell_counts),
            strict=True,
        )
        prices = columns.unpack_rising(stored.prices)
        return Bar(
            stored.start, stored.end, stored.price_decimals, stored.quantity_decimals,
            dict(zip(prices, rows, strict=True)),
            stored.open and (*stored.open[:2], int(stored.open[2])),
            stored.close and (*stored.close[:2], int(stored.close[2])),
            int(stored.delta), int(stored.delta_high), int(stored.delta_low),
            stored.exact_path, stored.revision, stored.partial,
            Orders() if stored.orders is None else orders.unpack(stored.orders),
        )  # fmt: skip
    except ValueError as error:
        raise BarFormatError(f"stored bytes are not a bar: {error}") from error
