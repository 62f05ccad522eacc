"""Connections that are replaced or cut during a replay, over real sockets: no id is lost."""

import time
from collections.abc import Sequence
from pathlib import Path

import attrs
import pytest
import trio
import trio_websocket
from bench import Bench, ids
from rest_server import RestServer
from spine import BITCOIN, CAPTURES, ETHER, STREAMS

from actors import plan
from actors.connections.connection import END_OF_CAPTURE
from actors.connections.websocket import open_websocket
from actors.crews import Reconnecting
from actors.daemon import open_daemon
from actors.playback.capture import read_capture
from actors.playback.faults import SHUTDOWN, Fault
from actors.playback.process import local_exchange
from supervision import Backoff, BreakerPolicy
from wadm.market import Trades
from wadm.sections import HttpSettings
from wadm.settings import Settings

SPOT = [CAPTURES / "spot_btcusdt_20240808_trades.gz", CAPTURES / "spot_ethusdt_20240808_trades.gz"]
#: 345 s of recording in some five seconds.
SPEED = 70

AT_ONCE = Reconnecting(
    Backoff(minimum=0.01, maximum=0.02, reset_after=0.1),
    BreakerPolicy(window=500, minimum_calls=500, failure_rate=1.0, open_seconds=0.1),
    quiet_after=None,
    lifetime=None,
)


def recorded_ids() -> dict[str, list[int]]:
    """Return the trade ids of the recording, by symbol key, in their order."""
    found: dict[str, list[int]] = {BITCOIN.key: [], ETHER.key: []}
    bench = Bench(None, connect=open_websocket)  # nobody connects
    codec = bench.connection.make_codec()
    for frame in read_capture(SPOT).frames:
        for event in codec.receive([frame.body], time.time_ns() // 1_000):
            if isinstance(event, Trades):
                found[event.key] += [int(one) for one in event.ids]
    return found


@pytest.mark.parametrize("forced", ["shutdown", "lifetime"])
async def test_a_forced_rollover_during_a_replay_loses_no_id_and_counts_what_came_twice(forced: str) -> None:
    faults = [Fault(3_000, SHUTDOWN, 4.0)] if forced == "shutdown" else []
    async with local_exchange(SPOT, exchange="binance", speed=SPEED, faults=faults) as exchange:
        bench = Bench(
            None,
            playback=True,
            patience=None,
            lifetime=None if forced == "shutdown" else 2.0,
            url=f"{exchange.url}/stream",
            connect=open_websocket,
        )
        await bench.run()
    wanted = recorded_ids()
    for key in (BITCOIN.key, ETHER.key):
        # Nothing is asked for over REST here: all of it came over one link or the other.
        assert sorted(ids(bench.batches(key))) == wanted[key]
        assert bench.symbols[key].gaps.open == []
        assert bench.ledger.account(key).received == len(wanted[key]) + bench.ledger.account(key).duplicate
    assert bench.memory.rollovers >= 1
    assert bench.memory.reconnects == 0
    assert bench.ledger.total().duplicate > 100
    assert bench.memory.state == "ended"


@attrs.define(eq=False)
class Leaking:
    """Serves trades, so many of them (``sent``) to each client, after whom so many more are ``lost``.

    Once that has happened ``left`` times, the last client gets what is left.
    """

    frames: Sequence[bytes]
    left: int
    sent: int = 80
    lost: int = 40
    position: int = 0

    async def serve(self, request: trio_websocket.WebSocketRequest) -> None:
        connection = await request.accept()
        try:
            await connection.get_message()
            await connection.send_message('{"result":null,"id":1}')
            stop = self.position + self.sent if self.left else len(self.frames)
            for frame in self.frames[self.position : stop]:
                await connection.send_message(frame.decode())
            if not self.left:
                await connection.aclose(1000, END_OF_CAPTURE)
            self.left -= 1
            self.position = stop + self.lost
            await trio.aclose_forcefully(connection._stream)
        except trio_websocket.ConnectionClosed:
            pass


async def test_a_hundred_forced_reconnects_lose_no_id(tmp_path: Path, nursery: trio.Nursery) -> None:
    frames = [frame.body for frame in read_capture(SPOT).frames]
    exchange, rest = Leaking(frames, left=100), RestServer(frames)
    await nursery.start(rest.run)
    server = await nursery.start(trio_websocket.serve_websocket, exchange.serve, "127.0.0.1", 0, None)
    settings, wanted = Settings(http=HttpSettings(port=0)), recorded_ids()
    what = plan.recorded("binance", f"ws://127.0.0.1:{server.port}", rest.url, STREAMS, {})
    with trio.fail_after(120):
        async with open_daemon(settings, what, tmp_path, reconnecting=AT_ONCE) as daemon:
            await nursery.start(daemon.run)
            runtime = daemon.runtime
            await runtime.complete()
            found = {
                key: sorted(
                    one
                    for run in runtime.journal.trades("binance", key.partition(":")[2], 0, 1 << 62)
                    for one in run.ids
                )
                for key in wanted
            }
            (memory,) = runtime.connections.values()
            gaps, statement = await daemon.queries.gaps(), runtime.statement()
            daemon.stop()
    assert memory.reconnects == 100
    # Nearly every time some of both symbols were lost.
    assert memory.gaps > 100
    assert found == wanted
    assert [gap for gap in gaps if gap["state"] != "filled"] == []
    assert statement["balanced"]
