"""Playback: a capture's frames to the clients that subscribed to their streams, at a pace."""

import math
from collections.abc import Callable, Set

import attrs
import trio

from actors.framing import text_frame
from actors.playback.capture import Capture, Frame
from actors.playback.dialect import Session
from actors.playback.wire import Outbox

#: Frames handed out at a time: enough for one write of some 64 KB.
BATCH = 512


def parse_speed(text: str) -> float:
    """Read a speed: ``max`` (infinity) or how many times the recorded pace. Raises ValueError."""
    try:
        speed = math.inf if text == "max" else float(text)
    except ValueError:
        speed = 0
    if not speed > 0:
        raise ValueError(f"speed is {text!r}: expected 'max' or a number above 0, such as 1 or 2.5")
    return speed


@attrs.frozen
class Played:
    """What a playback came to: ``lost`` frames were of streams that nobody had subscribed to then."""

    frames: int
    lost: int
    seconds: float


@attrs.frozen(eq=False)
class Seat:
    """A client as playback sees it: what it receives, and where that goes."""

    session: Session
    outbox: Outbox


class Player:
    """Plays a capture once, from when ``start_after`` of its streams (all, by default) are subscribed."""

    def __init__(self, capture: Capture, speed: float, start_after: int | None = None) -> None:
        self.finished = trio.Event()
        self._frames = capture.frames
        self._streams = frozenset(capture.streams)
        self._speed = speed
        self._start_after = (
            len(self._streams) if start_after is None else min(start_after, len(self._streams))
        )
        self._seats: list[Seat] = []
        self._changed = trio.Event()
        self._written: dict[Callable[[Frame], bytes], list[bytes]] = {}
        self._lost = 0

    def join(self, seat: Seat) -> None:
        """Let a client take part."""
        self._seats.append(seat)
        self.changed()

    def leave(self, seat: Seat) -> None:
        """Let a client go."""
        self._seats.remove(seat)

    def changed(self) -> None:
        """Look again whether enough streams are subscribed."""
        self._changed.set()

    async def run(self) -> Played:
        """Wait for subscriptions, play the capture, and return when everything is sent."""
        while len(self._streams & self._subscribed()) < self._start_after:
            self._changed = trio.Event()
            await self._changed.wait()
        for seat in self._seats:
            self._write(seat.session.render)
        begun = trio.current_time()
        await self._play(begun)
        for seat in tuple(self._seats):
            await seat.outbox.flushed()
        self.finished.set()
        return Played(len(self._frames) - self._lost, self._lost, trio.current_time() - begun)

    async def _play(self, begun: float) -> None:
        """Hand out the frames as they fall due; wait for the clients that are behind."""
        at = 0
        while at < len(self._frames):
            for seat in tuple(self._seats):
                await seat.outbox.room()
            stop = self._due(at, begun)
            if stop == at:
                await trio.sleep_until(begun + self._offset(at))
                continue
            self._hand_out(at, stop)
            at = stop
            await trio.lowlevel.checkpoint()

    def _due(self, at: int, begun: float) -> int:
        """Return where the frames that are due now end, a batch further at most."""
        end = min(at + BATCH, len(self._frames))
        if math.isinf(self._speed):
            return end
        elapsed = trio.current_time() - begun
        while at < end and self._offset(at) <= elapsed:
            at += 1
        return at

    def _offset(self, at: int) -> float:
        """When a frame falls due, seconds after the first."""
        return (self._frames[at].at - self._frames[0].at) / 1e9 / self._speed

    def _hand_out(self, at: int, stop: int) -> None:
        batch = self._frames[at:stop]
        for seat in self._seats:
            written, receives = self._write(seat.session.render)[at:stop], seat.session.receives
            if not receives >= self._streams:
                written = [
                    text for text, frame in zip(written, batch, strict=True) if frame.stream in receives
                ]
            seat.outbox.put(written)
        subscribed = self._subscribed()
        if not subscribed >= self._streams:
            self._lost += sum(frame.stream not in subscribed for frame in batch)

    def _subscribed(self) -> Set[str]:
        return frozenset().union(*(seat.session.receives for seat in self._seats))

    def _write(self, render: Callable[[Frame], bytes]) -> list[bytes]:
        """Return all frames as WebSocket frames; made once for each way of writing them."""
        if render not in self._written:
            self._written[render] = [text_frame(render(frame)) for frame in self._frames]
        return self._written[render]
