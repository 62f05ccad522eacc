"""Runs of trades, cut and sifted."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from msgspec.structs import replace

from wadm.market import IdKind, TradeId, Trades


def within(trades: Trades, start: int, end: int) -> Trades:
    """Return the trades of ``[start, end)`` (µs), the run itself where that is all of them."""
    times = trades.times
    if start <= min(times, default=start) and max(times, default=start) < end:
        return trades
    return picked(trades, [index for index, time in enumerate(times) if start <= time < end])


def distinct(runs: Iterable[Trades]) -> Iterator[Trades]:
    """Yield the runs of one symbol without the trades that came before (over another connection, say)."""
    seen: set[tuple[IdKind, TradeId]] = set()
    for trades in runs:
        fresh: list[int] = []
        for index, trade_id in enumerate(trades.ids):
            name = trades.id_kind, trade_id
            if name not in seen:
                seen.add(name)
                fresh.append(index)
        if fresh:
            yield trades if len(fresh) == len(trades) else picked(trades, fresh)


def picked(trades: Trades, chosen: Sequence[int]) -> Trades:
    """Return the trades at these indexes of a run."""
    return replace(
        trades,
        ids=[trades.ids[index] for index in chosen],
        times=[trades.times[index] for index in chosen],
        prices=[trades.prices[index] for index in chosen],
        signed_quantities=[trades.signed_quantities[index] for index in chosen],
        counts=[trades.counts[index] for index in chosen],
    )


def joined(runs: Iterable[Trades]) -> Iterator[Trades]:
    """Yield runs of one symbol, in their order; those of one kind and the same decimals become one."""
    for _, group in groupby(runs, lambda run: (run.id_kind, run.price_decimals, run.quantity_decimals)):
        first, *more = group
        found = [first, *more]
        yield (
            replace(
                first,
                ids=[one for run in found for one in run.ids],
                times=[time for run in found for time in run.times],
                prices=[price for run in found for price in run.prices],
                signed_quantities=[signed for run in found for signed in run.signed_quantities],
                counts=[count for run in found for count in run.counts],
            )
            if more
            else first
        )


def ordered(runs: Iterable[Trades]) -> Trades | None:
    """Return runs of one symbol as one, in their order by (time, id), at the finest decimals among them.

    Ids that are names say nothing of the order within one instant; there, the order of arrival stands. None
    where there is no trade.
    """
    found = [run for run in runs if len(run)]
    if not found:
        return None
    prices = max(run.price_decimals for run in found)
    quantities = max(run.quantity_decimals for run in found)
    rows = [row for run in found for row in _rows(run, prices, quantities)]
    rows.sort(key=lambda row: (row[1], row[0] if isinstance(row[0], int) else 0))
    ids, times, scaled, signed, counts = zip(*rows, strict=True)
    return replace(
        found[0], price_decimals=prices, quantity_decimals=quantities,
        ids=ids, times=times, prices=scaled, signed_quantities=signed, counts=counts,
    )  # fmt: skip


def _rows(run: Trades, prices: int, quantities: int) -> Iterator[tuple[TradeId, int, int, int, int]]:
    """Yield a run's trades one by one, scaled to these decimals."""
    factor, finer = 10 ** (prices - run.price_decimals), 10 ** (quantities - run.quantity_decimals)
    columns = (run.ids, run.times, run.prices, run.signed_quantities, run.counts)
    for trade_id, time, price, signed, count in zip(*columns, strict=True):
        yield trade_id, time, price * factor, signed * finer, count
