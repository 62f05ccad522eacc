"""picows on uvloop, feeding our decoding and aggregation: what a receiver written in C would bring us.

Runs of frames are those of one read of the socket.
"""

import ssl
import time

import picows
import uvloop
from folding import Folding
from reading import Stopwatch, told

from actors import garbage


class Listener(picows.WSListener):
    """Gathers the frames of one read."""

    def __init__(self, folding: Folding, trades: int) -> None:
        self._folding, self._wanted = folding, trades
        self._watch = Stopwatch()
        self._frames: list[bytes] = []

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        """Subscribe."""
        for request in self._folding.requests:
            transport.send(picows.WSMsgType.TEXT, request.encode())

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        """Gather a frame; fold those of a read after its last one."""
        if frame.msg_type == picows.WSMsgType.TEXT:
            self._frames.append(frame.get_payload_as_bytes())
        if frame.last_in_buffer and self._frames:
            self._fold()

    def _fold(self) -> None:
        if not self._folding.trades:
            self._watch.start()
        self._folding.take(self._frames, time.time_ns() // 1000)
        self._frames = []
        if self._folding.trades >= self._wanted:
            self._watch.stop(self._folding.trades, self._folding.finish())


async def main() -> None:
    """Read."""
    arguments = told()
    folding = Folding(arguments.exchange)
    garbage.settle()
    transport, _ = await picows.ws_connect(
        lambda: Listener(folding, arguments.trades),
        arguments.url + folding.path,
        ssl_context=ssl.create_default_context(),
    )
    await transport.wait_disconnected()


if __name__ == "__main__":
    uvloop.run(main())
