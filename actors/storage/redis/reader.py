"""The hot tier as its readers in Python see it."""

from collections.abc import Callable

import attrs
import msgspec

from actors.messages import GapRecord
from actors.storage.errors import StorageError
from actors.storage.redis import keys, shapes
from actors.storage.redis.client import Client
from actors.storage.redis.target import check_schema


@attrs.frozen(eq=False)
class HotReader:
    """Reads the hot tier. Every method may raise StorageError, with Redis's address and what to do."""

    client: Client

    def symbols(self) -> list[tuple[str, str]]:
        """Return every (exchange, symbol) of which there may be something, sorted; none in an empty Redis."""
        with self.client.explained():
            schema = self.client.redis.get(keys.SCHEMA_KEY)
            if schema is None:
                return []
            check_schema(schema, self.client.address)
            found = self.client.redis.zrange(keys.SYMBOLS, 0, -1)
        names = (name.decode(errors="replace").partition(":") for name in found)
        return sorted((exchange, symbol) for exchange, _, symbol in names)

    def minutes(self, exchange: str, symbol: str, stored_after: int) -> list[int]:
        """Return the starts (µs) of the minutes with raw trades stored after then, ascending."""
        with self.client.explained():
            found = self.client.redis.zrangebyscore(
                keys.minutes(exchange, symbol), f"({stored_after}", "+inf"
            )
        return sorted(map(int, found))

    def runs(self, exchange: str, symbol: str, minute: int) -> list[shapes.Run]:
        """Return a minute's raw trades in the order in which they were received."""
        key = keys.trades(exchange, symbol, minute)
        with self.client.explained():
            found = self.client.redis.zrange(key, 0, -1)
        return [self._unpacked(key, _RUN, packed) for packed in found]

    def gaps(self, exchange: str, symbol: str) -> list[GapRecord]:
        """Return the records of gaps in the order in which they were stored."""
        key = keys.gaps(exchange, symbol)
        with self.client.explained():
            found = self.client.redis.zrange(key, 0, -1)
        return [self._unpacked(key, _GAP, packed).record(exchange, symbol) for packed in found]

    def book(self, exchange: str, symbol: str) -> shapes.BookShape | None:
        """Return the newest order book."""
        return self._latest(keys.book(exchange, symbol), _BOOK)

    def profile(self, exchange: str, symbol: str, timeframe: str) -> shapes.ProfileShape | None:
        """Return the volume profile of the last window that has ended."""
        return self._latest(keys.window("profile", exchange, symbol, timeframe), _PROFILE)

    def order_flow(self, exchange: str, symbol: str, timeframe: str) -> shapes.OrderFlowShape | None:
        """Return the order flow of the last window that has ended."""
        return self._latest(keys.window("order_flow", exchange, symbol, timeframe), _ORDER_FLOW)

    def _latest(self, key: str, unpack: Callable[[bytes], shapes.Shape]) -> shapes.Shape | None:
        with self.client.explained():
            found = self.client.redis.get(key)
        return None if found is None else self._unpacked(key, unpack, found)

    def _unpacked(self, key: str, unpack: Callable[[bytes], shapes.Shape], packed: bytes) -> shapes.Shape:
        try:
            return unpack(packed)
        except msgspec.MsgspecError as error:
            raise StorageError(
                f"{self.client.address} has something under {key} that cannot be read ({error}): delete it"
            ) from error


_RUN = shapes.unpacker(shapes.Run)
_GAP = shapes.unpacker(shapes.GapShape)
_BOOK = shapes.unpacker(shapes.BookShape)
_PROFILE = shapes.unpacker(shapes.ProfileShape)
_ORDER_FLOW = shapes.unpacker(shapes.OrderFlowShape)
