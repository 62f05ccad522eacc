"""Carries JSON-RPC messages between an agent's lines and a daemon's Streamable HTTP, both ways.

A request is one POST, whose answer (JSON or a stream of events) becomes lines as it comes; what the daemon
tells of its own accord comes over one GET. Messages are passed on as they are written. The session is kept
here: after a restart of the daemon it is begun anew, with its subscriptions, and the agent notices nothing.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, suppress

import attrs
import httpx2
import msgspec
import trio

from actors.bridge.lines import LONGEST, TooLongError, read_lines
from actors.bridge.messages import INVALID_REQUEST, UNREACHABLE, Message, NotAMessageError, error, is_answer

#: Seconds to reach the daemon, and those that requests in flight have once the input has ended.
CONNECT_TIMEOUT = 5.0
GRACE = 5.0

#: Seconds between two tries to hear the daemon again: the first, and the longest.
PAUSE = (0.5, 15.0)

_ACCEPT = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
_INITIALIZED = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'
_EVENTS = "text/event-stream"


@attrs.define(eq=False)
class Bridge:
    """One agent's bridge. ``write`` takes the daemon's messages, ``say`` sentences for a person."""

    url: str
    key: dict[str, str]
    write: Callable[[bytes], Awaitable[None]]
    say: Callable[[str], None]
    _client: httpx2.AsyncClient = attrs.field(init=False)
    _nursery: trio.Nursery = attrs.field(init=False)
    _session: dict[str, str] = attrs.field(factory=dict, init=False)
    _begun: bytes = attrs.field(default=b"", init=False)
    _subscribed: dict[str, bytes] = attrs.field(factory=dict, init=False)
    _in_flight: dict[str | int | None, trio.CancelScope] = attrs.field(factory=dict, init=False)
    _lost: bool = attrs.field(default=False, init=False)

    async def run(self, descriptor: int) -> None:
        """Carry messages until the input ends, or nobody reads the output any more."""
        timeout = httpx2.Timeout(None, connect=CONNECT_TIMEOUT)
        async with httpx2.AsyncClient(headers=self.key, timeout=timeout, trust_env=False) as self._client:
            try:
                async with trio.open_nursery() as self._nursery:
                    async with trio.open_nursery() as requests:
                        await self._read(descriptor, requests)
                        requests.cancel_scope.deadline = trio.current_time() + GRACE
                    self._nursery.cancel_scope.cancel()
            except* BrokenPipeError:
                pass
            await self._leave()

    async def _read(self, descriptor: int, requests: trio.Nursery) -> None:
        try:
            async with aclosing(read_lines(descriptor)) as lines:
                async for line in lines:
                    if line:
                        await self._take(line, requests)
        except TooLongError:
            self.say(f"a message is longer than {LONGEST} bytes; the bridge ends")

    async def _take(self, line: bytes, requests: trio.Nursery) -> None:
        try:
            message = Message.parse(line)
        except NotAMessageError as wrong:
            await self.write(error(None, wrong.code, str(wrong)))
            return
        if message.cancels in self._in_flight:
            self._in_flight[message.cancels].cancel()
        elif message.id is not None and message.method != "initialize":
            requests.start_soon(self._request, message)
        else:
            await self._post(message)  # what follows rests on it
            if message.method == "notifications/initialized" and "Mcp-Session-Id" in self._session:
                self._nursery.start_soon(self._listen)

    # --- what the agent sends ---

    async def _request(self, message: Message) -> None:
        """Send a request; where it names its version, closing its stream is what cancels it."""
        with trio.CancelScope() as scope:
            if message.version is not None and message.id is not None:
                self._in_flight[message.id] = scope
            try:
                await self._post(message)
            finally:
                self._in_flight.pop(message.id, None)

    async def _post(self, message: Message) -> None:
        """Send a message and write whatever answers it."""
        last = b""
        try:
            async with self._sent(message) as response:
                self._remember(message, response)
                async with aclosing(_bodies(response)) as bodies:
                    async for body in bodies:
                        self._settle(message, body)
                        if message.id is not None:
                            await self.write(last := body)
                if response.is_error and message.id is not None:
                    await self.write(error(message.id, INVALID_REQUEST, await _refusal(response)))
            self._lost = False
        except httpx2.HTTPError as failure:
            sentence = self._unreachable(failure)
            if message.id is not None and not is_answer(last):
                await self.write(error(message.id, UNREACHABLE, sentence))

    def _sent(self, message: Message) -> AbstractAsyncContextManager[httpx2.Response]:
        begins = message.method == "initialize"
        headers = _ACCEPT | (message.headers or ({} if begins else self._session))
        return self._client.stream("POST", self.url, content=message.line, headers=headers)

    def _unreachable(self, failure: httpx2.HTTPError) -> str:
        sentence = (
            f"no daemon answers at {self.url} ({str(failure) or type(failure).__name__}): start one with"
            " `wadm run`, or name its address with --url"
        )
        if not self._lost:
            self.say(sentence)
        self._lost = True
        return sentence

    # --- the session ---

    def _remember(self, message: Message, response: httpx2.Response) -> None:
        """Keep what a session is begun anew from."""
        if message.method == "initialize" and (session := response.headers.get("mcp-session-id")):
            self._begun, self._session = message.line, {"Mcp-Session-Id": session}
        elif message.version is None and message.uri is not None:
            if message.method == "resources/subscribe":
                self._subscribed[message.uri] = message.line
            elif message.method == "resources/unsubscribe":
                self._subscribed.pop(message.uri, None)

    def _settle(self, message: Message, body: bytes) -> None:
        """Keep the version that was agreed on."""
        if message.method != "initialize":
            return
        result = msgspec.json.decode(body).get("result") or {}
        if isinstance(version := result.get("protocolVersion"), str):
            self._session["MCP-Protocol-Version"] = version

    async def _listen(self) -> None:
        """Write what the daemon tells of its own accord, for as long as the bridge lasts."""
        pause = PAUSE[0]
        while True:
            try:
                headers = {"Accept": _EVENTS} | self._session
                async with self._client.stream("GET", self.url, headers=headers) as response:
                    if response.status_code == 404:
                        await self._begin_anew()
                        continue
                    if response.is_error:
                        return
                    pause = PAUSE[0]
                    async with aclosing(_bodies(response)) as bodies:
                        async for body in bodies:
                            await self.write(body)
            except httpx2.HTTPError as failure:
                self._unreachable(failure)
            await trio.sleep(pause)
            pause = min(2 * pause, PAUSE[1])

    async def _begin_anew(self) -> None:
        """Begin a session as the agent began his, and subscribe to the same."""
        for line in (self._begun, _INITIALIZED, *self._subscribed.values()):
            message = Message.parse(line)
            async with self._sent(message) as response:
                self._remember(message, response)
                async with aclosing(_bodies(response)) as bodies:
                    async for body in bodies:
                        self._settle(message, body)
        self.say("the daemon was started again; the session goes on")

    async def _leave(self) -> None:
        if "Mcp-Session-Id" in self._session:
            with trio.move_on_after(1):
                with suppress(httpx2.HTTPError):
                    await self._client.delete(self.url, headers=self._session)


async def _bodies(response: httpx2.Response) -> AsyncGenerator[bytes, None]:
    """Yield the messages of an answer, each in one line."""
    kind = response.headers.get("content-type", "")
    if kind.startswith(_EVENTS):
        data: list[str] = []
        async for line in response.aiter_lines():
            if line.startswith("data:"):
                data.append(line[5:].strip())
            elif not line and data:
                yield "".join(data).encode()
                data = []
    elif kind.startswith("application/json") and (body := await response.aread()):
        # Outside of strings a line's end means nothing, and within one it is written as \n.
        yield body.replace(b"\r", b" ").replace(b"\n", b" ")


async def _refusal(response: httpx2.Response) -> str:
    """Return why a request was refused."""
    try:
        return str(msgspec.json.decode(await response.aread())["detail"])
    except (msgspec.DecodeError, LookupError, TypeError):
        return f"the daemon answered {response.status_code}"
