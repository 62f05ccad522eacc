"""Taker orders: the fills of one taker taken together, counted by size, the largest kept.

An aggregate trade is one taker's order at one price as the exchange itself merged it. Single trades name no
order: fills of the same time and side are taken for one taker's, which is an approximation (two takers can
meet in one millisecond).

Sizes are notional values in the quote asset, counted in ten steps a decade (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6,
8), so that every power of ten is an edge and a quantile is exact to the step.
"""

import heapq
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import attrs

from wadm import columns
from wadm.market import SECOND, IdKind, Trades

#: The largest orders a bar keeps one by one. All others are in the counts.
LARGEST = 50

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


#: Orders that may still get fills are kept by the time (µs) in which they lie: what has not changed since it
#: was last looked at is neither copied nor counted again.
SPAN = SECOND // 2


@attrs.define
class Filling:
    """The orders of one ``SPAN`` that may still get fills, by name; left as it is once ``shared``."""

    orders: dict[int, list[int]] = attrs.field(factory=dict)
    shared: bool = attrs.field(default=False, eq=False)
    _counted: "tuple[int, dict[int, Size], list[Order]] | None" = attrs.field(
        default=None, init=False, eq=False
    )

    def touched(self) -> "Filling":
        """Return one that may be changed: this, or a copy."""
        if self.shared:
            return Filling({name: order.copy() for name, order in self.orders.items()})
        self._counted = None
        return self

    def counted(self, decimals: int) -> tuple[dict[int, Size], list[Order]]:
        """Return the orders by their sizes, and the largest of them; nobody changes what is returned."""
        if self._counted is None or self._counted[0] != decimals:
            orders = [Order(*order) for order in self.orders.values()]
            self._counted = decimals, _by_size(orders, decimals), _largest(orders)
        return self._counted[1:]


@attrs.define
class Orders:
    """The taker orders of a bar. ``filling`` may still get fills; ``settle`` counts them among ``sizes``.

    Which fills belong together is read from the fills alone, not from the order they came in.
    """

    filling: dict[int, Filling] = attrs.field(factory=dict)
    sizes: dict[int, Size] = attrs.field(factory=dict)
    largest: list[Order] = attrs.field(factory=list)

    def copy(self) -> "Orders":
        """Return a copy: what is filling is copied once it changes."""
        for one in self.filling.values():
            one.shared = True
        sizes = {number: size.copy() for number, size in self.sizes.items()}
        return Orders(self.filling.copy(), sizes, self.largest)

    def fold(self, trades: Trades, first: int, last: int, price_factor: int, quantity_factor: int) -> None:
        """Add the trades of ``trades[first:last]``, their numbers multiplied by the factors."""
        times, ids, counts = trades.times, trades.ids, trades.counts
        prices, signed_quantities = trades.prices, trades.signed_quantities
        merged = trades.id_kind is IdKind.AGG_TRADE
        begin = end = 0
        filling: dict[int, list[int]] = {}
        for index in range(first, last):
            signed = signed_quantities[index] * quantity_factor
            notional = prices[index] * price_factor * (signed if signed > 0 else -signed)
            time = times[index]
            if not begin <= time < end:
                begin = time - time % SPAN
                end, filling = begin + SPAN, self._touched(begin)
            # An aggregate's id is the order's; else time and side are. Times are positive, ids too.
            name = -ids[index] - 1 if merged else 2 * time + (signed > 0)  # type: ignore[operator]
            order = filling.get(name)
            if order is None:
                filling[name] = [time, signed, notional, counts[index]]
            else:
                order[1] += signed
                order[2] += notional
                order[3] += counts[index]

    def _touched(self, begin: int) -> dict[int, list[int]]:
        """Return the orders of the span that begins there, to be changed."""
        one = self.filling.get(begin)
        one = self.filling[begin] = Filling() if one is None else one.touched()
        return one.orders

    def settle(self, decimals: int) -> None:
        """Count what was filling; ``decimals`` are those of price and quantity together."""
        if self.filling:
            filling, self.filling = self.filling, {}
            self._count(filling.values(), decimals, 1, 1)

    def _count(
        self, filling: Iterable[Filling], decimals: int, price_factor: int, quantity_factor: int
    ) -> None:
        tops = []
        for one in filling:
            sizes, top = one.counted(decimals)
            self._add(sizes, quantity_factor)
            tops.append(top)
        if tops:
            # Each is in the order of size already: of most only the first is looked at.
            largest = islice(heapq.merge(*tops, key=_size_first, reverse=True), LARGEST)
            self._keep_largest(_rescaled(largest, price_factor, quantity_factor))

    def _add(self, sizes: Mapping[int, Size], quantity_factor: int) -> None:
        for number, (buy, sell, buys, sells) in sizes.items():
            size = self.sizes.get(number)
            if size is None:
                self.sizes[number] = [buy * quantity_factor, sell * quantity_factor, buys, sells]
            else:
                size[0] += buy * quantity_factor
                size[1] += sell * quantity_factor
                size[2] += buys
                size[3] += sells

    def absorb(self, later: "Orders", decimals: int, price_factor: int, quantity_factor: int) -> None:
        """Count the orders of a later bar, whose numbers are multiplied by the factors.

        ``decimals`` are the later bar's, of price and quantity together.
        """
        self._count(later.filling.values(), decimals, price_factor, quantity_factor)
        self._add(later.sizes, quantity_factor)
        self._keep_largest(_rescaled(later.largest, price_factor, quantity_factor))

    def rescale(self, price_factor: int, quantity_factor: int) -> None:
        """Multiply the numbers by the factors."""
        factor = price_factor * quantity_factor
        for begin in list(self.filling):
            for order in self._touched(begin).values():
                order[1] *= quantity_factor
                order[2] *= factor
        for size in self.sizes.values():
            size[0] *= quantity_factor
            size[1] *= quantity_factor
        self.largest = list(_rescaled(self.largest, price_factor, quantity_factor))

    def _keep_largest(self, orders: Iterable[Order]) -> None:
        """Keep the largest, in the order of their times; of equal ones the earlier."""
        self.largest = sorted(_largest((*self.largest, *orders)))


