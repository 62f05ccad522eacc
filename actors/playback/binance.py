"""Binance's WebSocket streams as its servers speak them, spot and USDⓈ-M futures.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams and
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
"""

from collections.abc import Callable, Sequence, Set
from functools import partial
from urllib.parse import parse_qs, unquote, urlsplit

import attrs
import msgspec

from actors.playback.binance_market import FUTURES, SPOT
from actors.playback.binance_request import RefusedError, decode, read_id, read_method, read_names
from actors.playback.binance_rest import BinanceRest
from actors.playback.capture import Frame
from actors.playback.dialect import Dialect, Session
from actors.playback.faults import RESTART
from actors.playback.payload import BROKEN
from actors.playback.terms import Terms

MAX_STREAMS = 1024


class _Wrapped(msgspec.Struct):
    data: msgspec.Raw


def wrapped(frame: Frame) -> bytes:
    """Write a frame as combined streams do: ``{"stream":…,"data":…}``."""
    if frame.body.startswith(b'{"stream":'):
        return frame.body
    return b'{"stream":"%s","data":%s}' % (frame.stream.encode(), frame.body)


def bare(frame: Frame) -> bytes:
    """Write a frame as raw streams do: the payload alone."""
    if not frame.body.startswith(b'{"stream":'):
        return frame.body
    prefix = b'{"stream":"%s","data":' % frame.stream.encode()
    if frame.body.startswith(prefix):
        return frame.body[len(prefix) : -1]
    try:
        return bytes(msgspec.json.decode(frame.body, type=_Wrapped).data)
    except BROKEN:  # recorded broken: as broken it is played
        return frame.body


@attrs.frozen
class Route:
    """A path that streams are served on."""

    #: Which streams it carries. A stream it does not carry is subscribed all the same, and stays silent.
    carries: Callable[[str], bool]
    #: Whether a request's id must be an unsigned integer; else it may be a string or absent.
    strict_ids: bool


class BinanceSession:
    """One connection's subscriptions, and the answers to its requests."""

    def __init__(self, streams: Sequence[str], route: Route, *, combined: bool) -> None:
        self._streams = dict.fromkeys(streams)  # a set that keeps its order
        self._route = route
        self._combined = combined
        self._requests = 1 if streams else 0
        self._receives: Set[str] = frozenset()
        self._subscribed()

    @property
    def receives(self) -> Set[str]:
        """The subscribed streams that the route carries."""
        return self._receives

    @property
    def requests(self) -> int:
        """How many subscriptions were made, those of the URL counting as one."""
        return self._requests

    @property
    def render(self) -> Callable[[Frame], bytes]:
        """How frames are written for this client."""
        return wrapped if self._combined else bare

    def receive(self, text: str) -> str:
        """Answer SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS, SET_PROPERTY or GET_PROPERTY."""
        answer: dict[str, object] = {}
        try:
            request = decode(text)
            answer["id"] = read_id(request, strict=self._route.strict_ids)
            answer = {"result": self._act(request), **answer}
        except RefusedError as refusal:
            answer = {"code": refusal.code, "msg": refusal.message, **answer}
        return msgspec.json.encode(answer).decode()

    def farewell(self, time: int) -> bytes:
        """Announce that the server is about to shut down."""
        event = b'{"e":"serverShutdown","E":%d}' % time
        return b'{"stream":"serverShutdown","data":%s}' % event if self._combined else event

    def _act(self, request: dict[str, object]) -> object:
        """Do what is asked; return the result to answer with."""
        method, params = read_method(request), request.get("params", [])
        if not isinstance(params, list):
            raise RefusedError(2, "Invalid request: params must be an array")
        if method == "LIST_SUBSCRIPTIONS":
            return list(self._streams)
        if method == "SUBSCRIBE":
            self._subscribe(read_names(params))
        elif method == "UNSUBSCRIBE":
            self._unsubscribe(read_names(params))
        elif params[:1] != ["combined"]:
            raise RefusedError(0, "Unknown property")
        elif method == "GET_PROPERTY":
            return self._combined
        else:
            self._set_combined(params[1:])
        return None

    def _subscribe(self, names: Sequence[str]) -> None:
        streams = self._streams | dict.fromkeys(names)
        if len(streams) > MAX_STREAMS:
            raise RefusedError(2, "Invalid request: too many parameters")
        self._streams = streams
        self._requests += 1
        self._subscribed()

    def _unsubscribe(self, names: Sequence[str]) -> None:
        for name in names:
            self._streams.pop(name, None)
        self._subscribed()

    def _subscribed(self) -> None:
        self._receives = frozenset(filter(self._route.carries, self._streams))

    def _set_combined(self, values: Sequence[object]) -> None:
        if len(values) != 1 or not isinstance(values[0], bool):
            raise RefusedError(1, "Invalid value type: expected Boolean")
        self._combined = values[0]


def _is_public(stream: str) -> bool:
    """Say whether a futures stream is on the route of books; undocumented single trades come with them."""
    kind = stream.partition("@")[2] or stream
    return kind.startswith("depth") or kind.endswith("bookTicker") or kind == "trade"


_SPOT = Route(carries=lambda _: True, strict_ids=False)
#: The futures' routes share out the streams; their old addresses without a route acknowledge and stay silent.
_FUTURES = {
    "public": Route(carries=_is_public, strict_ids=True),
    "market": Route(carries=lambda stream: not _is_public(stream), strict_ids=True),
}
_RETIRED = Route(carries=lambda _: False, strict_ids=True)


def _open_spot(target: str, _symbols: Set[str]) -> Session | None:
    return _open(target, _SPOT)


def _open_futures(target: str, _symbols: Set[str]) -> Session | None:
    first, _, rest = target.removeprefix("/").partition("/")
    if first in _FUTURES:
        return _open(f"/{rest}", _FUTURES[first])
    return _open(target, _RETIRED)


def _open(target: str, route: Route) -> Session | None:
    """Read ``/ws``, ``/ws/<stream>/…`` or ``/stream?streams=<stream>/…``."""
    parts = urlsplit(target)
    kind, _, names = unquote(parts.path).removeprefix("/").partition("/")
    if kind == "stream":
        names = "/".join(parse_qs(parts.query).get("streams", []))
    elif kind != "ws":
        return None
    return BinanceSession([name for name in names.split("/") if name], route, combined=kind == "stream")


BINANCE = Dialect(
    "binance",
    _open_spot,
    Terms(ping_interval=20, pong_timeout=60, messages_per_second=5),
    service=partial(BinanceRest, SPOT),
    spared={RESTART},
)
BINANCE_USDM = Dialect(
    "binance_usdm",
    _open_futures,
    Terms(ping_interval=180, pong_timeout=600, messages_per_second=10),
    service=partial(BinanceRest, FUTURES),
    spared={RESTART},
)
