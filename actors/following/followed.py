"""The symbols added and removed by hand, kept in the data directory: ``followed.json``.

``{"binance": {"added": ["SOLUSDT"], "removed": ["ETHUSDT"]}}``
"""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from actors.storage.errors import StorageError
from wadm.exchanges.registry import EXCHANGES
from wadm.sections import is_symbol
from wadm.selected import Selected

NAME = "followed.json"


class _Exchange(msgspec.Struct, forbid_unknown_fields=True):
    added: list[str] = []
    removed: list[str] = []


_decode = msgspec.json.Decoder(dict[str, _Exchange]).decode


def load(directory: Path) -> dict[str, Selected]:
    """Return what is kept there, by exchange. Raises StorageError for a file that cannot be used."""
    path = directory / NAME
    try:
        kept = _decode(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unusable(path, str(error)) from error
    for exchange, one in kept.items():
        if exchange not in EXCHANGES:
            raise _unusable(path, f"{exchange!r} is no exchange; the known ones are {', '.join(EXCHANGES)}")
        for symbol in (*one.added, *one.removed):
            if not is_symbol(symbol):
                raise _unusable(path, f"{symbol[:80]!r} is no symbol")
    return {
        exchange: Selected(frozenset(one.added), frozenset(one.removed) - frozenset(one.added))
        for exchange, one in kept.items()
    }


def save(directory: Path, selected: Mapping[str, Selected]) -> None:
    """Keep this instead of what is kept: the whole of it or, whatever happens, what was there before.

    Raises StorageError where it cannot be written.
    """
    path = directory / NAME
    kept = {
        exchange: _Exchange(sorted(one.added), sorted(one.removed))
        for exchange, one in sorted(selected.items())
        if one.added or one.removed
    }
    fresh = path.with_suffix(".new")
    try:
        with fresh.open("wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(kept), indent=2) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}") from error


def _unusable(path: Path, why: str) -> StorageError:
    return StorageError(
        f"{path} is not the list of symbols added and removed by hand: {why}; mend it, or move it away"
    )
