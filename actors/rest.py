"""Asking the exchanges' REST interfaces: one answer, or whether to ask again.

All that the daemon asks goes through one ``Rest``: what an exchange allows, and what it refused, holds for
the address and not for the actor that asks.
"""

import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import TypeVar

import attrs
import httpx2
import trio

from wadm.exchanges import registry
from wadm.exchanges.base import Query, RateLimited, Request
from wadm.instants import iso
from wadm.market import SECOND
from wadm.quota import LONGEST_BAN, Quota

T = TypeVar("T")

_TIMEOUT = httpx2.Timeout(10.0)

#: The longest answer that is read: an exchange's list of all symbols has some 20 MB.
LONGEST_ANSWER = 32 * 1024 * 1024

#: From so many bytes on an answer is read in a thread: a list of thousands of symbols takes 0.1 s.
LARGE_ANSWER = 256 * 1024

#: Environment variables with API keys, by exchange.
_KEYS = {"binance": "BINANCE_API_KEY", "binance_usdm": "BINANCE_API_KEY"}

#: A key for the local exchange, which wants one as its model does, but any will do.
_ANY_KEY = "recorded"

_RATE_LIMITED = 429
_REFUSALS = (403, 418, _RATE_LIMITED)
_NOT_SERVED_HERE = 451
_EXPLAINED = {
    "binance": "; Binance's hosts for market data alone may answer: https://data-api.binance.vision "
    "and wss://data-stream.binance.vision"
}


class NotNow(Exception):  # a state of the far side
    """The exchange cannot answer at the moment; ``after`` is when to ask again (s), where that is known."""

    def __init__(self, why: str, after: float | None = None) -> None:
        super().__init__(why)
        self.after = after


class NotEver(Exception):  # a state of the far side
    """The exchange will not answer this request."""


@attrs.define(eq=False)
class _Gate:
    """What one exchange allows; requests pass one after the other, in the order they came."""

    quota: Quota
    turn: trio.Lock = attrs.field(factory=trio.Lock)


@attrs.define(eq=False)
class Rest:
    """The REST interfaces at ``addresses`` (scheme and host by exchange), asked over one ``client``.

    A request waits for its turn where it would pass what its exchange allows a minute. An exchange that
    refused is left alone for as long as it said; the others are not concerned. ``playback`` says that they
    are a local exchange's, which may be asked without limit.
    """

    client: httpx2.AsyncClient
    addresses: Mapping[str, str]
    playback: bool
    _gates: dict[str, _Gate] = attrs.field(factory=dict, init=False)

    async def ask(self, exchange: str, query: Query[T]) -> T:
        """Return what an answer says. Raises NotNow, NotEver, or PageError for one that cannot be read."""
        body = await self.get(exchange, query.request)
        try:
            if len(body) < LARGE_ANSWER:
                return query.read(body)
            return await trio.to_thread.run_sync(query.read, body)
        except RateLimited as error:
            # Bybit answers 200 and says in the body that it was too much.
            raise self._refused(exchange, _RATE_LIMITED, None, str(error)) from error

    async def get(self, exchange: str, request: Request) -> bytes:
        """Return the body of an answer. Raises NotNow or NotEver."""
        url, headers = self.addresses[exchange] + request.path, self._key(exchange, request)
        await self._pass(exchange, request)
        try:
            async with self.client.stream("GET", url, params=dict(request.query), headers=headers) as answer:
                status, body = answer.status_code, await _read(answer, url)
        except httpx2.HTTPError as error:
            raise NotNow(f"{url}: {error or type(error).__name__}") from error
        if status in _REFUSALS:
            after = _seconds(answer.headers.get("retry-after"))
            raise self._refused(exchange, status, after, f"{url} answered {status}")
        if status >= 500:
            raise NotNow(f"{url} answered {status}", _seconds(answer.headers.get("retry-after")))
        self._gate(exchange).quota.answered()
        if status == _NOT_SERVED_HERE:
            raise NotEver(
                f"{url} answered 451: the exchange does not serve the place this request came from. "
                f"Name a proxy elsewhere in network.proxy{_EXPLAINED.get(exchange, '')}"
            )
        if status != 200:
            raise NotEver(f"{url} answered {status}: {body[:200].decode(errors='replace')}")
        return body

    def status(self) -> dict[str, dict[str, object]]:
        """Say what was asked of each exchange, and until when it is to be left alone."""
        now = trio.current_time()
        return {name: _account(gate.quota, now) for name, gate in sorted(self._gates.items())}

    async def _pass(self, exchange: str, request: Request) -> None:
        """Wait until a request may be made, and count it. Raises NotNow for an exchange that refuses."""
        gate = self._gate(exchange)
        quota = gate.quota
        async with gate.turn:
            while not self.playback:
                now = trio.current_time()
                if shut := quota.shut(now):
                    raise NotNow(f"{exchange} is left alone for {shut:.0f} s more, as it refused", shut)
                if not (delay := quota.delay(now, request.weight)):
                    break
                await trio.sleep(delay)
            quota.spend(trio.current_time(), request.weight)

    def _refused(self, exchange: str, status: int, after: float | None, why: str) -> NotNow:
        if self.playback:
            return NotNow(why, after)
        seconds = self._gate(exchange).quota.refuse(trio.current_time(), status, after)
        return NotNow(why, seconds)

    def _gate(self, exchange: str) -> _Gate:
        gate = self._gates.get(exchange)
        if gate is None:
            limit = registry.find(exchange).limits.weight_per_minute
            gate = self._gates[exchange] = _Gate(Quota(limit))
        return gate

    def _key(self, exchange: str, request: Request) -> dict[str, str]:
        if request.key_header is None:
            return {}
        name = _KEYS[exchange]
        key = os.environ.get(name) or (_ANY_KEY if self.playback else None)
        if key is None:
            raise NotEver(f"{request.path} wants an API key: set {name}")
        return {request.key_header: key}


@asynccontextmanager
async def open_rest(
    addresses: Mapping[str, str], *, playback: bool, proxy: str | None = None
) -> AsyncIterator[Rest]:
    """Open the client that all requests go over, through ``proxy`` (its URL) where there is one.

    Without one the environment may name it (``HTTPS_PROXY``), but for the local exchange.
    """
    async with httpx2.AsyncClient(timeout=_TIMEOUT, proxy=proxy, trust_env=not playback) as client:
        yield Rest(client, addresses, playback)


async def _read(answer: httpx2.Response, url: str) -> bytes:
    """Return the body, unless it is too long to be held."""
    body = bytearray()
    async with aclosing(answer.aiter_bytes()) as parts:
        async for part in parts:
            body += part
            if len(body) > LONGEST_ANSWER:
                raise NotEver(f"{url} answered more than {LONGEST_ANSWER // 2**20} MB")
    return bytes(body)


def _account(quota: Quota, now: float) -> dict[str, object]:
    shut = quota.shut(now)
    return {
        "requests": quota.requests,
        "refused": quota.refused,
        "weight": quota.weight(now),
        "weight_allowed": quota.allowance,
        "waiting_until": iso(time.time_ns() // 1_000 + int(shut * SECOND)) if shut else None,
    }


def _seconds(text: str | None) -> float | None:
    return min(float(text), LONGEST_BAN) if text and text.isdecimal() else None
