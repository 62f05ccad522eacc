"""Ours, the hot path alone: the daemon's WebSocket, decoding and aggregation of every timeframe."""

import trio
from folding import Folding
from reading import Stopwatch, told

from actors import garbage
from actors.connections.websocket import open_websocket


async def main() -> None:
    """Read."""
    arguments = told()
    folding, watch = Folding(arguments.exchange), Stopwatch()
    garbage.settle()
    async with open_websocket(arguments.url + folding.path) as websocket:
        for request in folding.requests:
            await websocket.send(request)
        async for run in websocket.runs():
            if not folding.trades:
                watch.start()
            folding.take(run.frames, run.received_at)
            if folding.trades >= arguments.trades:
                watch.stop(folding.trades, folding.finish())


if __name__ == "__main__":
    trio.run(main)
