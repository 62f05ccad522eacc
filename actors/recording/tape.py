"""What one connection's recorder, scribe and snapshots share, and what outlives their crashes."""

import re
from collections import Counter

import attrs
import trio

from actors.connections.memory import ConnectionMemory
from actors.plan import PlannedConnection
from actors.recording.capture_files import CaptureFiles, Taken
from supervision import Mailbox
from wadm.exchanges import registry
from wadm.exchanges.base import BookRule, Channel, Exchange

#: Runs of frames that may wait for the disk, each of one read of the socket or of what waited meanwhile.
CAPACITY = 64

#: Bytes that wait until they are written at once.
ENOUGH = 1 << 20


@attrs.define(eq=False)
class Tape:
    """One connection's recording.

    ``heard`` are the frames that came by stream. ``unseen`` are the symbols whose order books are to be
    recorded whole, as what was recorded of them since a file or a connection began is changes only;
    ``memory.changed`` tells that they, or what was heard, changed.
    """

    planned: PlannedConnection
    files: CaptureFiles
    mailbox: Mailbox
    exchange: Exchange = attrs.field(init=False)
    memory: ConnectionMemory = attrs.field(init=False)
    books: dict[str, str] = attrs.field(init=False)  # symbol -> the stream of its order book
    pressing: trio.Event = attrs.field(factory=trio.Event, init=False)
    unseen: set[str] = attrs.field(factory=set, init=False)
    heard: Counter[str] = attrs.field(factory=Counter, init=False)
    beginnings: int = attrs.field(default=0, init=False)  # of connections, and of files after the first
    _heard_before: dict[str, int] = attrs.field(factory=dict, init=False)  # on earlier connections
    _waiting: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        planned = self.planned
        self.exchange = registry.find(planned.exchange)
        self.memory = ConnectionMemory(planned.name, planned.exchange, planned.streams, planned.url)
        self.books = _books(self.exchange, planned.streams)

    @property
    def books_begin_whole(self) -> bool:
        """Whether a subscription to an order book begins with all of it, without a REST request."""
        return self.exchange.book_rule is BookRule.STREAM_SNAPSHOT

    @property
    def silent(self) -> list[str]:
        """The streams that nothing was heard of, and that were not refused."""
        known = self.heard.keys() | self.memory.refused.keys()
        return [stream for stream in self.planned.streams if stream not in known]

    @property
    def changing(self) -> list[str]:
        """The symbols of ``unseen`` whose changes come over this connection already."""
        came = ((symbol, self.books[symbol]) for symbol in sorted(self.unseen))
        return [symbol for symbol, stream in came if self.heard[stream] > self._heard_before.get(stream, 0)]

    def connected(self) -> None:
        """Note that the connection was made: order books begin anew."""
        self.beginnings += 1
        self._heard_before = dict(self.heard)
        self.unseen = set() if self.books_begin_whole else set(self.books)

    def file_begun(self) -> None:
        """Note that a file begins, which is to hold whole order books as well."""
        if self.files.finished:
            self.beginnings += 1
            self.unseen = set(self.books)
            self.memory.changed.notify()

    async def put(self, taken: Taken) -> None:
        """Hand frames to the scribe; wait while the disk is behind."""
        self._waiting += sum(map(len, taken.frames))
        if self._waiting >= ENOUGH or self.mailbox.statistics().depth >= CAPACITY // 2:
            self.pressing.set()
        await self.mailbox.put(taken)

    def written(self) -> None:
        """Note that what waited is being written."""
        self._waiting = 0
        self.pressing = trio.Event()


def file_name(planned: PlannedConnection) -> str:
    """Return what a connection's files are called: ``binance_1`` of ``connection:binance#1``."""
    return planned.name.rpartition(":")[2].replace("#", "_")


def _books(exchange: Exchange, streams: tuple[str, ...]) -> dict[str, str]:
    """Return the streams of whole order books by symbol: at whatever speed, and of several the deepest."""
    usual = exchange.channels[Channel.BOOK]
    found = {}
    for stream in sorted(streams, key=lambda stream: [int(number) for number in re.findall(r"\d+", stream)]):
        symbol = exchange.stream_symbol(stream)
        if symbol is not None and _kind(stream, symbol) == _kind(usual(symbol), symbol):
            found[symbol] = stream
    return found


def _kind(stream: str, symbol: str) -> str:
    """Return ``depth`` of ``btcusdt@depth@100ms`` and ``orderbook`` of ``orderbook.200.BTCUSDT``."""
    return next((part for part in re.split("[@.]", stream) if part.upper() != symbol.upper()), "")
