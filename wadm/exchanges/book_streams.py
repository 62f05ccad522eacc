"""Which of a symbol's streams its order book is put together from."""


class BookStreams:
    """The book's stream of each symbol, chosen once for all of an exchange's connections.

    Two streams of one book number their updates differently: folded together they would ruin it. The book is
    put together from the deepest stream that was subscribed to, the first one among equals; where none was,
    from the first one heard. A choice is kept when its stream is given up: it may only be renewed.
    """

    def __init__(self) -> None:
        self._chosen: dict[str, tuple[int, str]] = {}

    def subscribed(self, symbol: str, stream: str, depth: int = 0) -> None:
        """Note that a stream was subscribed to that shows ``depth`` levels (0: all, as do its likes)."""
        if symbol not in self._chosen or self._chosen[symbol][0] < depth:
            self._chosen[symbol] = depth, stream

    def is_book(self, symbol: str, stream: str, depth: int = 0) -> bool:
        """Return whether the book of a known symbol is put together from ``stream``, which was heard."""
        return self._chosen.setdefault(symbol, (depth, stream))[1] == stream

    def forget(self, symbol: str) -> None:
        """Forget the choice for a symbol that is followed no longer."""
        self._chosen.pop(symbol, None)
