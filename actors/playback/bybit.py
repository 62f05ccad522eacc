"""Bybit's v5 public WebSocket as its servers speak it, linear and spot.

https://bybit-exchange.github.io/docs/v5/ws/connect
"""

from collections.abc import Callable, Sequence, Set
from functools import partial
from uuid import NAMESPACE_URL, uuid5

import attrs
import msgspec

from actors.playback.bybit_rest import BybitRest
from actors.playback.capture import Capture, Frame
from actors.playback.dialect import Dialect, Service, Session
from actors.playback.faults import SHUTDOWN
from actors.playback.payload import BROKEN
from actors.playback.reframe import reframed
from actors.playback.terms import Terms

#: All topics of a connection together.
MOST_CHARACTERS = 21_000
_CONNECTION = str(uuid5(NAMESPACE_URL, "local"))


class RefusedError(Exception):
    """A request that Bybit answers with ``success: false``."""


@attrs.frozen
class Category:
    """What tells the categories' interfaces apart."""

    name: str
    #: What an acknowledgement of an operation says.
    acknowledges: Callable[[str], str]
    #: How an unknown topic is refused.
    unknown: str
    #: The most topics of one request.
    most_topics: int | None
    #: The kinds of topics, and what stands between the kind and the symbol.
    topics: dict[str, Set[str]]

    def has(self, topic: str, symbols: Set[str]) -> bool:
        """Whether there is such a topic."""
        kind, _, rest = topic.partition(".")
        middle, _, symbol = rest.rpartition(".")
        return kind in self.topics and middle in self.topics[kind] and symbol in symbols


_INTERVALS = frozenset(["1", "3", "5", "15", "30", "60", "120", "240", "360", "720", "D", "W", "M"])
_TOPICS: dict[str, Set[str]] = {
    "publicTrade": {""},
    "orderbook": {"1", "50", "200", "1000"},
    "kline": _INTERVALS,
    "tickers": {""},
}
LINEAR = Category(
    "linear",
    acknowledges=lambda _: "",
    unknown="error:handler not found,topic:{}",
    most_topics=None,
    topics=_TOPICS | {"allLiquidation": {""}},
)
SPOT = Category(
    "spot",
    acknowledges=lambda operation: operation,
    unknown="Invalid symbol :[{}]",
    most_topics=10,
    topics=_TOPICS,
)


class BybitSession:
    """One connection's subscriptions, and the answers to its requests."""

    def __init__(self, category: Category, symbols: Set[str]) -> None:
        self._category = category
        self._symbols = symbols
        self._receives: frozenset[str] = frozenset()
        self._requests = 0

    @property
    def receives(self) -> Set[str]:
        """The subscribed topics."""
        return self._receives

    @property
    def requests(self) -> int:
        """How many subscriptions were made."""
        return self._requests

    @property
    def render(self) -> Callable[[Frame], bytes]:
        """Frames are written as they were recorded."""
        return _as_recorded

    def receive(self, text: str) -> str:
        """Answer subscribe, unsubscribe or ping."""
        request: dict[str, object] = {}
        try:
            request = _decode(text)
            operation = _operation(request)
            answer = {"success": True, "ret_msg": self._act(operation, request)}
        except RefusedError as refusal:
            answer = {"success": False, "ret_msg": str(refusal)}
        told = {"conn_id": _CONNECTION, "req_id": _text(request, "req_id"), "op": _text(request, "op")}
        return msgspec.json.encode(answer | told).decode()

    def farewell(self, time: int) -> bytes:
        """Bybit announces no end; its dialect spares it the fault."""
        raise NotImplementedError

    def _act(self, operation: str, request: dict[str, object]) -> str:
        """Do what is asked; return what the answer says."""
        if operation == "ping":
            return "pong"
        topics = _topics(request)
        if operation == "subscribe":
            self._subscribe(topics)
        else:
            self._receives -= set(topics)
        return self._category.acknowledges(operation)

    def _subscribe(self, topics: Sequence[str]) -> None:
        """Subscribe to all topics; to none where one of them is refused."""
        most = self._category.most_topics
        if most is not None and len(topics) > most:
            raise RefusedError(f"args size >{most}")
        for topic in topics:
            if not self._category.has(topic, self._symbols):
                raise RefusedError(self._category.unknown.format(topic))
            if topic in self._receives:
                raise RefusedError(f"error:already subscribed,topic:{topic}")
        receives = self._receives.union(topics)
        if sum(map(len, receives)) > MOST_CHARACTERS:
            raise RefusedError(f"args size >{MOST_CHARACTERS}")
        self._receives = receives
        self._requests += 1


def _as_recorded(frame: Frame) -> bytes:
    return frame.body


def _decode(text: str) -> dict[str, object]:
    try:
        request: object = msgspec.json.decode(text)
    except BROKEN:
        raise RefusedError("error:invalid json") from None
    if not isinstance(request, dict):
        raise RefusedError("error:invalid json")
    return request


def _text(request: dict[str, object], key: str) -> str:
    value = request.get(key, "")
    return value if isinstance(value, str) else ""


def _operation(request: dict[str, object]) -> str:
    operation = request.get("op")
    if operation not in ("subscribe", "unsubscribe", "ping"):
        raise RefusedError(f"error:request op not support,op:{operation}")
    return str(operation)


def _topics(request: dict[str, object]) -> list[str]:
    topics = request.get("args")
    if not isinstance(topics, list) or not topics or not all(isinstance(topic, str) for topic in topics):
        raise RefusedError("error:args must be a list of topics")
    return topics


def _open(category: Category, target: str, symbols: Set[str]) -> Session | None:
    return BybitSession(category, symbols) if target == f"/v5/public/{category.name}" else None


def _service(category: Category, capture: Capture) -> Service:
    return BybitRest(category.name, capture)


def _dialect(name: str, category: Category) -> Dialect:
    return Dialect(
        name,
        partial(_open, category),
        Terms(idle_timeout=600, weight_window=5),
        service=partial(_service, category),
        spared={SHUTDOWN},
        greets=True,
        adopt=partial(reframed, linear=category is LINEAR),
    )


BYBIT, BYBIT_SPOT = _dialect("bybit", LINEAR), _dialect("bybit_spot", SPOT)
