"""Batches on their way: one source of a symbol's trades is folded, whatever else a recording holds of it."""

from pathlib import Path

import pytest
import trio
from spine import BITCOIN, FakeExchange, folded, plan_of, spine, trade, unordered, until

from actors.plan import Plan
from wadm.market import IdKind

#: 2024-08-09T00:00:00Z
START = 1_723_161_600_000_000
KEY = BITCOIN.key


def aggregate(number: int, first: int, last: int, at: int) -> bytes:
    """Return the same trades as one aggregate."""
    fields = f'"e":"aggTrade","E":{at // 1000},"s":"BTCUSDT","a":{number},"p":"100","q":"{last - first + 1}"'
    data = f'{{{fields},"f":{first},"l":{last},"T":{at // 1000},"m":false,"M":true}}'
    return f'{{"stream":"btcusdt@aggTrade","data":{data}}}'.encode()


def both() -> tuple[list[bytes], list[bytes]]:
    """Return trades, and every two of them as an aggregate. Some aggregates are missing."""
    singles = [trade(number, START + number * 1_000_000) for number in range(1, 101)]
    pairs = [
        aggregate(7_000 + number, number, number + 1, START + number * 1_000_000)
        for number in range(1, 101, 2)
        if number not in (31, 33)
    ]
    return singles, pairs


def only(source: IdKind) -> Plan:
    plan = plan_of(instruments=[BITCOIN])
    return Plan(plan.instruments, {KEY: source}, plan.connections, playback=True, rest={})


@pytest.mark.parametrize("source", list(IdKind))
async def test_of_two_sources_of_the_same_trades_one_is_folded(tmp_path: Path, source: IdKind) -> None:
    singles, pairs = both()
    frames = [*singles[:50], *pairs[:25], *singles[50:], *pairs[25:]]
    with trio.fail_after(20):
        async with spine(tmp_path, FakeExchange(frames, sizes=lambda: 7), only(source)) as running:
            await running.complete()
            account = running.runtime.ledger.account(KEY)
            assert account.received == len(frames)
            taken, left = (singles, pairs) if source is IdKind.TRADE else (pairs, singles)
            assert account.applied == len(taken)
            assert account.rejected == {"second_source": len(left)}
            assert running.balanced()
            bar = running.merged(running.bars(KEY))
            assert sum(buy for buy, *_ in bar.rows.values()) == (100 if taken is singles else 96) * 10**5
            # What the other source lacks is no gap of this symbol.
            gaps = running.runtime.symbols[KEY].gaps.known
            assert bool(gaps) == (source is IdKind.AGG_TRADE)
            if source is IdKind.TRADE:
                assert unordered(running.bars(KEY)) == unordered(folded(singles)[KEY])


async def test_after_a_start_it_is_still_the_same_source(tmp_path: Path) -> None:
    singles, pairs = both()
    with trio.fail_after(20):
        first = FakeExchange([*singles[:60], *pairs[:30]], hold=trio.Event())
        async with spine(tmp_path, first, only(IdKind.TRADE)) as running:
            await until(lambda: running.runtime.ledger.account(KEY).applied == 60)
        async with spine(tmp_path, FakeExchange([*singles[60:], *pairs[30:]]), only(IdKind.TRADE)) as again:
            await again.complete()
            assert again.runtime.symbols[KEY].gaps.known == []
            assert unordered(again.bars(KEY)) == unordered(folded(singles)[KEY])
