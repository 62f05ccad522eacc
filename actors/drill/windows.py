"""What is stored of windows, in the form in which a drill compares it.

Three things are left out, as faults change them by right: books (a book that was out of step at the first
update of a second is not taken down), the extremes of a delta whose path could not be made exact, and large
trades, which are told by the orders known when their window was recorded: a gap may be filled after that.
"""

import hashlib
from pathlib import Path

from actors.messages import LevelMark, OrderFlowRecord, ProfileRecord
from actors.storage.reader import DataReader
from actors.storage.store import Store
from wadm.numbers import plain
from wadm.timeframes import TIMEFRAMES

_EVER = (0, 1 << 62)

#: Symbol (``exchange:SYMBOL``) -> timeframe, or ``levels`` -> digest of all there is of it.
Digests = dict[str, dict[str, str]]


def digests(store: Store) -> Digests:
    """Return the digests of every symbol. Raises StorageError."""
    return {f"{exchange}:{symbol}": _digests(store, exchange, symbol) for exchange, symbol in store.symbols()}


def digests_in(directory: Path) -> Digests:
    """Return the digests of what is stored in a data directory. Raises StorageError."""
    reader = DataReader.open(directory)
    try:
        return {} if reader.store is None else digests(reader.store)
    finally:
        reader.close()


def _digests(store: Store, exchange: str, symbol: str) -> dict[str, str]:
    found = {"levels": _digest([_level(one) for one in store.levels(exchange, symbol)])}
    for timeframe in TIMEFRAMES:
        profiles = store.profiles(exchange, symbol, timeframe, *_EVER)
        flows = store.order_flows(exchange, symbol, timeframe, *_EVER)
        found[timeframe] = _digest([*map(_profile, profiles), *map(_flow, flows)])
    return found


def _digest(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _profile(one: ProfileRecord) -> str:
    made = one.profile
    return f"{one.start} {plain(made.row_size)} {made.poc} {made.vah} {made.val} {made.sha256()}"


def _flow(one: OrderFlowRecord) -> str:
    flow, unit = one.order_flow, 10**one.order_flow.quantity_decimals
    volumes = (flow.buy_volume, flow.sell_volume, flow.delta, flow.cvd)
    counts = (flow.buy_trades, flow.sell_trades, one.absorption_events)
    return f"{one.start} {volumes} / {unit} {counts}"


def _level(one: LevelMark) -> str:
    numbers = " ".join(map(plain, (one.price, one.strength, one.volume)))
    return f"{one.kind} {numbers} {one.touches} {one.last_touch}"
