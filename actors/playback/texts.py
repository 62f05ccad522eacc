"""A capture's frames as they go over a WebSocket."""

from collections.abc import Callable, Sequence, Set

from actors.connections.framing import message_frame
from actors.playback.capture import Frame
from actors.playback.damage import damage, is_extra
from actors.playback.faults import DROP, DUPLICATE, MALFORMED


class Texts:
    """All frames, made once for each way of writing them."""

    def __init__(self, frames: Sequence[Frame]) -> None:
        self._frames = frames
        self._written: dict[Callable[[Frame], bytes], list[bytes]] = {}

    def all(self, render: Callable[[Frame], bytes]) -> list[bytes]:
        """Return all frames written so."""
        if render not in self._written:
            self._written[render] = [message_frame(render(frame)) for frame in self._frames]
        return self._written[render]

    def copies(self, at: int, render: Callable[[Frame], bytes], kinds: Set[str]) -> list[bytes]:
        """Return what is sent for a frame: it or what faults of these kinds have made of it."""
        if DROP in kinds:
            return []
        good = self.all(render)[at]
        copies = [good]
        if MALFORMED in kinds:
            bad = message_frame(damage(render(self._frames[at]), at))
            copies = [good, bad] if is_extra(at) else [bad]
        return copies * (2 if DUPLICATE in kinds else 1)
