"""A warm store read alone, for programs that have the database and not the data directory."""

from collections.abc import Sequence

import attrs

from actors.messages import GapRecord
from actors.storage.errors import NotKept
from actors.storage.reader import missing, touches
from actors.storage.store import Store
from wadm import bar as bars
from wadm.bar import Bar
from wadm.coverage import Unreadable
from wadm.instants import iso
from wadm.market import MINUTE, Trades

_FOREVER = 1 << 62


@attrs.frozen(eq=False)
class StoreReader:
    """Reads what a ``DataReader`` reads, as far as it can be had without a journal: the closed minutes."""

    store: Store

    def symbols(self) -> list[tuple[str, str]]:
        """Return every (exchange, symbol) that has bars, sorted."""
        return self.store.symbols()

    def bars(self, exchange: str, symbol: str, start: int, end: int) -> list[Bar]:
        """Return the one-minute bars that start in ``[start, end)``."""
        return self.store.bars(exchange, symbol, start, end)

    def unclosed(self, exchange: str, symbol: str, end: int) -> list[Bar]:
        """Return no bar: what comes after the last one is in the daemon's journal."""
        return []

    def extent(self, exchange: str, symbol: str) -> tuple[int, int] | None:
        """Return the first start and the last end of the bars, None while there are none."""
        return self.store.extent(exchange, symbol)

    def span(self, exchange: str, symbol: str) -> tuple[int, int] | None:
        """Return ``extent``: all that is known."""
        return self.extent(exchange, symbol)

    def merged(self, exchange: str, symbol: str, start: int, end: int) -> Bar:
        """Return everything traded in ``[start, end)``. Raises NotKept unless both are whole minutes."""
        finer = next((at for at in (start, end) if at % MINUTE), None)
        if finer is not None:
            raise NotKept(
                f"the store has {exchange}:{symbol} by the minute and {iso(finer)} lies within one: "
                "ask for whole minutes"
            )
        return bars.merge(self.bars(exchange, symbol, start, end), start, end)

    def trades(self, exchange: str, symbol: str, start: int, end: int) -> Sequence[Trades]:
        """Return no trade: raw ones are in the daemon's journal."""
        return []

    def reaches_archive(self, exchange: str, symbol: str, start: int, end: int) -> bool:
        """Return False: the archive is not looked into."""
        return False

    def unreadable(self, exchange: str, symbol: str, start: int, end: int) -> list[Unreadable]:
        """Return nothing: what cannot be read raises."""
        return []

    def gaps(self, exchange: str, symbol: str, start: int, end: int) -> list[GapRecord]:
        """Return what is still missing of the gaps noticed in ``[start, end)``, or suspected there."""
        left = missing(self.store.gaps(exchange, symbol, 0, _FOREVER))
        return [one for one in left if touches(one.gap, start, end)]
