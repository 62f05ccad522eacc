"""Where playback waits for books: at a symbol's first recorded snapshot, until a client has fetched it. Pure.

A client at full speed is far behind the server: without this, the first depth that it could fetch would be
one of the recording's end, and most of the recorded diffs would lie before it. At later snapshots nothing is
waited for: a client whose book is in step asks for none, and one whose book is not has asked already.
"""

from collections.abc import Set

from actors.playback.capture import Capture
from actors.playback.depth import is_diff, places
from actors.playback.names import symbol_of


class Gate:
    """The places where playback waits, ``patience`` seconds at most each; none where that is 0."""

    def __init__(self, capture: Capture, patience: float = 0.0) -> None:
        self.patience = patience
        self._awaited: dict[int, set[str]] = {}
        first: set[str | None] = {None}
        for at, snapshot in places(capture) if patience else ():
            if snapshot.symbol is not None and snapshot.symbol not in first:
                self._awaited.setdefault(at, set()).add(snapshot.symbol)
            first.add(snapshot.symbol)

    @property
    def places(self) -> Set[int]:
        """The frames that are not handed out before somebody has fetched a book."""
        return self._awaited.keys()

    def closed(self, at: int, subscribed: Set[str]) -> bool:
        """Whether a book is awaited before the frame ``at`` and followed by somebody."""
        awaited = self._awaited.get(at, set())
        return not awaited.isdisjoint(map(symbol_of, filter(is_diff, subscribed)))

    def fetched(self, symbol: str, position: int) -> None:
        """Note that somebody has fetched a book when so many frames had been handed out."""
        for at, awaited in self._awaited.items():
            if at <= position:
                awaited.discard(symbol)
