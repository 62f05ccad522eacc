"""A client as playback sees it."""

from collections.abc import Callable

import attrs

from actors.connections.framing import message_frame
from actors.playback.capture import Frame
from actors.playback.dialect import Session
from actors.playback.faults import DISCONNECT, SHUTDOWN, SILENCE, SLOW, STALL, Fault
from actors.playback.wire import Outbox


@attrs.frozen(eq=False)
class Seat:
    """What a client receives, and where that goes."""

    session: Session
    outbox: Outbox
    #: Ends the connection after so many seconds.
    dismiss: Callable[[float], None]
    #: What is sent only after a later frame, by that frame's index.
    kept_back: dict[int, list[bytes]] = attrs.field(factory=dict)

    def takes(self, stream: str) -> bool:
        """Whether a frame of this stream would be sent now."""
        return stream in self.session.receives and not self.outbox.silent

    def suffer(self, fault: Fault, frame: Frame) -> bool:
        """Let a fault strike; return whether the client still gets anything."""
        outbox = self.outbox
        if fault.kind == DISCONNECT:
            outbox.cut(reset=fault.at % 2 == 1)
        elif fault.kind == SILENCE:
            outbox.silence(fault.seconds)
        elif fault.kind == STALL:
            outbox.stall(fault.seconds)
        elif fault.kind == SLOW:
            outbox.slow_down(fault.seconds)
        elif fault.kind == SHUTDOWN:
            outbox.put([message_frame(self.session.farewell(frame.at // 1_000_000))])
            self.dismiss(fault.seconds)
        return fault.kind not in (DISCONNECT, SILENCE)
