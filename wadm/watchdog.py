"""Which streams of a connection are silent though they should not be. Pure: ``now`` (s) only rises.

An exchange may acknowledge a subscription and send nothing (Binance's futures do on a wrong route,
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams). Silence by
itself proves nothing, since a symbol may just not be traded: it is suspicious while other streams of the
same connection move. Sparse streams are never suspected.
"""

from collections.abc import Callable, Container, Iterator, Mapping
from heapq import nlargest

import attrs

#: No stream is suspected of silence before so many seconds, whatever its pace.
LEAST_PATIENCE = 30.0

#: A stream that stays silent is renewed again after twice as long each time, up to so many seconds.
LONGEST_INTERVAL = 1_800.0


@attrs.frozen
class Findings:
    """What is to be done: streams to ``renew``, streams that have ``spoken`` again.

    ``all_silent`` says that no stream that should move has moved.
    """

    renew: tuple[str, ...] = ()
    spoken: tuple[str, ...] = ()
    all_silent: bool = False


@attrs.define
class _Watched:
    """``patience`` is None for a sparse stream; ``since`` is when it was acknowledged or last heard."""

    patience: float | None
    heard: int
    since: float
    heard_at: float | None = None
    silent_since: float | None = None
    renew_at: float = 0.0
    interval: float = 0.0


@attrs.define(eq=False)
class Watchdog:
    """Watches the streams of one connection; ``pace`` is ``Exchange.pace``.

    ``leniency`` multiplies the time after which a connection of which all streams are silent is given up.
    """

    pace: Callable[[str], float | None]
    leniency: float = 1.0
    _watched: dict[str, _Watched] = attrs.field(factory=dict, init=False)

    def look(
        self, wanted: Container[str], acknowledged: Mapping[str, float], heard: Mapping[str, int], now: float
    ) -> Findings:
        """Judge the acknowledged streams by how many frames were ``heard`` on each so far.

        A stream that is wanted, but not acknowledged at the moment, keeps its alarm; its time begins again
        with the answer.
        """
        spoken = self._take_note(acknowledged, heard, now)
        for stream in [stream for stream in self._watched if stream not in acknowledged]:
            if stream not in wanted:
                del self._watched[stream]
        if self._all_silent(acknowledged, now):
            return Findings((), spoken, all_silent=True)
        suspected = tuple(self._suspected(acknowledged, now))
        for stream in suspected:
            self._alarm(self._watched[stream], now)
        return Findings(suspected, spoken)

    @property
    def silent(self) -> dict[str, float]:
        """The streams under alarm, each with the time since when nothing has come on it."""
        return {name: one.silent_since for name, one in self._watched.items() if one.silent_since is not None}

    @property
    def all_sparse(self) -> bool:
        """Whether no stream is watched that should move."""
        return all(one.patience is None for one in self._watched.values())

    def _take_note(
        self, acknowledged: Mapping[str, float], heard: Mapping[str, int], now: float
    ) -> tuple[str, ...]:
        """Note what has moved since the last look; return the streams whose alarm is over."""
        spoken = []
        for stream, at in acknowledged.items():
            one = self._watched.get(stream)
            if one is None:
                pace = self.pace(stream)
                patience = None if pace is None else max(pace, LEAST_PATIENCE)
                one = self._watched[stream] = _Watched(patience, 0, at)
            count = heard.get(stream, 0)
            if count != one.heard:
                if one.silent_since is not None:
                    spoken.append(stream)
                one.heard, one.since, one.heard_at = count, now, now
                one.silent_since, one.interval = None, 0.0
            one.since = max(one.since, at)
        return tuple(spoken)

    def _all_silent(self, acknowledged: Container[str], now: float) -> bool:
        judged = [
            now - one.since >= one.patience * self.leniency
            for stream, one in self._watched.items()
            if one.patience is not None and stream in acknowledged
        ]
        return bool(judged) and all(judged)

    def _suspected(self, acknowledged: Container[str], now: float) -> Iterator[str]:
        """Yield the streams to be renewed: silent for too long while a sibling has moved."""
        latest = nlargest(2, ((one.heard_at, name) for name, one in self._watched.items() if one.heard_at))
        for stream, one in self._watched.items():
            if one.patience is None or stream not in acknowledged or now - one.since < one.patience:
                continue
            moved = next((at for at, name in latest if name != stream), None)
            if moved is not None and moved > one.since and now >= one.renew_at:
                yield stream

    @staticmethod
    def _alarm(one: _Watched, now: float) -> None:
        assert one.patience is not None
        if one.silent_since is None:
            one.silent_since = one.since
        one.interval = min(2 * one.interval or one.patience, LONGEST_INTERVAL)
        one.renew_at = now + one.interval
