"""What a sink and the process that does its work say to each other, over a socket of their own.

A message is MessagePack behind its length (four bytes). The sink says ``Job`` once, then asks ``Open`` or
``Carry`` one at a time; each is answered by ``Opened``, ``Delivered``, ``Failed`` or ``Crashed``. Between
them come lines for the log, and ``Alive`` every few seconds.
"""

import struct
from typing import Any

import msgspec

from actors.storage.carrier import Carried, Leg
from actors.storage.errors import DiskFull, JournalUnreadable, StorageError
from wadm.sections import StorageSettings

#: The process says that it is alive so often (s).
BEAT = 5.0

_LENGTH = struct.Struct("<I")

_ERRORS = {kind.__name__: kind for kind in (StorageError, DiskFull, JournalUnreadable)}


class Message(msgspec.Struct, tag=True):
    """Any message."""


class Job(Message):
    """The work: the journal of ``directory``, named ``follows``, into the target of a tier.

    The settings hold addresses with their passwords, which therefore stand neither in the command nor in the
    environment of the process. Lines are logged from ``log_level`` on.
    """

    directory: str
    follows: str
    tier: str
    storage: StorageSettings
    log_level: int


class Open(Message):
    """Make the target ready."""


class Carry(Message):
    """Carry the next entries over."""

    leg: Leg


class Opened(Message):
    """The target is ready, and has this place."""

    place: int


class Delivered(Message):
    """What was carried over."""

    carried: Carried


class Failed(Message):
    """The storage failed: the name of a StorageError's class, and its sentence."""

    kind: str
    sentence: str

    @classmethod
    def of(cls, error: StorageError) -> "Failed":
        """Return the message of an error."""
        kind = type(error).__name__
        return cls(kind if kind in _ERRORS else StorageError.__name__, str(error))

    def error(self) -> StorageError:
        """Return the error of the message."""
        return _ERRORS[self.kind](self.sentence)


class Crashed(Message):
    """A bug, in one line; the process ends."""

    summary: str


class Logged(Message):
    """A line for the daemon's log."""

    level: int
    logger: str
    event: str
    fields: dict[str, Any]


class Alive(Message):
    """Nothing else to say."""


_ENCODER = msgspec.msgpack.Encoder(enc_hook=str)
_DECODER = msgspec.msgpack.Decoder(
    Job | Open | Carry | Opened | Delivered | Failed | Crashed | Logged | Alive
)


def packed(message: Message) -> bytes:
    """Return a message as it is sent."""
    body = _ENCODER.encode(message)
    return _LENGTH.pack(len(body)) + body


class Unpacker:
    """Finds the messages in what was received."""

    def __init__(self) -> None:
        self._received = bytearray()

    def feed(self, data: bytes) -> None:
        """Take what was received."""
        self._received += data

    def next(self) -> Message | None:
        """Return the next message, None while it is not complete."""
        if len(self._received) < _LENGTH.size:
            return None
        end = _LENGTH.size + _LENGTH.unpack_from(self._received)[0]
        if len(self._received) < end:
            return None
        message: Message = _DECODER.decode(self._received[_LENGTH.size : end])
        del self._received[:end]
        return message
