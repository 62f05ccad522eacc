"""A restart of Bybit's order book service: a snapshot that counts from 1 again, and changes from there on.

https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook
"""

import attrs
import msgspec

from actors.playback.bybit_topics import BookTopic, read_book
from actors.playback.capture import Capture, Frame
from actors.playback.faults import RESTART, FaultsError, Script


def restarted(capture: Capture, script: Script) -> Capture:
    """Return a capture with its restarts. Raises FaultsError where one is not at a change of a known book."""
    at = {fault.at for fault in script.faults if fault.kind == RESTART}
    if not at:
        return capture
    frames = list(capture.frames)
    for topic in dict.fromkeys(frames[index].stream for index in sorted(at)):
        _restart(frames, topic, at)
    return attrs.evolve(capture, frames=frames)


def _restart(frames: list[Frame], topic: str, at: set[int]) -> None:
    """Write the frames of one topic anew."""
    depth = topic.split(".")[1] if topic.startswith("orderbook.") else ""
    state = BookTopic(int(depth) if depth.isdigit() else 0)
    less = 0
    for index, frame in enumerate(frames):
        if frame.stream != topic:
            continue
        state.take(frame.body)
        told = read_book(frame.body)
        if index in at:
            if told is None or state.book is None:
                raise FaultsError(
                    f"the restart at {index}: expected a frame of a known order book, it is of {topic}"
                )
            less = told.data.u - 1
            frames[index] = frame._replace(body=msgspec.json.encode(state.snapshot(1)))
        elif told is not None and told.type == "snapshot":
            less = 0
        elif told is not None and less:
            told.data.u -= less
            frames[index] = frame._replace(body=msgspec.json.encode(told))