def _largest(orders: Iterable[Order]) -> list[Order]:
    return heapq.nlargest(LARGEST, orders, key=_size_first)


def _by_size(orders: Iterable[Order], decimals: int) -> dict[int, Size]:
    """Return orders counted by size; ``decimals`` are those of price and quantity together."""
    scale, sizes = 10**decimals, dict[int, Size]()
    for _, signed, notional, _ in orders:
        number = bisect_right(EDGES, notional * 10**SIZE_DECIMALS // scale)
        size = sizes.get(number)
        if size is None:
            size = sizes[number] = [0, 0, 0, 0]
        if signed > 0:
            size[0] += signed
            size[2] += 1
        else:
            size[1] -= signed
            size[3] += 1
    return sizes


def _size_first(order: Order) -> tuple[int, int, int, int]:
    return order.notional, -order.time, order.signed_quantity, order.fills


def _rescaled(orders: Iterable[Order], price_factor: int, quantity_factor: int) -> Iterable[Order]:
    if price_factor == quantity_factor == 1:
        return orders
    factor = price_factor * quantity_factor
    return (
        Order(time, signed * quantity_factor, notional * factor, fills)
        for time, signed, notional, fills in orders
    )


def pack(orders: Orders) -> tuple[tuple[bytes, ...], tuple[bytes, ...], tuple[bytes, ...]]:
    """Return sizes, largest and filling as columns."""
    sizes = sorted(orders.sizes.items())
    filling = sorted(order for one in orders.filling.values() for order in one.orders.items())
    return (
        (columns.pack([number for number, _ in sizes]), *_packed([size for _, size in sizes])),
        _packed(orders.largest),
        (columns.pack([name for name, _ in filling]), *_packed([order for _, order in filling])),
    )


def unpack(packed: tuple[tuple[bytes, ...], tuple[bytes, ...], tuple[bytes, ...]]) -> Orders:
    """Return what ``pack`` made. Raises ColumnError or ValueError if it is not that."""
    sizes, largest, filling = packed
    return Orders(
        _unpacked_filling(filling),
        _unpacked_by_name(sizes),
        [Order(*row) for row in zip(*map(columns.unpack, largest), strict=True)],
    )


def _packed(rows: Sequence[Sequence[int]]) -> tuple[bytes, ...]:
    return tuple(columns.pack([row[index] for row in rows]) for index in range(4))


def _unpacked_filling(packed: tuple[bytes, ...]) -> dict[int, Filling]:
    found: dict[int, Filling] = {}
    for name, order in _unpacked_by_name(packed).items():
        found.setdefault(order[0] - order[0] % SPAN, Filling()).orders[name] = order
    return found


def _unpacked_by_name(packed: tuple[bytes, ...]) -> dict[int, list[int]]:
    return {name: row for name, *row in zip(*map(columns.unpack, packed), strict=True)}
