"""Playback: a capture's frames to the clients that subscribed to their streams, at a pace."""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence, Set

import attrs
import trio

from actors.notice import Notice
from actors.playback.capture import Capture
from actors.playback.faults import (
    DROP,
    FRAME_KINDS,
    REORDER,
    REST_KINDS,
    Fault,
    Script,
    Struck,
    cuts,
)
from actors.playback.gate import Gate
from actors.playback.seat import Seat
from actors.playback.texts import Texts

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
    """What a playback came to: ``lost`` frames were sent to nobody: not subscribed to, or faults."""

    frames: int
    lost: int
    seconds: float


@attrs.frozen
class Observer:
    """Who is told of the playback while it goes on."""

    struck: Callable[[Struck], None] = lambda _: None
    passed: Callable[[int], None] = lambda _: None
    #: Called for each fault of the REST interface.
    refused: Callable[[Fault], None] = lambda _: None


class Player:
    """Plays a capture once, from when ``start_after`` of its streams (all, by default) are subscribed.

    Raises FaultsError where the script does not fit the capture.
    """

    def __init__(
        self,
        capture: Capture,
        speed: float,
        start_after: int | None = None,
        *,
        script: Script = Script(),  # noqa: B008  # it cannot change
        observer: Observer = Observer(),
        gate: Gate | None = None,
    ) -> None:
        script.check(len(capture.frames))
        self.finished = trio.Event()
        #: Notified whenever frames were handed out.
        self.moved = Notice()
        self.symbols = frozenset(capture.symbols)
        self._frames = capture.frames
        self._streams = frozenset(capture.streams)
        self._speed = speed
        self._start_after = (
            len(self._streams) if start_after is None else min(start_after, len(self._streams))
        )
        self._seats: list[Seat] = []
        self._changed = trio.Event()
        self._texts = Texts(capture.frames)
        self._lost = 0
        self._at = 0
        self._faults = script.by_frame()
        self._followers = script.followers([frame.stream for frame in capture.frames])
        self._marks = script.marks
        self._observer = observer
        self._gate = gate or Gate(capture)
        #: Frames that are handed out alone, and where batches end for their sake, the marks' and the gate's.
        self._alone = frozenset((*self._faults, *self._followers.values()))
        self._cuts = cuts(
            len(self._frames), self._alone, (*self._marks, *(at - 1 for at in self._gate.places if at))
        )

    @property
    def position(self) -> int:
        """How many frames have been handed out."""
        return self._at

    def join(self, seat: Seat) -> None:
        """Let a client take part."""
        self._seats.append(seat)
        self.changed()

    def leave(self, seat: Seat) -> None:
        """Let a client go."""
        if seat in self._seats:  # else it was cut off
            self._seats.remove(seat)

    def changed(self) -> None:
        """Look again whether enough streams are subscribed."""
        self._changed.set()

    async def run(self) -> Played:
        """Wait for subscriptions, play the capture, and return when everything is sent."""
        while len(self._streams & _subscribed(self._seats)) < self._start_after:
            await self._change()
        for seat in self._seats:
            self._texts.all(seat.session.render)
        begun = trio.current_time()
        await self._play(begun)
        for seat in tuple(self._seats):
            await seat.outbox.flushed()
        self.finished.set()
        return Played(len(self._frames) - self._lost, self._lost, trio.current_time() - begun)

    async def _change(self) -> None:
        """Wait until something may have changed."""
        self._changed = trio.Event()
        await self._changed.wait()

    async def _pass_gate(self) -> None:
        with trio.move_on_after(self._gate.patience):
            while self._gate.closed(self._at, _subscribed(self._seats)):
                await self._change()

    async def _play(self, begun: float) -> None:
        """Hand out the frames as they fall due; wait for the clients that are behind."""
        while self._at < len(self._frames):
            for seat in tuple(self._seats):
                await seat.outbox.room()
            if self._at in self._gate.places:
                await self._pass_gate()
            stop = self._due(self._at, begun)
            if stop == self._at:
                await trio.sleep_until(begun + self._offset(stop))
                continue
            self._hand_out(self._at, stop)
            self._at = stop
            self.moved.notify()
            if stop - 1 in self._marks:
                self._observer.passed(stop - 1)
            await trio.lowlevel.checkpoint()

    def _due(self, at: int, begun: float) -> int:
        """Return where the frames that are due now end, a batch further at most."""
        end = min(at + BATCH, self._cuts[bisect_right(self._cuts, at)])
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
        if at in self._alone:
            self._hand_out_one(at)
            return
        batch = self._frames[at:stop]
        seats = [seat for seat in self._seats if not seat.outbox.silent]
        for seat in seats:
            written, receives = self._texts.all(seat.session.render)[at:stop], seat.session.receives
            if not receives >= self._streams:
                written = [
                    text for text, frame in zip(written, batch, strict=True) if frame.stream in receives
                ]
            seat.outbox.put(written)
        subscribed = _subscribed(seats)
        if not subscribed >= self._streams:
            self._lost += sum(frame.stream not in subscribed for frame in batch)

    def _hand_out_one(self, at: int) -> None:
        """Hand out a frame that faults fall on, or that another one was kept back for."""
        stream = self._frames[at].stream
        seats = [seat for seat in self._seats if seat.takes(stream)]
        kinds: set[str] = set()
        for fault in self._faults.get(at, ()):
            struck = self._possible(fault, kinds) and (bool(seats) or fault.kind in REST_KINDS)
            self._observer.struck(Struck(fault.kind, at, missed=not struck))
            if struck:
                kinds.add(fault.kind)
                seats = self._strike(fault, seats)
        for seat in seats:
            sent = self._texts.copies(at, seat.session.render, kinds)
            if REORDER in kinds:
                seat.kept_back[self._followers[at]] = sent
                sent = []
            seat.outbox.put(sent + seat.kept_back.pop(at, []))
        self._lost += not seats or DROP in kinds

    def _possible(self, fault: Fault, kinds: Set[str]) -> bool:
        """Whether a fault can still strike its frame after others of these kinds."""
        if fault.kind in kinds or (DROP in kinds and fault.kind in FRAME_KINDS):
            return False
        return fault.kind != REORDER or fault.at in self._followers

    def _strike(self, fault: Fault, seats: list[Seat]) -> list[Seat]:
        """Do to clients, or to the REST interface, what the fault says; return who still gets anything."""
        if fault.kind in REST_KINDS:
            self._observer.refused(fault)
            return seats
        left = [seat for seat in seats if seat.suffer(fault, self._frames[fault.at])]
        self._seats = [seat for seat in self._seats if not seat.outbox.to_be_cut]
        return left


def _subscribed(seats: Sequence[Seat]) -> Set[str]:
    return frozenset().union(*(seat.session.receives for seat in seats))
