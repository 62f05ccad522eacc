"""Runs of trades, cut and sifted."""

from collections.abc import Iterable, Iterator, Sequence

import attrs

from wadm.market import IdKind, TradeId, Trades


def within(trades: Trades, start: int, end: int) -> Trades:
    """Return the trades of ``[start, end)`` (µs), the run itself where that is all of them."""
    times = trades.times
    if start <= min(times, default=start) and max(times, default=start) < end:
        return trades
    return _picked(trades, [index for index, time in enumerate(times) if start <= time < end])


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
            yield trades if len(fresh) == len(trades) else _picked(trades, fresh)


def _picked(trades: Trades, chosen: Sequence[int]) -> Trades:
    return attrs.evolve(
        trades,
        ids=[trades.ids[index] for index in chosen],
        times=[trades.times[index] for index in chosen],
        prices=[trades.prices[index] for index in chosen],
        signed_quantities=[trades.signed_quantities[index] for index in chosen],
        counts=[trades.counts[index] for index in chosen],
    )
