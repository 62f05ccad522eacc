"""Taker orders: the fills of one taker taken together, counted by size, the largest kept.

An aggregate trade is one taker's order at one price as the exchange itself merged it. Single trades name no
order: fills of the same time and side are taken for one taker's, which is an approximation (two takers can
meet in one millisecond).

Sizes are notional values in the quote asset, counted in ten steps a decade (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6,
8), so that every power of ten is an edge and a quantile is exact to the step.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import cache
from operator import add
from typing import NamedTuple

import attrs

from wadm import columns
from wadm.market import SECOND, IdKind, Trades

#: The largest orders a bar keeps one by one. All others are in the counts.
LARGEST = 50

#: So many candidates for them may gather before all but the largest are let go.
_CANDIDATES = 4 * LARGEST

#: Decimals of the notional values that sizes are told apart by.
SIZE_DECIMALS = 8
_STEPS = (10, 12, 15, 20, 25, 30, 40, 50, 60, 80)
#: Lower edges of the sizes, in units of 10**-8 of the quote asset: from 10**-6 up to 10**10.
EDGES: tuple[int, ...] = tuple(step * 10**decade for decade in range(1, 18) for step in _STEPS)

#: What one size saw: [taker-buy volume, taker-sell volume, buy orders, sell orders].
Size = list[int]


class Order(NamedTuple):
    """One taker's fills. ``signed_quantity`` and ``notional`` are scaled as their bar's volumes are.

    ``time`` (µs) is that of the fill which opened it, ``fills`` how many trades it was filled with.
    ``notional`` is price times quantity, scaled by both scales together.
    """

    time: int
    signed_quantity: int
    notional: int
    fills: int


#: An order while its bar is open: the fields of ``Order``, without the time it takes to give them names.
_Plain = tuple[int, int, int, int]

#: Orders that may still get fills are kept by the time (µs) in which they lie: a copy of a bar shares what
#: does not change any more.
SPAN = SECOND // 2


def _canonical(orders: Sequence[_Plain]) -> list[_Plain]:
    """Return the largest of these, in the order of their times; of equal ones the earlier."""
    if len(orders) > LARGEST:
        least = sorted(notional for _, _, notional, _ in orders)[-LARGEST]
        first = sorted((order for order in orders if order[2] >= least), key=_size_first, reverse=True)
        orders = first[:LARGEST]
    return sorted(orders)


def _size_first(order: _Plain) -> tuple[int, int, int, int]:
    time, signed, notional, fills = order
    return notional, -time, signed, fills


@attrs.define
class Orders:
    """The taker orders of a bar, counted in ``sizes`` as they come.

    One that gets another fill is counted again in place of what it was: which fills belong together is read
    from the fills alone, not from the order they came in. ``filling`` knows the orders that may get more by
    span and name, until ``settle``.
    """

    sizes: dict[int, Size] = attrs.field(factory=dict)
    #: Every order that may be among the largest, in any order. Orders only grow: one that was smaller than
    #: ``_least`` comes here when it no longer is.
    _candidates: list[_Plain] = attrs.field(factory=list, alias="largest", eq=_canonical)
    _least: int = attrs.field(default=0, init=False, eq=False)
    filling: dict[int, dict[int, _Plain]] = attrs.field(factory=dict, init=False, eq=False)
    #: Those spans of ``filling`` that no copy has in common with this.
    _own: dict[int, dict[int, _Plain]] = attrs.field(factory=dict, init=False, eq=False)

    @property
    def largest(self) -> list[Order]:
        """The ``LARGEST`` largest orders, in the order of their times; of equal ones the earlier."""
        return [Order(*order) for order in _canonical(self._candidates)]

    def copy(self) -> "Orders":
        """Return a copy that goes its own way: a span is copied once it changes."""
        sizes = {number: size.copy() for number, size in self.sizes.items()}
        copied = Orders(sizes, self._candidates.copy())
        copied._least, copied.filling = self._least, self.filling.copy()
        self._own = {}
        return copied

    def fold(self, trades: Trades, decimals: int) -> None:
        """Add trades; ``decimals`` are those of price and quantity together."""
        if trades.id_kind is IdKind.AGG_TRADE:
            self._fold_whole(trades, _edges(decimals))
        else:
            self._fold_fills(trades, _edges(decimals))

    def _fold_whole(self, trades: Trades, edges: Sequence[int]) -> None:
        """Count trades each of which is an order, whole as it comes, and comes once."""
        sizes, candidates, least = self.sizes, self._candidates, self._least
        arrived = zip(trades.times, trades.prices, trades.signed_quantities, trades.counts)  # noqa: B905 -- equal
        for time, price, signed, fills in arrived:
            notional = price * signed if signed > 0 else -price * signed
            number = bisect_right(edges, notional)
            size = sizes.get(number)
            if size is None:
                size = sizes[number] = [0, 0, 0, 0]
            if signed > 0:
                size[0] += signed
                size[2] += 1
            else:
                size[1] -= signed
                size[3] += 1
            if notional >= least:
                candidates.append((time, signed, notional, fills))
        self._sift()

    def _fold_fills(self, trades: Trades, edges: Sequence[int]) -> None:
        """Count trades that are fills of orders named by time and side; those of one mostly come in a row."""
        last, signed, notional, fills = -1, 0, 0, 0
        arrived = zip(trades.times, trades.prices, trades.signed_quantities, trades.counts)  # noqa: B905 -- equal
        for time, price, quantity, count in arrived:
            name = 2 * time + (quantity > 0)
            if name != last:
                if last >= 0:
                    self._fill(last, signed, notional, fills, edges)
                last, signed, notional, fills = name, 0, 0, 0
            signed += quantity
            notional += price * quantity
            fills += count
        self._fill(last, signed, notional, fills, edges)
        self._sift()

    def _fill(self, name: int, signed: int, notional: int, fills: int, edges: Sequence[int]) -> None:
        """Count an order, together with the fills that came before in place of what it was then."""
        time = name // 2
        begin = time - time % SPAN
        filling = self._own.get(begin)
        if filling is None:
            filling = self._own[begin] = self.filling[begin] = self.filling.get(begin, {}).copy()
        notional = abs(notional)
        before = filling.get(name)
        if before is not None:
            self._uncount(before, edges)
            signed, notional, fills = signed + before[1], notional + before[2], fills + before[3]
        order = filling[name] = (time, signed, notional, fills)
        size = self.sizes.setdefault(bisect_right(edges, notional), [0, 0, 0, 0])
        if signed > 0:
            size[0] += signed
            size[2] += 1
        else:
            size[1] -= signed
            size[3] += 1
        if notional >= self._least:
            self._candidates.append(order)

    def _uncount(self, order: _Plain, edges: Sequence[int]) -> None:
        _, signed, notional, _ = order
        number = bisect_right(edges, notional)
        size = self.sizes[number]
        if signed > 0:
            size[0] -= signed
            size[2] -= 1
        else:
            size[1] += signed
            size[3] -= 1
        if not (size[2] or size[3]):
            del self.sizes[number]
        if notional >= self._least:
            candidates = self._candidates
            for place in reversed(
                range(len(candidates))
            ):  # what is still filling was mostly the last to come
                if candidates[place] == order:
                    del candidates[place]
                    break

    def _sift(self) -> None:
        """Let all but the largest candidates go, once there are many."""
        if len(self._candidates) > _CANDIDATES:
            self._candidates = _canonical(self._candidates)
            self._least = min(notional for _, _, notional, _ in self._candidates)

    def settle(self) -> None:
        """Forget which orders may get more fills: the bar is about to be closed."""
        self.filling, self._own = {}, {}
        self._candidates = _canonical(self._candidates)

    def absorb(self, later: "Orders", price_factor: int, quantity_factor: int) -> None:
        """Count the orders of a later bar, whose numbers are multiplied by the factors."""
        for number, (buy, sell, buys, sells) in later.sizes.items():
            size = self.sizes.get(number)
            if size is None:
                self.sizes[number] = [buy * quantity_factor, sell * quantity_factor, buys, sells]
            else:
                size[0] += buy * quantity_factor
                size[1] += sell * quantity_factor
                size[2] += buys
                size[3] += sells
        theirs, least = _rescaled(later._candidates, price_factor, quantity_factor), self._least  # noqa: SLF001 -- of its own class
        self._candidates += [order for order in theirs if order[2] >= least]
        self._sift()

    def rescale(self, price_factor: int, quantity_factor: int) -> None:
        """Multiply the numbers by the factors."""
        for size in self.sizes.values():
            size[0] *= quantity_factor
            size[1] *= quantity_factor
        self._candidates = list(_rescaled(self._candidates, price_factor, quantity_factor))
        self._least *= price_factor * quantity_factor
        for begin, orders in self.filling.items():
            rescaled = _rescaled(orders.values(), price_factor, quantity_factor)
            self._own[begin] = dict(zip(orders, rescaled, strict=True))
        self.filling = self._own.copy()


@cache
def _edges(decimals: int) -> tuple[int, ...]:
    """Return ``EDGES`` in notional values of so many decimals, rounded up: what reaches one reaches both."""
    scale = 10**decimals
    return tuple(-(-edge * scale // 10**SIZE_DECIMALS) for edge in EDGES)


def _rescaled(orders: Iterable[_Plain], price_factor: int, quantity_factor: int) -> Iterable[_Plain]:
    if price_factor == quantity_factor == 1:
        return orders
    factor = price_factor * quantity_factor
    return (
        (time, signed * quantity_factor, notional * factor, fills) for time, signed, notional, fills in orders
    )


#: Where orders stood that may still get fills, when they were counted later: no closed bar has any.
_NO_FILLING = (columns.pack([]),) * 5

Packed = tuple[tuple[bytes, ...], tuple[bytes, ...], tuple[bytes, ...]]


def pack(orders: Orders) -> Packed:
    """Return sizes and largest as columns."""
    sizes = sorted(orders.sizes.items())
    return (
        (columns.pack([number for number, _ in sizes]), *_packed([size for _, size in sizes])),
        _packed(_canonical(orders._candidates)),  # noqa: SLF001 -- as ``largest``, but for the names
        _NO_FILLING,
    )


def unpack(packed: Packed) -> Orders:
    """Return what ``pack`` made. Raises ColumnError or ValueError if it is not that."""
    sizes, largest, filling = packed
    if filling != _NO_FILLING:
        raise ValueError("it has taker orders that are not counted yet")
    return Orders(
        {number: size for number, *size in zip(*map(columns.unpack, sizes), strict=True)},
        list(zip(*map(columns.unpack, largest), strict=True)),
    )


def counted(packed: Packed) -> dict[int, int]:
    """Return of what ``pack`` made how many orders there are of each size. Raises ColumnError."""
    numbers, _, _, buys, sells = map(columns.unpack, packed[0])
    return dict(zip(numbers, map(add, buys, sells), strict=True))


def _packed(rows: Sequence[Sequence[int]]) -> tuple[bytes, ...]:
    return tuple(columns.pack(column) for column in zip(*rows, strict=True)) or (columns.pack([]),) * 4
