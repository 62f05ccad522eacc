"""Where in an SQLite file the damage is: its trees walked page by page, where SQLite only says that it is.

The layout is that of https://www.sqlite.org/fileformat2.html, section 1.6 (B-tree Pages).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_INTERIOR = (0x02, 0x05)
_LEAF = (0x0A, 0x0D)


def broken_page(path: Path, root: int) -> int | None:
    """Return the first page under a tree's root that belongs to no tree, None where all do.

    Only a file without a write-ahead log can be told of: pages in a log are newer than those in the file.
    """
    with path.open("rb") as file:
        size = int.from_bytes(file.read(18)[16:18], "big")
        pages = path.stat().st_size // max(size, 1)
        waiting, seen = [root], set[int]()
        while waiting:
            number = waiting.pop()
            if not 1 <= number <= pages or number in seen:
                continue
            seen.add(number)
            page = _page(file, number, size)
            if page[0] not in (*_INTERIOR, *_LEAF):
                return number
            waiting.extend(_children(page, _start(number)))
    return None


def _start(number: int) -> int:
    """Return where the tree's part of a page begins: the first page has the file's header before it."""
    return 100 if number == 1 else 0


def _page(file: BinaryIO, number: int, size: int) -> bytes:
    file.seek((number - 1) * size)
    return file.read(size)[_start(number) :]


def _children(page: bytes, start: int) -> Iterator[int]:
    if page[0] not in _INTERIOR:
        return
    yield int.from_bytes(page[8:12], "big")
    for cell in range(int.from_bytes(page[3:5], "big")):
        # Offsets count from the page's beginning, not from the tree's.
        at = int.from_bytes(page[12 + 2 * cell : 14 + 2 * cell], "big") - start
        yield int.from_bytes(page[at : at + 4], "big")
