"""The steps of prices and quantities, as far as a recording shows them. Pure."""

import re
from collections.abc import Iterable
from decimal import Decimal

import attrs

from actors.playback.capture import Frame
from actors.playback.names import symbol_of

_NUMBER = rb'"([0-9]+(?:\.[0-9]+)?)"'
#: Where trades and books, Binance's and Bybit's, have a price and where a quantity.
_LEVEL = re.compile(rb"\[" + _NUMBER + b"," + _NUMBER + rb"\]")
_PRICE = re.compile(rb'"p":' + _NUMBER)
_QUANTITY = re.compile(rb'"[qv]":' + _NUMBER)
#: What is traded in: how a symbol ends.
_QUOTES = ("USDT", "USDC", "FDUSD", "TUSD", "BUSD", "USD", "BTC", "ETH", "BNB", "EUR", "TRY")


@attrs.define
class Fineness:
    """The most decimals seen, without trailing zeros."""

    price: int = 0
    quantity: int = 0

    @property
    def tick(self) -> str:
        """The step of prices."""
        return _step(self.price)

    @property
    def step(self) -> str:
        """The step of quantities."""
        return _step(self.quantity)


def finest(frames: Iterable[Frame]) -> dict[str, Fineness]:
    """Return how fine the trades and book changes of each symbol are."""
    bodies: dict[str, list[bytes]] = {}
    for frame in frames:
        if _is_market(frame.stream):
            bodies.setdefault(frame.stream, []).append(frame.body)
    found: dict[str, Fineness] = {}
    for stream, texts in bodies.items():
        seen = found.setdefault(symbol_of(stream) or "", Fineness())
        text = b"\n".join(texts)
        levels = _LEVEL.findall(text)
        seen.price = max(seen.price, _decimals([*_PRICE.findall(text), *(price for price, _ in levels)]))
        seen.quantity = max(
            seen.quantity, _decimals([*_QUANTITY.findall(text), *(size for _, size in levels)])
        )
    return found


def assets(symbol: str) -> tuple[str, str]:
    """Split a symbol into what is traded and what it is paid with, as well as its letters tell."""
    quote = next((quote for quote in _QUOTES if symbol.endswith(quote) and symbol != quote), "")
    return symbol.removesuffix(quote) if quote else symbol, quote


def _is_market(stream: str) -> bool:
    kind = stream.partition("@")[2] or stream
    return kind.startswith(("trade", "aggTrade", "depth", "publicTrade.", "orderbook."))


def _decimals(numbers: Iterable[bytes]) -> int:
    return max((len(text.partition(b".")[2].rstrip(b"0")) for text in set(numbers)), default=0)


def _step(decimals: int) -> str:
    return f"{Decimal(1).scaleb(-decimals):f}"
