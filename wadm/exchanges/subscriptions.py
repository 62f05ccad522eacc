"""One connection's subscriptions: numbered requests, cut to the exchange's limits."""

from collections.abc import Sequence

from wadm.exchanges.base import LimitError, Limits


class Subscriptions:
    """The streams one connection asked for."""

    def __init__(self, exchange: str, limits: Limits) -> None:
        self._exchange = exchange
        self._limits = limits
        self._streams: set[str] = set()
        self._requests = 0

    def add(self, streams: Sequence[str]) -> list[tuple[int, Sequence[str]]]:
        """Return numbered requests for ``streams``; raises LimitError and adds none past a limit."""
        wanted = self._streams | set(streams)
        self._check(wanted)
        self._streams = wanted
        return self._cut(streams)

    def discard(self, streams: Sequence[str]) -> list[tuple[int, Sequence[str]]]:
        """Return numbered requests that give ``streams`` up."""
        self._streams -= set(streams)
        return self._cut(streams)

    def _check(self, streams: set[str]) -> None:
        most, characters = self._limits.streams_per_connection, self._limits.characters_per_connection
        if most is not None and len(streams) > most:
            raise LimitError(
                f"{self._exchange}: {len(streams)} streams on one connection, at most {most} are allowed"
            )
        length = sum(map(len, streams))
        if characters is not None and length > characters:
            raise LimitError(
                f"{self._exchange}: stream names of {length} characters on one connection, "
                f"at most {characters} are allowed"
            )

    def _cut(self, streams: Sequence[str]) -> list[tuple[int, Sequence[str]]]:
        size = self._limits.streams_per_request or max(len(streams), 1)
        requests: list[tuple[int, Sequence[str]]] = []
        for start in range(0, len(streams), size):
            self._requests += 1
            requests.append((self._requests, streams[start : start + size]))
        return requests
