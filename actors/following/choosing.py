"""What people and programs choose to follow while the daemon runs, and what they no longer want."""

from collections.abc import Mapping

import attrs
import trio

from actors.following import followed
from actors.following.following import Following
from actors.runtime import Runtime
from actors.storage.errors import StorageError
from wadm.exchanges.registry import EXCHANGES
from wadm.questions import (
    MissingParameter,
    NotInPlayback,
    QuestionError,
    Unavailable,
    UnknownExchange,
    UnknownParameter,
    UnknownSymbol,
    nearest,
)
from wadm.sections import is_symbol
from wadm.selected import Selected

#: Seconds in which a change is mostly made; after that the answer says that it is pending.
PATIENCE = 10.0

PARAMETERS = ("exchange", "symbol")


@attrs.define(eq=False)
class Choosing:
    """Adds and removes symbols by hand. It is kept in the data directory, so that it outlives a restart."""

    runtime: Runtime
    _turn: trio.Lock = attrs.field(factory=trio.Lock, init=False)

    async def add(self, given: Mapping[str, object]) -> tuple[dict[str, object], bool]:
        """Follow a symbol; return the answer, and whether it was not followed before."""
        following, exchange, symbol = self._read(given)
        async with self._turn:
            fresh = symbol not in following.current(exchange)
            configured = following.settings_of(exchange)
            chosen = following.selected_of(exchange).add(symbol, configured=symbol in configured.names)
            await self._keep(following, exchange, chosen)
            following.want(exchange, [symbol], {})
        return await self._answer(following, exchange, symbol, "followed"), fresh

    async def remove(self, given: Mapping[str, object]) -> dict[str, object]:
        """Follow a symbol no longer. What is stored of it stays."""
        following, exchange, symbol = self._read(given)
        async with self._turn:
            there = following.current(exchange)
            if symbol not in there:
                raise UnknownSymbol("symbol", symbol, nearest(symbol, sorted(there)))
            configured = following.settings_of(exchange)
            chosen_there = symbol in configured.names or bool(configured.patterns)
            chosen = following.selected_of(exchange).remove(symbol, configured=chosen_there)
            await self._keep(following, exchange, chosen)
            following.want(exchange, (), {symbol: "removed by hand"})
        return await self._answer(following, exchange, symbol, "left")

    def _read(self, given: Mapping[str, object]) -> tuple[Following, str, str]:
        """Return what is meant. Raises QuestionError."""
        for name in given:
            if name not in PARAMETERS:
                raise UnknownParameter(name, str(given[name]), nearest(name, PARAMETERS))
        exchange, symbol = given.get("exchange"), given.get("symbol")
        if not exchange:
            raise MissingParameter("exchange", None, nearest("", sorted(EXCHANGES)))
        if not isinstance(exchange, str) or exchange not in EXCHANGES:
            raise UnknownExchange("exchange", str(exchange), nearest(str(exchange), sorted(EXCHANGES)))
        if not symbol:
            raise MissingParameter("symbol", None, "a symbol's name, such as BTCUSDT")
        if not isinstance(symbol, str) or not is_symbol(symbol):
            raise QuestionError(
                "symbol", str(symbol), "a symbol's name, such as BTCUSDT: letters, digits, _ and -"
            )
        if self.runtime.following is None:
            raise NotInPlayback("symbol", symbol, "a live exchange: a recording is followed as it is")
        return self.runtime.following, exchange, symbol.upper()

    async def _keep(self, following: Following, exchange: str, chosen: Selected) -> None:
        """Write down what was chosen, then take it over."""
        try:
            await trio.to_thread.run_sync(
                followed.save, self.runtime.directory, {**following.selected, exchange: chosen}
            )
        except StorageError as error:
            raise Unavailable("the list of what is followed", str(error)) from error
        following.selected[exchange] = chosen

    async def _answer(self, following: Following, exchange: str, symbol: str, done: str) -> dict[str, object]:
        with trio.move_on_after(PATIENCE):
            await following.changed.wait_for(lambda: following.settled(exchange, [symbol]))
        settled = following.settled(exchange, [symbol])
        return {
            "exchange": exchange,
            "symbol": symbol,
            "state": done if settled else "pending",
            "reason": None if settled else following.trouble or None,
        }
