"""What is known of a connection, which outlives its actor's crash."""

from collections.abc import Iterable

import attrs
import trio

from actors.notice import Notice
from wadm.exchanges import registry
from wadm.latency import Latency


def _in_order(streams: Iterable[str]) -> dict[str, None]:
    return dict.fromkeys(streams)


# A class with a converter checks every attribute that is set, unless told not to: seven with each frame.
@attrs.define(eq=False, on_setattr=attrs.setters.NO_OP)
class ConnectionMemory:
    """One connection's state and counters.

    ``streams`` are those it shall carry, over ``url``; who changes them, or wants some subscribed to anew
    (``renewed``), tells by ``changed``. ``traded`` are the symbols (``exchange:SYMBOL``) whose trades come
    over it, ``by_symbol`` all streams of each (``SYMBOL``).

    ``first_frame_clock`` is on ``time.perf_counter``, ``last_frame_at`` and ``market_time_at`` (when market
    time last moved) on trio's clock, all in seconds; ``connected_at`` is wall time (µs).
    ``connects`` counts the times that it had to be made anew, ``rollovers`` those that it was replaced before
    it ended. ``acknowledged`` streams are subscribed to, ``heard`` is on how many of them something has come;
    of the others are known which are ``silent`` (and since when, on trio's clock) and which ``refused`` (and
    why). ``lag`` is the time from a trade to its receipt, by the two clocks.
    """

    name: str
    exchange: str
    streams: dict[str, None] = attrs.field(converter=_in_order)
    url: str = ""
    traded: tuple[str, ...] = attrs.field(default=(), init=False)
    by_symbol: dict[str, list[str]] = attrs.field(factory=dict, init=False)
    renewed: set[str] = attrs.field(factory=set)
    changed: Notice = attrs.field(factory=Notice)
    state: str = "connecting"
    reason: str = ""
    frames: int = 0
    trades: int = 0
    bytes: int = 0
    connects: int = 0
    rollovers: int = 0
    gaps: int = 0
    acknowledged: int = 0
    heard: int = 0
    silent: dict[str, float] = attrs.field(factory=dict)
    refused: dict[str, str] = attrs.field(factory=dict)
    lag: Latency = attrs.field(factory=Latency)
    connected_at: int | None = None
    first_frame_clock: float | None = None
    last_frame_at: float | None = None
    market_time: int = 0
    market_time_at: float = 0.0
    ended: trio.Event = attrs.field(factory=trio.Event)

    def __attrs_post_init__(self) -> None:
        self._note_symbols()

    def _note_symbols(self) -> None:
        """Look through the streams once: there may be a thousand, and every book asks for its own."""
        exchange, self.by_symbol = registry.find(self.exchange), {}
        traded: dict[str, None] = {}
        for stream in self.streams:
            symbol = exchange.stream_symbol(stream)
            if symbol is not None:
                self.by_symbol.setdefault(symbol, []).append(stream)
            if exchange.stream_id_kind(stream):
                traded[f"{self.exchange}:{symbol}"] = None
        self.traded = tuple(traded)

    def move_time(self, exchange_time: int) -> None:
        """Note an exchange time seen (µs)."""
        self.market_time = max(self.market_time, exchange_time)
        self.market_time_at = trio.current_time()

    def carry(self, streams: Iterable[str]) -> None:
        """Carry further streams from now on."""
        self.streams |= dict.fromkeys(streams)
        self._note_symbols()
        self.changed.notify()

    def drop(self, streams: Iterable[str]) -> None:
        """Carry some streams no longer."""
        for stream in streams:
            self.streams.pop(stream, None)
        self._note_symbols()
        self.changed.notify()

    def renew(self, stream: str) -> None:
        """End the subscription of a stream and subscribe to it anew."""
        if stream in self.streams:
            self.renewed.add(stream)
            self.changed.notify()

    @property
    def reconnects(self) -> int:
        """How often the connection was made again."""
        return max(0, self.connects - 1)
