"""The best levels of an order book, from a topic that is not the one the book is put together from."""

from collections.abc import Sequence

from wadm.exchanges.bybit_frames import BookFrame
from wadm.exchanges.levels import Written
from wadm.exchanges.scale import LevelReader

#: bids and asks
Sides = tuple[Sequence[Written], Sequence[Written]]


class View:
    """What a topic of ``depth`` levels shows: its last snapshot with the changes since.

    A change that does not follow the one before leaves nothing to be shown until the next snapshot.
    """

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._last: int | None = None
        self._bids: dict[str, str] = {}
        self._asks: dict[str, str] = {}

    def apply(self, frame: BookFrame, reader: LevelReader) -> Sides | None:
        """Return the best levels after an update, None where they are not known.

        Raises BadNumberError for a bad level; then they are not known either.
        """
        data, last = frame.data, self._last
        self._last = None
        if frame.type == "snapshot":
            self._bids, self._asks = {}, {}
        elif last is None or data.update_id != last + 1:
            return None
        self._bids = self._changed(self._bids, data.bids, reader, best_first=True)
        self._asks = self._changed(self._asks, data.asks, reader, best_first=False)
        self._last = data.update_id
        return list(self._bids.items()), list(self._asks.items())

    def _changed(
        self, side: dict[str, str], levels: Sequence[Written], reader: LevelReader, *, best_first: bool
    ) -> dict[str, str]:
        changed = {**side, **{_plain(price): quantity for price, quantity in levels}}
        read = reader.read(list(changed.items()), ()).bids
        order = sorted(zip(read, changed.items(), strict=True), reverse=best_first)
        kept = [written for (_, quantity), written in order if quantity]
        return dict(kept[: self._depth])


def _plain(price: str) -> str:
    """Return a price without trailing zeros, so that a level is known again however it is written."""
    return price.rstrip("0").rstrip(".") if "." in price else price
