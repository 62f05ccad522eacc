"""Formats of stored entries: which ones this version reads."""

from actors.storage.errors import StorageError


def check_format(found: int, latest: int = 1) -> None:
    """Raise StorageError unless an entry's format is one from 1 up to ``latest``."""
    if not 1 <= found <= latest:
        known = "1" if latest == 1 else f"1 to {latest}"
        raise StorageError(
            f"a journal entry has format {found}, this version reads {known}: upgrade to read it"
        )
