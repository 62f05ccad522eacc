"""Damaged copies of messages: still UTF-8, no longer what the exchange meant. Pure."""

import re
from collections.abc import Callable

import msgspec

from actors.playback.payload import BROKEN

#: Fields without which trades and book updates, Binance's and Bybit's, make no sense.
_ESSENTIAL = ("t", "a", "p", "q", "T", "m", "u", "b", "k", "i", "v", "S", "topic")

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


def damage(text: bytes, at: int) -> bytes:
    """Return a damaged copy of a message; which damage, and where, rotates with the index ``at``."""
    variant = at % 5 if at % 5 < len(_DAMAGES) else at // 5 % len(_DAMAGES)
    return _DAMAGES[variant](text, at // 5)


def is_extra(at: int) -> bool:
    """Whether the damaged copy comes in addition to the good message; else it replaces it."""
    return at % 5 == len(_DAMAGES)


def _truncated(text: bytes, _turn: int) -> bytes:
    """Leave out the second half."""
    if not text.startswith((b"{", b"[", b'"')):  # a number's first half would be a number
        return b""
    return text[: len(text) // 2].decode(errors="ignore").encode()


def _flipped(text: bytes, turn: int) -> bytes:
    """Flip a bit, so that it is not JSON any more."""
    colons = [match.end() - 1 for match in re.finditer(b'":', text)]
    place = colons[turn % len(colons)] if colons else 0
    flipped = _flip(text, place)
    return _flip(text, 0) if _is_json(flipped) else flipped


def _flip(text: bytes, place: int) -> bytes:
    return text[:place] + bytes((text[place] ^ 0x40,)) + text[place + 1 :]


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text)
    except BROKEN:
        return False
    return True


def _missing(text: bytes, turn: int) -> bytes:
    """Leave out a field that matters."""
    return _changed(text, turn, lambda fields, name: fields.pop(name))


def _mistyped(text: bytes, turn: int) -> bytes:
    """Put an empty object where a number, a string or a list is expected."""
    return _changed(text, turn, _mistype)


def _mistype(fields: dict[str, msgspec.Raw], name: str) -> None:
    fields[name] = msgspec.Raw(b"[]" if bytes(fields[name]) == b"{}" else b"{}")


def _changed(text: bytes, turn: int, change: Callable[[dict[str, msgspec.Raw], str], object]) -> bytes:
    """Change an essential field of the payload; cut a message that has no fields."""
    try:
        message = _fields.decode(text)
    except BROKEN:
        return _truncated(text, turn)
    payload = _payload(message)
    fields = message if payload is None else payload
    essential = [name for name in _ESSENTIAL if name in fields] or list(fields)
    if not essential:
        return _truncated(text, turn)
    change(fields, essential[turn % len(essential)])
    if payload is not None:
        message["data"] = msgspec.Raw(msgspec.json.encode(payload))
    return msgspec.json.encode(message)


def _payload(message: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw] | None:
    """Return the fields of what a message wraps; None where it wraps none."""
    try:
        return _fields.decode(message["data"]) or None
    except (KeyError, *BROKEN):
        return None


_DAMAGES = (_truncated, _flipped, _missing, _mistyped)
