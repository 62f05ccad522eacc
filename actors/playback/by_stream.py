"""Frames, handed to whatever takes those of their stream."""

from collections.abc import Callable

import attrs

from actors.playback.capture import Frame

#: What takes the frames of a stream.
Take = Callable[[bytes], None]


@attrs.define(eq=False)
class ByStream:
    """``taking`` says once for each stream what takes its frames, None where nobody wants them."""

    taking: Callable[[str], Take | None]
    _takes: dict[str, Take | None] = attrs.field(factory=dict, init=False)

    def take(self, frame: Frame) -> None:
        """Hand on a frame."""
        stream = frame.stream
        if stream not in self._takes:
            self._takes[stream] = self.taking(stream)
        take = self._takes[stream]
        if take is not None:
            take(frame.body)
