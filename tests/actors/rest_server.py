"""A REST interface of Binance's kind over real sockets, which answers as it is told to."""

from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from urllib.parse import parse_qs

import attrs
import msgspec
import trio

#: What an answer is made of: status line, further headers, body, and how many bytes of it are sent.
Canned = tuple[str, str, bytes, int | None]


def canned(status: str, body: bytes = b"{}", *, headers: str = "", cut: int | None = None) -> Canned:
    return status, headers, body, cut


@attrs.frozen
class Asked:
    """A request as it came; ``at`` is on trio's clock."""

    path: str
    symbol: str
    first: int
    limit: int
    key: str | None
    at: float


@attrs.define(eq=False)
class RestServer:
    """Serves the trades it was given from ``fromId`` on, ``page`` at most, or what is ``canned`` first.

    A page ends before an id in ``unknown``; over other ids that it lacks it passes.
    """

    frames: Iterable[bytes] = ()
    page: int = 1_000
    unknown: frozenset[int] = frozenset()
    canned: deque[Canned] = attrs.field(factory=deque)
    before: Callable[[Asked], Awaitable[None]] | None = None
    asked: list[Asked] = attrs.field(factory=list)
    url: str = ""
    _trades: dict[str, dict[int, dict[str, object]]] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        for frame in self.frames:
            data = msgspec.json.decode(frame)["data"]
            row = {"id": data["t"], "price": data["p"], "qty": data["q"], "quoteQty": "0"}
            row |= {"time": data["T"], "isBuyerMaker": data["m"], "isBestMatch": True}
            self._trades.setdefault(data["s"], {})[data["t"]] = row

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        await trio.serve_listeners(self._serve, listeners, task_status=task_status)

    def rows(self, symbol: str, first: int, limit: int) -> list[dict[str, object]]:
        trades = self._trades.get(symbol, {})
        found: list[dict[str, object]] = []
        for number in sorted(number for number in trades if number >= first and number not in self.unknown):
            before = found and self.unknown.intersection(range(int(str(found[-1]["id"])), number))
            if before or len(found) == min(limit, self.page):
                break
            found.append(trades[number])
        return found

    async def _serve(self, stream: trio.SocketStream) -> None:
        try:
            head = b""
            while b"\r\n\r\n" not in head:
                data = await stream.receive_some()
                if not data:
                    return
                head += data
            await stream.send_all(await self._answer(head.decode()))
            await stream.send_eof()
        except trio.BrokenResourceError:
            pass  # whoever asked was killed

    async def _answer(self, head: str) -> bytes:
        asked = _read(head)
        self.asked.append(asked)
        if self.before is not None:
            await self.before(asked)
        if self.canned:
            status, headers, body, cut = self.canned.popleft()
        else:
            body = msgspec.json.encode(self.rows(asked.symbol, asked.first, asked.limit))
            status, headers, cut = "200 OK", "", None
        start = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{headers}\r\n"
        return start.encode() + body[:cut]


def _read(head: str) -> Asked:
    line, *fields = head.split("\r\n")
    path, _, query = line.split(" ")[1].partition("?")
    given = {name: values[0] for name, values in parse_qs(query).items()}
    keys = [field.partition(": ")[2] for field in fields if field.lower().startswith("x-mbx-apikey: ")]
    return Asked(
        path,
        given["symbol"],
        int(given["fromId"]),
        int(given["limit"]),
        keys[0] if keys else None,
        trio.current_time(),
    )
