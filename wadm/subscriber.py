"""What one connection is subscribed to, and the requests that make of it what it shall be subscribed to.

Pure: ``now`` (s) is any clock that only rises. What the exchange refuses, or leaves without an answer,
concerns only the streams that were asked for together.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import attrs

from wadm.exchanges.base import ALREADY_SUBSCRIBED, Codec, LimitError, Refused

#: Seconds after which a request that was not answered counts as lost.
ANSWER_WITHIN = 10.0

#: Streams in one request where the exchange names no limit.
STREAMS_PER_REQUEST = 200

#: Of an exchange's reason, so many characters are kept.
_LONGEST_REASON = 200


class Unanswered(Exception):  # a state of the far side
    """A request stayed without an answer twice."""


@attrs.define(eq=False)
class _Asked:
    """A request under way: ``ids`` are those of its frames that are not answered yet."""

    streams: tuple[str, ...]
    subscribes: bool
    ids: set[str]
    at: float
    again: bool


@attrs.define(eq=False)
class Subscriber:
    """The subscriptions of one connection, made with its ``codec``.

    ``acknowledged`` are the streams that the exchange has agreed to, with the time; ``refused`` those that
    it has not, with its reason. Those are asked for again when they are renewed, or dropped and carried anew.
    """

    codec: Codec
    streams_per_request: int = STREAMS_PER_REQUEST
    acknowledged: dict[str, float] = attrs.field(factory=dict, init=False)
    refused: dict[str, str] = attrs.field(factory=dict, init=False)
    _renewing: dict[str, None] = attrs.field(factory=dict, init=False)
    _asked: list[_Asked] = attrs.field(factory=list, init=False)
    _apart: list[_Asked] = attrs.field(factory=list, init=False)

    # --- what is to be asked ---

    def renew(self, streams: Iterable[str]) -> None:
        """End the subscriptions of some streams and subscribe to them anew."""
        for stream in streams:
            if stream in self.acknowledged:
                self._renewing[stream] = None
            self.refused.pop(stream, None)

    def ask(self, wanted: Collection[str], now: float) -> list[str]:
        """Return the frames of the next request, none where nothing is to be asked."""
        for stream in self._unwanted(wanted):
            del self.refused[stream]
        while self._apart:
            part = self._apart.pop(0)
            streams = [stream for stream in part.streams if (stream in wanted) is part.subscribes]
            if streams:
                return self._request(streams, part.subscribes, now, again=part.again)
        ending = [stream for stream in self.acknowledged if stream not in wanted or stream in self._renewing]
        if ending:
            return self._request(ending[: self.streams_per_request], False, now)
        under_way = self._under_way()
        missing = [stream for stream in self._missing(wanted) if stream not in under_way]
        return self._request(missing[: self.streams_per_request], True, now) if missing else []

    def has_to_ask(self, wanted: Collection[str]) -> bool:
        """Return whether ``ask`` would ask something."""
        if self._apart or self._renewing or self._unwanted(wanted):
            return True
        if any(stream not in wanted for stream in self.acknowledged):
            return True
        under_way = self._under_way()
        return any(stream not in under_way for stream in self._missing(wanted))

    def _unwanted(self, wanted: Collection[str]) -> list[str]:
        return [stream for stream in self.refused if stream not in wanted]

    def _missing(self, wanted: Collection[str]) -> Iterator[str]:
        return (one for one in wanted if one not in self.acknowledged and one not in self.refused)

    def _under_way(self) -> set[str]:
        return {stream for part in (*self._asked, *self._apart) for stream in part.streams}

    def _request(
        self, streams: Sequence[str], subscribes: bool, now: float, *, again: bool = False
    ) -> list[str]:
        try:
            requests = (self.codec.subscribe if subscribes else self.codec.unsubscribe)(streams)
        except LimitError as error:
            self.refused |= dict.fromkeys(streams, str(error))
            return []
        if not subscribes:
            for stream in streams:
                self.acknowledged.pop(stream, None)
                self._renewing.pop(stream, None)
        ids = {number for number, _ in requests}
        self._asked.append(_Asked(tuple(streams), subscribes, ids, now, again))
        return [frame for _, frame in requests]

    # --- what is answered ---

    def accept(self, request_id: str, now: float) -> None:
        """Note that the exchange agreed to a request."""
        asked = self._answered(request_id)
        if asked is None or asked.ids:
            return
        self._asked.remove(asked)
        if asked.subscribes:
            self.acknowledged |= dict.fromkeys(asked.streams, now)

    def refuse(self, refusal: Refused, now: float) -> Mapping[str, str]:
        """Note that the exchange refused a request; return the streams that are refused by it, and why.

        A request for several streams is asked again in halves: one of them is to blame, not all. An answer
        that names no request is taken for that to the only one under way.
        """
        request_id = refusal.request_id
        if request_id is None and len(self._asked) == 1:
            request_id = next(iter(self._asked[0].ids), None)
        asked = None if request_id is None else self._answered(request_id)
        if asked is None:
            return {}
        self._asked.remove(asked)
        if not asked.subscribes:
            return {}
        middle = len(asked.streams) // 2
        if middle:
            halves = asked.streams[:middle], asked.streams[middle:]
            self._apart += [_Asked(half, True, set(), 0.0, False) for half in halves]
            return {}
        if refusal.code == ALREADY_SUBSCRIBED:
            # A request before it was refused for another stream's sake, or answered too late.
            self.acknowledged |= dict.fromkeys(asked.streams, now)
            return {}
        self.codec.unsubscribe(asked.streams)  # it counts them no more; the exchange need not be told
        refused = dict.fromkeys(asked.streams, (refusal.message or refusal.code)[:_LONGEST_REASON])
        self.refused |= refused
        return refused

    def _answered(self, request_id: str) -> _Asked | None:
        for asked in self._asked:
            if request_id in asked.ids:
                asked.ids.remove(request_id)
                return asked
        return None

    # --- what is not answered ---

    @property
    def due(self) -> float | None:
        """When the oldest request under way counts as lost; None where none is."""
        return min((asked.at + ANSWER_WITHIN for asked in self._asked), default=None)

    def expire(self, now: float) -> list[str]:
        """Ask once more what was not answered in time; return its streams. Raises Unanswered after that."""
        late = [asked for asked in self._asked if asked.at + ANSWER_WITHIN <= now]
        for asked in late:
            if asked.again:
                raise Unanswered(f"no answer to a request for {_named(asked.streams)}, asked twice")
            self._asked.remove(asked)
            self._apart.append(attrs.evolve(asked, again=True))
        return [stream for asked in late for stream in asked.streams]

    # --- how far it is ---

    def settled(self, wanted: Iterable[str]) -> bool:
        """Return whether every stream wanted was acknowledged or refused."""
        return all(stream in self.acknowledged or stream in self.refused for stream in wanted)

    @property
    def idle(self) -> bool:
        """Whether no request is under way."""
        return not self._asked and not self._apart


def _named(streams: Sequence[str]) -> str:
    more = f" and {len(streams) - 1} more" if len(streams) > 1 else ""
    return f"{streams[0]}{more}"
