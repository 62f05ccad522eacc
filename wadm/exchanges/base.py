"""The one shape of every exchange: sans-IO codecs from frames to events.

A codec belongs to one connection. It does no I/O and reads no clock: the connection hands it frames with
their receive time, sends the frames it asks for, and passes its events on.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from enum import Enum, StrEnum, auto
from typing import Generic, Protocol, TypeVar

import attrs

from wadm.exchanges.contiguity import Missing, Position, Positions
from wadm.ledger import Ledger
from wadm.market import (
    BookRun,
    BookUpdate,
    Candle,
    IdKind,
    Instrument,
    Liquidation,
    Ticker,
    Trades,
)


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


#: The code of a request that was refused because what it asks for is so already.
ALREADY_SUBSCRIBED = "already subscribed"


@attrs.frozen
class Refused:
    """The exchange refused a request; ``request_id`` is None where its answer names none.

    ``code`` is the exchange's own, or ALREADY_SUBSCRIBED.
    """

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


Event = (
    Trades
    | BookRun
    | Candle
    | Ticker
    | Liquidation
    | Gap
    | Filled
    | Rejected
    | Acknowledged
    | Refused
    | Reply
    | Leaving
)


class Channel(StrEnum):
    """What can be followed of a symbol, whatever an exchange calls it; the names used in settings."""

    TRADES = "trades"
    #: the other kind of trades, which only checks the one that is folded
    SECOND_TRADES = "second_trades"
    BOOK = "book"
    #: the best levels as a view, which cannot show a gap
    PARTIAL_BOOK = "partial_book"
    #: the best bid and ask
    QUOTES = "quotes"
    #: one-minute candles
    CANDLES = "candles"
    #: mark price, funding, open interest
    TICKER = "ticker"
    LIQUIDATIONS = "liquidations"


class BookRule(Enum):
    """How an exchange's order book is put together."""

    #: REST snapshot, then each diff's first id is the last one's plus one (Binance spot)
    UPDATE_IDS = auto()
    #: REST snapshot, then each diff names the one before it (Binance futures)
    PREVIOUS_IDS = auto()
    #: the stream itself begins with a snapshot; after a gap it is subscribed to again (Bybit)
    STREAM_SNAPSHOT = auto()


@attrs.frozen
class Request:
    """A GET request to an exchange's REST interface; ``key_header`` is the header that wants an API key.

    ``weight`` is what the exchange charges it against ``Limits.weight_per_minute``.
    """

    path: str
    query: Mapping[str, str]
    key_header: str | None = None
    weight: int = 1


T_co = TypeVar("T_co", covariant=True)


@attrs.frozen
class Query(Generic[T_co]):
    """A request and how its answer is read. ``read`` raises PageError for a body that cannot be read."""

    request: Request
    read: Callable[[bytes], T_co]


@attrs.frozen
class Listed:
    """A symbol in an exchange's list: ``trading`` says whether it is traded now."""

    instrument: Instrument
    base: str
    quote: str
    trading: bool


@attrs.frozen
class ListingPage:
    """A part of an exchange's list of symbols; ``cursor`` asks for the next one, "" where there is none."""

    listed: Sequence[Listed]
    cursor: str = ""


class Endpoints(Protocol):
    """What an exchange's REST interface answers about the market."""

    def clock(self) -> Query[int]:
        """Ask for the exchange's time (µs)."""
        ...

    def listing(self, cursor: str = "") -> Query[ListingPage]:
        """Ask for the symbols there are."""
        ...

    def turnover(self) -> Query[Mapping[str, Decimal]]:
        """Ask for each symbol's turnover of the last 24 hours, in its quote asset."""
        ...

    def depth(self, symbol: str) -> Query[BookUpdate]:
        """Ask for a snapshot of the order book, as deep as the exchange gives it."""
        ...

    def candles(self, symbol: str, start: int, end: int) -> Query[Sequence[Candle]]:
        """Ask for the one-minute candles that begin in ``[start, end)`` (µs), ascending; at most 1,000."""
        ...


class PageError(ValueError):
    """An answer of an exchange's REST interface that cannot be read, or that refuses what was asked."""


class RateLimited(PageError):
    """An answer that says, in its body, that too much was asked."""


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


class RecentTrade(Protocol):
    """A trade of a page of the newest ones."""

    @property
    def id(self) -> str:
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
    def side(self) -> str:
        """The taker's, as written."""
        ...


class RecentTrades(Protocol):
    """The newest trades from an exchange's REST interface, where its ids are names."""

    def newest(self, symbol: str) -> Query[Sequence[RecentTrade]]:
        """Ask for a symbol's newest trades, which come oldest first."""
        ...

    def take(self, symbol: str, first: int, last: int, page: Sequence[RecentTrade], at: int) -> list[Event]:
        """Take the trades of ``first``..``last`` (µs) out of a page received at ``at`` (µs)."""
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
    #: as many as are planned for one, where that is our own choice and below what is allowed
    comfortable_streams: int | None = None
    streams_per_request: int | None = None
    characters_per_connection: int | None = None
    requests_per_second: float | None = None
    #: of all connections from one address: attempts to connect, and what REST requests may weigh
    connects_per_five_minutes: int | None = None
    weight_per_minute: int | None = None


class Codec(Protocol):
    """One connection's reading and writing of an exchange's protocol."""

    heartbeat: Heartbeat | None
    #: how many frames came on each stream, as far as they name it (Binance's do at ``/stream``)
    heard: dict[str, int]

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
        behind it. Behind the trades come one BookRun for each order book, then what else was told. What is
        wrong with a frame or a trade is counted in the ledger under its reason.
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
    #: the stream of each channel that the exchange has, by symbol.
    channels: Mapping[Channel, Callable[[str], str]]
    #: stream -> seconds after which silence is suspicious while its siblings move; None for a sparse stream.
    pace: Callable[[str], float | None]
    book_rule: BookRule
    endpoints: Endpoints
    #: how a symbol is written in the names of streams
    spelled: Callable[[str], str] = str
    #: missed trades by id, None where the exchange gives none.
    history: Callable[[Mapping[str, Instrument], Positions, Ledger], History] | None = None
    #: the newest trades, None where missed ones can be asked for by id.
    recent: Callable[[Mapping[str, Instrument], Positions, Ledger], RecentTrades] | None = None


__all__ = [
    "ALREADY_SUBSCRIBED",
    "Acknowledged",
    "BookRule",
    "Channel",
    "Codec",
    "Endpoints",
    "Event",
    "Exchange",
    "Filled",
    "Gap",
    "Heartbeat",
    "History",
    "Leaving",
    "LimitError",
    "Limits",
    "Listed",
    "ListingPage",
    "PageError",
    "PageTrade",
    "Position",
    "Positions",
    "Query",
    "RateLimited",
    "RecentTrade",
    "RecentTrades",
    "Refused",
    "Rejected",
    "Reply",
    "Request",
]
