"""A connection with everything around it, against an exchange that is made up."""

from collections.abc import Callable

import attrs
from scripted import START, Exchange
from spine import BITCOIN, CONNECTION, ETHER, FakeExchange, trade

from actors.connections.connection import Connection
from actors.connections.connects import Connects
from actors.connections.link import Connect
from actors.connections.memory import ConnectionMemory
from actors.memory import Numbering, SymbolMemory
from actors.messages import TradeBatch
from actors.notice import Notice
from actors.outbox import Outbox
from supervision import Context, Mailbox
from wadm.exchanges import registry
from wadm.ledger import Ledger
from wadm.market import SECOND, IdKind
from wadm.series import ClosedBars

KEYS = BITCOIN.key, ETHER.key


@attrs.define(eq=False)
class Bench:
    """A connection with everything around it, and nobody who empties its mailboxes."""

    exchange: FakeExchange | Exchange | None
    patience: float | None = 5.0
    room: int = 100_000
    writer_room: int = 100_000
    playback: bool = False
    quiet_after: float | None = None
    lifetime: float | None = None
    connects: Connects = attrs.field(factory=Connects)
    url: str = "ws://made.up"
    connect: Connect | None = None
    streams: tuple[str, ...] = ("btcusdt@trade", "ethusdt@trade")
    ledger: Ledger = attrs.field(factory=Ledger)
    noticed: Notice = attrs.field(factory=Notice)
    make_codec: Callable[[], object] | None = None
    memory: ConnectionMemory = attrs.field(init=False)
    symbols: dict[str, SymbolMemory] = attrs.field(init=False)
    aggregators: dict[str, Mailbox] = attrs.field(init=False)
    writer: Mailbox = attrs.field(init=False)
    outbox: Outbox = attrs.field(init=False)
    connection: Connection = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        binance = registry.find("binance")
        positions = binance.positions()
        instruments = {one.symbol: one for one in (BITCOIN, ETHER)}
        self.memory = ConnectionMemory(CONNECTION, "binance", self.streams)
        self.symbols = {one.key: SymbolMemory(one, ClosedBars(), IdKind.TRADE) for one in (BITCOIN, ETHER)}
        self.aggregators = {key: Mailbox(key, self.room, deadline=self.patience) for key in KEYS}
        self.writer = Mailbox("writer", self.writer_room, deadline=self.patience)
        self.outbox = Outbox(self.writer, self.aggregators, self.symbols, self.ledger, {"binance": positions})
        self.connection = Connection(
            memory=self.memory,
            url=self.url,
            make_codec=self.make_codec or (lambda: binance.codec(instruments, positions, self.ledger)),  # type: ignore[arg-type]
            numbering=Numbering(3),
            outbox=self.outbox,
            symbols=self.symbols,
            aggregators=self.aggregators,
            books={},
            gap_noticed=self.noticed,
            grace=2 * SECOND,
            playback=self.playback,
            quiet_after=self.quiet_after,
            lifetime=self.lifetime,
            connects=self.connects,
            connect=self.connect or self.exchange.connect,  # type: ignore[union-attr,arg-type]
        )

    async def run(self) -> None:
        await self.connection.run(Context(CONNECTION, 1))

    def batches(self, key: str = BITCOIN.key) -> list[TradeBatch]:
        return [message for message in self.aggregators[key].pending() if isinstance(message, TradeBatch)]

    def written(self) -> list[TradeBatch]:
        return list(self.writer.pending())


def ids(batches: list[TradeBatch]) -> list[int]:
    return [int(number) for batch in batches for number in batch.trades.ids]


def some(count: int, first: int = 1, symbol: str = "BTCUSDT") -> list[bytes]:
    return [trade(number, START + number * 1_000, symbol) for number in range(first, first + count)]
