"""Asking an exchange's REST interface: one answer, or whether to ask again."""

import os
from collections.abc import Mapping

import attrs
import httpx2

from wadm.exchanges.base import Request

_TIMEOUT = httpx2.Timeout(10.0)

#: Environment variables with API keys, by exchange.
_KEYS = {"binance": "BINANCE_API_KEY", "binance_usdm": "BINANCE_API_KEY"}

#: A key for the local exchange, which wants one as its model does, but any will do.
_ANY_KEY = "recorded"


class NotNow(Exception):  # a state of the far side
    """The exchange cannot answer at the moment; ``after`` is when to ask again (s), where it said so."""

    def __init__(self, why: str, after: float | None = None) -> None:
        super().__init__(why)
        self.after = after


class NotEver(Exception):  # a state of the far side
    """The exchange will not answer this request."""


@attrs.define(eq=False)
class Rest:
    """The REST interfaces at ``addresses`` (scheme and host by exchange), asked over one ``client``.

    ``playback`` says that they are a local exchange's. While ``hopeless``, what cannot be answered now is
    taken as never.
    """

    client: httpx2.AsyncClient
    addresses: Mapping[str, str]
    playback: bool
    hopeless: bool = False

    async def get(self, exchange: str, request: Request) -> bytes:
        """Return the body of an answer. Raises NotNow or NotEver."""
        url = self.addresses[exchange] + request.path
        try:
            answer = await self.client.get(
                url, params=dict(request.query), headers=self._key(exchange, request)
            )
        except httpx2.HTTPError as error:
            raise self._not_now(f"{url}: {error or type(error).__name__}") from error
        if answer.status_code in (403, 418, 429) or answer.status_code >= 500:
            after = _seconds(answer.headers.get("retry-after"))
            raise self._not_now(f"{url} answered {answer.status_code}", after)
        if answer.status_code != 200:
            raise NotEver(f"{url} answered {answer.status_code}: {answer.text[:200]}")
        return answer.content

    def _not_now(self, why: str, after: float | None = None) -> Exception:
        return NotEver(why) if self.hopeless else NotNow(why, after)

    def _key(self, exchange: str, request: Request) -> dict[str, str]:
        if request.key_header is None:
            return {}
        name = _KEYS[exchange]
        key = os.environ.get(name) or (_ANY_KEY if self.playback else None)
        if key is None:
            raise NotEver(f"{request.path} wants an API key: set {name}")
        return {request.key_header: key}


def client() -> httpx2.AsyncClient:
    """Return a client for ``Rest``, to be entered."""
    return httpx2.AsyncClient(timeout=_TIMEOUT)


def _seconds(text: str | None) -> float | None:
    return float(text) if text and text.isdecimal() else None
