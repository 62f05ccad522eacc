"""What the local exchange server must know of an exchange to pass for it. Sans-IO; one file per exchange."""

from collections.abc import Callable, Mapping, Sequence, Set
from typing import Protocol

import attrs

from actors.playback.capture import Capture, Frame
from actors.playback.terms import Terms


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

    def farewell(self, time: int) -> bytes:
        """Announce, at an exchange time in ms, that the connection is about to end."""
        ...


@attrs.frozen
class Reply:
    """An answer to a REST request: an HTTP status and JSON, and what the request weighed."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    weight: int = 1
    #: Whether the capture has an answer that playback has not come to yet.
    early: bool = False
    #: The symbol whose order book it is, if it is one.
    book_of: str | None = None


class Service(Protocol):
    """An exchange on a capture: what it knows of as much of it as it has read."""

    def read(self, frames: Sequence[Frame]) -> None:
        """Take in what was played since."""
        ...

    def answer(self, target: str, headers: Mapping[str, str]) -> Reply:
        """Answer a GET request; the names of headers are in lower case."""
        ...

    def refusal(self, seconds: int, *, banned: bool) -> Reply:
        """Answer a request of one who asked too often, or kept asking; it may ask again in ``seconds``."""
        ...

    def used(self, weight: int) -> tuple[tuple[str, str], ...]:
        """Return the headers that tell what an address has asked for in this window."""
        ...

    def present(self, stream: str) -> bytes | None:
        """Return the snapshot that a new subscription to a stream begins with; None where it has none."""
        ...


@attrs.frozen
class Dialect:
    """An exchange's ways on a WebSocket and in REST."""

    name: str
    #: The path and query of a connection, and the symbols there are -> its session, or None where the
    #: exchange has nothing.
    open: Callable[[str, Set[str]], Session | None]
    terms: Terms
    #: A capture -> what the exchange knows of it.
    service: Callable[[Capture], Service]
    #: The kinds of faults that this exchange never has.
    spared: Set[str]
    #: Whether some streams begin with a snapshot of their own for each subscription.
    greets: bool = False
    #: Another exchange's capture -> one in this exchange's format.
    adopt: Callable[[Capture], Capture] = lambda capture: capture
