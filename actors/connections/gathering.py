"""When to let messages gather before a socket is read again. Pure: the time is an argument."""

import attrs

#: Seconds of a pause.
PAUSE = 0.001

#: Reads after which it is looked at again whether pauses are worth it.
_WINDOW = 32

#: Messages a second from which on they are, where they come in reads of fewer than ``_FEW`` on average.
_LOAD = 8_000

#: Messages that a read after a pause must bring for the pauses to go on.
_FEW = 6

#: Messages in one read after which there is no pause: more wait already, or what came was all.
_MANY = 64


@attrs.define
class Gathering:
    """How long to pause before the next read: not at all while it is quiet, at most ``PAUSE`` under load.

    A read wakes every task on a message's way, which costs more than the message itself. Under load, messages
    that come singly are therefore read a millisecond's worth at a time. Those that come many at a time are
    read at once, and those that come now and then too.
    """

    _since: float = 0.0
    _reads: int = 0
    _messages: int = 0
    _pausing: bool = False

    def pause(self, now: float, messages: int) -> float:
        """Return the seconds to wait after a read at ``now`` (s) that brought so many ``messages``."""
        self._reads += 1
        self._messages += messages
        if self._reads == _WINDOW:
            few = self._messages < _WINDOW * _FEW
            loaded = self._messages > _LOAD * (now - self._since)
            self._pausing = not few if self._pausing else few and loaded
            self._since, self._reads, self._messages = now, 0, 0
        return PAUSE if self._pausing and messages < _MANY else 0.0
