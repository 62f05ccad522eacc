"""What shall be followed: by settings, by hand, and by the exchanges' lists. The follower makes it so.

Whoever wants a change says here what shall be, and may wait until it is; a kill of anybody meanwhile forgets
nothing of it.
"""

from collections.abc import Collection, Iterable, Mapping

import attrs
import structlog

from actors.connections.memory import ConnectionMemory
from actors.notice import Notice
from actors.plan import of_exchange, wanted_streams
from actors.runtime import Runtime
from wadm.exchanges import registry
from wadm.market import Instrument
from wadm.sections import ExchangeSettings
from wadm.selected import Selected
from wadm.selection import Wanted, read_choice
from wadm.settings import Settings

log = structlog.get_logger("following")


@attrs.define(eq=False)
class Following:
    """What shall be followed, by exchange.

    ``settings`` and ``selected`` (added and removed by hand, by exchange) are as they are now; ``listing``
    are the instruments known, by ``exchange:SYMBOL``. ``changed`` tells of every change, also in what is
    wanted. ``leaving`` are the symbols that are half left: whatever shall be meanwhile, first they have to be
    gone. ``trouble`` is why what shall be could not be made so, "" while nothing is in the way.
    """

    runtime: Runtime
    settings: Settings
    listing: dict[str, Instrument] = attrs.field(init=False)
    selected: dict[str, Selected] = attrs.field(init=False)
    changed: Notice = attrs.field(factory=Notice, init=False)
    leaving: set[str] = attrs.field(factory=set, init=False)
    trouble: str = attrs.field(default="", init=False)
    _symbols: dict[str, dict[str, None]] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self.listing, self.selected = dict(self.runtime.plan.listing), dict(self.runtime.plan.selected)
        for memory in self.runtime.symbols.values():
            self._symbols_of(memory.instrument.exchange)[memory.instrument.symbol] = None

    # --- what there is ---

    def current(self, exchange: str) -> set[str]:
        """Return the symbols of an exchange that are followed, or are about to be."""
        return set(self._symbols.get(exchange, ()))

    def exchanges(self) -> list[str]:
        """Return the exchanges of which something is followed, or shall be."""
        followed = (name for name, symbols in self._symbols.items() if symbols)
        return list(dict.fromkeys((*self.settings.exchanges, *followed)))

    def touched(self) -> list[str]:
        """Return the exchanges of which something was to be followed at some time."""
        return list(self._symbols)

    def wanted(self, exchange: str) -> Wanted:
        """Return what chooses the symbols of an exchange: names and patterns, by settings and by hand."""
        by_hand, configured = self.selected_of(exchange), self.settings_of(exchange)
        named = [*configured.symbols, *sorted(by_hand.added)]
        return Wanted([read_choice(one) for one in dict.fromkeys(named)], by_hand.removed)

    def selected_of(self, exchange: str) -> Selected:
        """Return what was added and removed by hand of an exchange."""
        return self.selected.get(exchange, Selected())

    def settings_of(self, exchange: str) -> ExchangeSettings:
        """Return an exchange's settings as they are now."""
        return of_exchange(self.settings, exchange)

    def streams(self, exchange: str, symbols: Iterable[str]) -> list[str]:
        """Return the streams of symbols that shall be carried."""
        of, settings = registry.find(exchange), self.settings_of(exchange)
        return [stream for symbol in symbols for stream in wanted_streams(of, settings, symbol)]

    def connections(self, exchange: str) -> list[ConnectionMemory]:
        """Return an exchange's connections."""
        return [one for one in self.runtime.connections.values() if one.exchange == exchange]

    def waits(self, exchange: str) -> tuple[str, ...]:
        """Return the patterns for which nothing is followed yet of an exchange."""
        return () if self._symbols.get(exchange) else self.settings_of(exchange).patterns

    def is_so(self, exchange: str) -> bool:
        """Return whether of an exchange everything is followed that shall be, and nothing else."""
        symbols = self._symbols.get(exchange, {})
        keys = {f"{exchange}:{symbol}" for symbol in symbols}
        there = {key for key, one in self.runtime.symbols.items() if one.instrument.exchange == exchange}
        return keys == there and self._carried(exchange) == set(self.streams(exchange, symbols))

    def settled(self, exchange: str, symbols: Collection[str]) -> bool:
        """Return whether these symbols are followed, or not, as they shall be."""
        keys = {symbol: f"{exchange}:{symbol}" for symbol in symbols}
        there = {symbol for symbol, key in keys.items() if key in self.runtime.symbols}
        half_left = any(key in self.leaving for key in keys.values())
        if half_left or there != self._symbols.get(exchange, {}).keys() & keys.keys():
            return False
        return self._carried(exchange).issuperset(self.streams(exchange, there))

    def _carried(self, exchange: str) -> set[str]:
        return {stream for one in self.connections(exchange) for stream in one.streams}

    # --- what shall be ---

    async def follow(self, exchange: str, instruments: Collection[Instrument]) -> None:
        """Follow these symbols, except those that were removed by hand; return when it is so."""
        removed = self.selected_of(exchange).removed
        self.listing |= {one.key: one for one in instruments}
        symbols = [one.symbol for one in instruments if one.symbol not in removed]
        self.want(exchange, symbols, {})
        await self.changed.wait_for(lambda: self.settled(exchange, symbols))

    async def unfollow(self, exchange: str, symbols: Collection[str], reason: str) -> None:
        """Follow these symbols no longer; return when it is so. What is stored of them stays."""
        self.want(exchange, (), dict.fromkeys(symbols, reason))
        await self.changed.wait_for(lambda: self.settled(exchange, symbols))

    def want(self, exchange: str, symbols: Iterable[str], left: Mapping[str, str]) -> None:
        """Say what shall be followed as well, and what no longer, with the reason. No await."""
        followed = self._symbols_of(exchange)
        for symbol, reason in left.items():
            if symbol in followed:
                del followed[symbol]
                log.info("to_be_left", symbol=f"{exchange}:{symbol}", reason=reason)
        followed |= dict.fromkeys(symbols)
        self.changed.notify()

    def configure(self, settings: Settings) -> None:
        """Take over the symbols and streams of new settings. No await.

        What patterns choose is left to whoever reads the exchange's list.
        """
        before, self.settings = self.settings, settings
        for name in dict.fromkeys((*before.exchanges, *settings.exchanges)):
            configured = self.settings_of(name)
            symbols = self.selected_of(name).over(configured.names)
            gone = set() if configured.patterns else self.current(name) - set(symbols)
            self.want(name, symbols, dict.fromkeys(sorted(gone), "no setting asks for it"))

    def retick(self, instrument: Instrument) -> None:
        """Take over a tick and step that the exchange has told. No await."""
        self.listing[instrument.key] = instrument
        memory = self.runtime.symbols.get(instrument.key)
        if memory is None or memory.instrument == instrument:
            return
        memory.instrument = self.runtime.books[instrument.key].instrument = instrument
        known = self.runtime.instruments_of(instrument.exchange)
        if instrument.symbol in known:
            known[instrument.symbol] = instrument

    def _symbols_of(self, exchange: str) -> dict[str, None]:
        return self._symbols.setdefault(exchange, {})

    # --- what it says of itself ---

    def alarms(self) -> list[str]:
        """Return what keeps something from being followed, as sentences for a person."""
        waiting = {exchange: ", ".join(self.waits(exchange)) for exchange in self.exchanges()}
        return [
            *([f"what is followed cannot be changed: {self.trouble}"] if self.trouble else []),
            *(
                f"{exchange} follows no symbol yet: its list of symbols has to say what {patterns} means"
                for exchange, patterns in waiting.items()
                if patterns
            ),
        ]

    def answer(self) -> list[dict[str, object]]:
        """Return it as the daemon's status shows it, by exchange."""
        return [
            {
                "exchange": exchange,
                "symbols": len(self._symbols.get(exchange, ())),
                "patterns": list(self.settings_of(exchange).patterns),
                "waits_for_list": bool(self.waits(exchange)),
                "added": sorted(self.selected_of(exchange).added),
                "removed": sorted(self.selected_of(exchange).removed),
                "pending": not self.is_so(exchange),
            }
            for exchange in self.exchanges()
        ]
