"""The footprint: a bar's buying and selling by row, and where one side overran the other.

Diagonal imbalance with ratio R: taker buying at a row against taker selling one row below (``buy`` where
ask_volume(p) ≥ R · bid_volume(p-1)), taker selling at a row against taker buying one row above (``sell``
where bid_volume(p) ≥ R · ask_volume(p+1)); ask_volume is what takers bought, bid_volume what they sold. The
stronger side must reach a minimum volume, and more than nothing: against a row without volume, or beyond the
bar's range, that alone decides. Stacked: at least so many consecutive rows of the same side.

The comparison is the one of footprint charts (J. Dalton speaks of initiative and responsive activity; the
diagonal is the industry's: an aggressive buyer lifts the ask one row above the bid that sellers hit).
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import attrs

from wadm.bar import Row

ALGORITHM = "footprint/1"


@attrs.frozen
class Imbalances:
    """Row numbers of buying and of selling imbalances, ascending."""

    buy: tuple[int, ...]
    sell: tuple[int, ...]


@attrs.frozen
class Stack:
    """Consecutive rows ``low``..``high`` of imbalances on one ``side``, buy or sell."""

    side: str
    low: int
    high: int


def imbalances(rows: Mapping[int, Row], ratio: Decimal, minimum: int) -> Imbalances:
    """Return the diagonal imbalances of a bar's rows; ``minimum`` is scaled as their volumes are."""
    numerator, denominator = ratio.as_integer_ratio()

    def overruns(strong: int, weak: int) -> bool:
        return strong > 0 and strong >= minimum and strong * denominator >= weak * numerator

    def seen(row: int, side: int) -> int:
        return rows[row][side] if row in rows else 0

    numbers = sorted(rows)
    return Imbalances(
        tuple(row for row in numbers if overruns(rows[row][0], seen(row - 1, 1))),
        tuple(row for row in numbers if overruns(rows[row][1], seen(row + 1, 0))),
    )


def stacked(found: Imbalances, least: int) -> list[Stack]:
    """Return the stacks of at least ``least`` rows, buying ones first, ascending."""
    return [
        Stack(side, low, high)
        for side, rows in (("buy", found.buy), ("sell", found.sell))
        for low, high in _runs(rows)
        if high - low + 1 >= least
    ]


def _runs(rows: Sequence[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for row in rows:
        if runs and runs[-1][1] == row - 1:
            runs[-1] = (runs[-1][0], row)
        else:
            runs.append((row, row))
    return runs
