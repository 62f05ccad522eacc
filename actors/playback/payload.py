"""The payload of a recorded Binance frame, whether it was recorded wrapped or bare."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")

_WRAPPED = b'{"stream":'


class _Wrapped(msgspec.Struct, Generic[T], gc=False):
    data: T


#: What decoding a frame can raise: it is no JSON, not of the form, not UTF-8, nested without end.
BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class UnreadableError(ValueError):
    """A frame whose payload is not what its stream carries; it was recorded broken."""


def decoder(kind: type[T]) -> Callable[[bytes], T]:
    """Return what reads payloads of a kind out of frames; it raises UnreadableError."""
    bare = msgspec.json.Decoder(kind).decode
    wrapped: Callable[[bytes], Any] = msgspec.json.Decoder(_Wrapped[kind]).decode  # type: ignore[valid-type]

    def decode(body: bytes) -> T:
        try:
            return wrapped(body).data if body.startswith(_WRAPPED) else bare(body)
        except BROKEN as error:
            raise UnreadableError(str(error)) from None

    return decode
