"""The one shape of every exchange: sans-IO codecs from frames to events.

A codec belongs to one connection. It does no I/O and reads no clock: the connection hands it frames with
their receive time, sends the frames it asks for, and passes its events on.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import attrs

from wadm.exchanges.contiguity import Missing, Position, Positions
from wadm.ledger import Ledger
from wadm.market import IdKind, Instrument, Trades


@attrs.frozen
class Gap:
    """Trade ids ``first``..``last`` (both missing) of one symbol were jumped over.

    ``at`` (µs) is the exchange time of the trade that showed it.
    """

    exchange: str
    symbol: str
    id_kind: IdKind
    first: int
    last: int
    at: int

    @property
    def missing(self) -> int:
        """How many ids are missing."""
        return self.last - self.first + 1


@attrs.frozen
class Filled:
    """Trade ids ``first``..``last`` of one symbol, missing until now, arrived late at ``at`` (µs).

    They need not all be in a Trades event: a trade that is no market trade fills its place as well.
    """

    exchange: str
    symbol: str
    id_kind: IdKind
    first: int
    last: int
    at: int


@attrs.frozen
class Rejected:
    """``count`` frames or trades of one run were rejected for ``reason``; ``sample`` is how the first began.

    For a log: the ledger has counted them already.
    """

    reason: str
    count: int
    sample: bytes


@attrs.frozen
class Acknowledged:
    """The exchange accepted the request ``request_id``."""

    request_id: str


@attrs.frozen
class Refused:
    """The exchange refused a request; ``request_id`` is None where its answer names none."""

    request_id: str | None
    code: str
    message: str


@attrs.frozen
class Reply:
    """A text frame to send back now (an application-level pong, say)."""

    frame: str


@attrs.frozen
class Leaving:
    """The exchange announced that this connection is about to end: make another one now."""

    reason: str


Event = Trades | Gap | Filled | Rejected | Acknowledged | Refused | Reply | Leaving


@attrs.frozen
class Request:
    """A GET request to an exchange's REST interface; ``key_header`` is the header that wants an API key."""

    path: str
    query: Mapping[str, str]
    key_header: str | None = None


class PageError(ValueError):
    """An answer of an exchange's REST interface that cannot be read."""


class PageTrade(Protocol):
    """A trade of a page."""

    @property
    def id(self) -> int:
        """The exchange's id."""
        ...

    @property
    def price(self) -> str:
        """Price as written."""
        ...

    @property
    def quantity(self) -> str:
        """Quantity as written."""
        ...

    @property
    def time(self) -> int:
        """Exchange time in ms."""
        ...

    @property
    def buyer_is_maker(self) -> bool:
        """Whether the taker sold."""
        ...

    @property
    def count(self) -> int:
        """How many trades it stands for."""
        ...


class History(Protocol):
    """Missed trades from an exchange's REST interface, where its ids count up by one."""

    def request(self, symbol: str, id_kind: IdKind, first: int) -> Request:
        """Return the request for the trades from id ``first`` on."""
        ...

    def page(self, id_kind: IdKind, body: bytes) -> Sequence[PageTrade]:
        """Return the trades of an answer, ascending by id. Raises PageError for one that cannot be read."""
        ...

    def take(
        self, symbol: str, id_kind: IdKind, wanted: Missing, page: Sequence[PageTrade], at: int
    ) -> list[Event]:
        """Take the trades of ``wanted`` out of a page received at ``at`` (µs).

        What the page passes over between two of its trades is no market trade and counts as come; of what
        was before its first one it says nothing.
        """
        ...


class LimitError(ValueError):
    """More streams were asked of one connection than the exchange allows; the message names the limit."""


@attrs.frozen
class Heartbeat:
    """A frame the client owes the exchange every ``interval`` seconds."""

    frame: Callable[[], str]
    interval: float


@attrs.frozen
class Limits:
    """What one connection may ask for; None where the exchange names no limit."""

    streams_per_connection: int | None = None
    streams_per_request: int | None = None
    characters_per_connection: int | None = None
    requests_per_second: float | None = None


class Codec(Protocol):
    """One connection's reading and writing of an exchange's protocol."""

    heartbeat: Heartbeat | None

    def subscribe(self, streams: Sequence[str]) -> list[tuple[str, str]]:
        """Return ``(request id, frame)`` pairs that subscribe to ``streams``, cut to the request limits.

        Raises LimitError, and asks for nothing, where the connection's own limit would be passed.
        """
        ...

    def unsubscribe(self, streams: Sequence[str]) -> list[tuple[str, str]]:
        """Return ``(request id, frame)`` pairs that end the subscription of ``streams``."""
        ...

    def receive(self, frames: Sequence[bytes], at: int) -> list[Event]:
        """Read a run of frames received at ``at`` (µs). Never raises on what an exchange can send.

        The trades of one symbol come out as one Trades event, in the order they were received (as several
        only where their numbers cannot share a scale within 18 digits), its gaps before it, what it filled
        behind it. What is wrong with a frame or a trade is counted in the ledger under its reason.
        """
        ...


@attrs.frozen
class Exchange:
    """What the daemon needs to know of an exchange. One per file of this package; see ``registry``."""

    name: str
    #: What the ids of the live ``trade_stream`` count.
    id_kind: IdKind
    #: Whether ids count up by one, so that a gap shows; without it, completeness cannot be proved.
    ids_count_up: bool
    limits: Limits
    #: scheme and host of the public WebSocket; the paths come from ``routes``.
    websocket_url: str
    #: scheme and host of the public REST interface.
    rest_url: str
    #: streams -> {path and query of a connection: the streams it carries}; several paths where routes differ.
    routes: Callable[[Sequence[str]], Mapping[str, Sequence[str]]]
    #: symbol -> the stream that carries its trades live ("btcusdt@trade", "publicTrade.BTCUSDT").
    trade_stream: Callable[[str], str]
    #: every stream that carries trades, by what its ids count.
    trade_streams: Mapping[IdKind, Callable[[str], str]]
    #: stream -> its symbol, or None for a stream of no one symbol.
    stream_symbol: Callable[[str], str | None]
    #: stream -> what its trade ids count, or None for a stream without trades.
    stream_id_kind: Callable[[str], IdKind | None]
    #: positions for all of this exchange's connections, as its ids allow.
    positions: Callable[[], Positions]
    #: (instruments by symbol, positions, ledger) -> a codec for one new connection.
    codec: Callable[[Mapping[str, Instrument], Positions, Ledger], Codec]
    #: the same for missed trades, None where the exchange gives none.
    history: Callable[[Mapping[str, Instrument], Positions, Ledger], History] | None = None


__all__ = [
    "Acknowledged",
    "Codec",
    "Event",
    "Exchange",
    "Filled",
    "Gap",
    "Heartbeat",
    "History",
    "Leaving",
    "LimitError",
    "Limits",
    "PageError",
    "PageTrade",
    "Position",
    "Positions",
    "Refused",
    "Rejected",
    "Reply",
    "Request",
]
