"""What the local exchange server must know of an exchange to pass for it. Sans-IO; one file per exchange."""

from collections.abc import Callable, Mapping, Sequence, Set
from typing import Protocol

import attrs

from actors.playback.capture import Capture, Frame


class Session(Protocol):
    """One client's conversation with an exchange."""

    @property
    def receives(self) -> Set[str]:
        """The streams whose frames this client gets: those it subscribed to, where it connected."""
        ...

    @property
    def requests(self) -> int:
        """How many subscriptions it made, those of the URL counting as one."""
        ...

    @property
    def render(self) -> Callable[[Frame], bytes]:
        """How this client wants frames: as recorded, wrapped with the stream's name, bare."""
        ...

    def receive(self, text: str) -> str:
        """Take a request; return the exchange's answer to it."""
        ...


@attrs.frozen
class Reply:
    """An answer to a REST request: an HTTP status and JSON."""

    status: int
    body: bytes


class RestService(Protocol):
    """An exchange's REST interface, to as much of a capture as it has read."""

    def read(self, frames: Sequence[Frame]) -> None:
        """Take in what was played since."""
        ...

    def answer(self, target: str, headers: Mapping[str, str]) -> Reply:
        """Answer a GET request; the names of headers are in lower case."""
        ...


@attrs.frozen
class Dialect:
    """An exchange's ways on a WebSocket and in REST."""

    name: str
    #: The path and query of a connection -> its session, or None where the exchange has nothing.
    open: Callable[[str], Session | None]
    #: Seconds between ping frames from the server, and until it gives up waiting for a pong.
    ping_interval: float
    pong_timeout: float
    #: A capture -> the REST interface to it.
    rest: Callable[[Capture], RestService]
