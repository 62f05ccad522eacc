"""A recording played as Bybit plays, whose ids show no gap: what a lost connection cost is suspected.

The recording is one of Binance, its trades re-framed in Bybit's format by the local exchange.
"""

import gzip
from collections import Counter
from pathlib import Path

import attrs
import msgspec
import pytest
import trio
from spine import CAPTURES

from actors import plan
from actors.crews import Reconnecting
from actors.daemon import open_daemon
from actors.memory import SymbolMemory
from actors.playback.faults import DISCONNECT, SILENCE, Fault
from actors.playback.process import local_exchange
from supervision import Backoff, BreakerPolicy
from wadm.coverage import SuspectedGap
from wadm.market import MILLISECOND
from wadm.sections import HttpSettings
from wadm.settings import Settings

#: 974 trades in 178 s, among other frames: fewer than Bybit gives of a contract, more than of a spot symbol.
RECORDED = CAPTURES / "usdm_btcusdt_20240718.gz"
SPEED = 60


def trade_times() -> list[int]:
    """Return the times of the recorded trades, µs."""
    with gzip.open(RECORDED) as lines:
        bodies = (line.partition(b" ")[2] for line in lines if b'"e":"trade"' in line)
        found = [msgspec.json.decode(body)["data"] for body in bodies]
    return [trade["T"] * MILLISECOND for trade in found if trade["X"] == "MARKET"]


@attrs.frozen
class Played:
    """What came of it; ``states`` are those that suspected gaps were recorded in."""

    memory: SymbolMemory
    ledger: dict[str, object]
    states: Counter[str]


async def play(exchange: str, faults: list[Fault], directory: Path) -> Played:
    """Play it with faults."""
    reconnecting = Reconnecting(
        Backoff(minimum=0.01, maximum=0.02, reset_after=0.1),
        BreakerPolicy(window=500, minimum_calls=500, failure_rate=1.0, open_seconds=0.1),
        quiet_after=0.6,
        lifetime=None,
    )
    with trio.fail_after(60):
        async with local_exchange([RECORDED], exchange=exchange, speed=SPEED, faults=faults) as server:
            what = plan.recorded(exchange, server.url, server.rest_url, server.streams, {})
            settings = Settings(http=HttpSettings(port=0))
            async with open_daemon(settings, what, directory, reconnecting=reconnecting) as daemon:
                async with trio.open_nursery() as nursery:
                    await nursery.start(daemon.run)
                    await daemon.runtime.complete()
                    daemon.stop()
                (memory,) = daemon.runtime.symbols.values()
                records = daemon.runtime.journal.gaps(exchange, "BTCUSDT", 0)
                states = Counter(one.state for one in records if isinstance(one.gap, SuspectedGap))
                return Played(memory, daemon.runtime.statement(), states)


async def test_what_a_lost_connection_cost_is_filled_and_nothing_is_suspected_any_more(
    tmp_path: Path,
) -> None:
    faults = [Fault(at, DISCONNECT) for at in (800, 1_600, 2_400, 3_200)]
    played = await play("bybit", faults, tmp_path)
    memory, ledger = played.memory, played.ledger
    assert ledger["applied"] == len(trade_times())
    assert ledger["balanced"]
    assert memory.gaps.known == []
    assert played.states["open"] == played.states["filled"] >= 2
    bars = [memory.closed.get(start) for start in memory.closed.starts]
    assert sum(bar.buy_trades + bar.sell_trades for bar in bars if bar) == len(trade_times())


@pytest.mark.parametrize("exchange", ["bybit_spot"])
async def test_what_could_not_be_filled_lies_in_a_suspected_gap(tmp_path: Path, exchange: str) -> None:
    played = await play(exchange, [Fault(1_500, SILENCE, 1.0)], tmp_path)
    memory, ledger = played.memory, played.ledger
    assert ledger["balanced"]
    missing = len(trade_times()) - int(str(ledger["applied"]))
    suspected = [one.gap for one in memory.gaps.known if isinstance(one.gap, SuspectedGap)]
    assert all(one.state == "unfillable" for one in memory.gaps.known)
    within = sum(any(gap.first <= at <= gap.last for gap in suspected) for at in trade_times())
    assert 0 < missing <= within
