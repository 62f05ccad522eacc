"""Cold files: a day's bars, or its profile, as the bytes of a Parquet file, and what is read back from them.

Every page has its checksum, and the bars their digest; both are checked on reading. The bars come back from
``packed``, the exact bytes of ``wadm.bar``; the other columns are for other programs.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from actors.storage.cold import table
from actors.storage.cold.held import Damaged, Day, Held, damaged
from actors.storage.cold.layout import BARS, PROFILES, date_of
from wadm import bar as bar_codec
from wadm.analytics import profile as profiles
from wadm.analytics.profile import Profile
from wadm.market import DAY, HOUR

#: The version of these files; written into each, and checked.
FORMAT = 1

_FORMAT, _KIND, _COUNT = b"wadm.format", b"wadm.kind", b"wadm.entries"
_DIGEST = b"wadm.sha256"


def bars_file(exchange: str, symbol: str, day: int, bars: Day) -> bytes:
    """Return the file of a day's bars, an hour a row group, so that no more is unpacked at once."""
    about = _about(BARS, exchange, symbol, day, len(bars)) | {
        _DIGEST.decode(): _digest(bars),
        "wadm.algorithm": "footprint/1",
        "wadm.bar_format": str(bar_codec.FORMAT),
    }
    sink = pa.BufferOutputStream()
    with _writer(sink, table.BARS.with_metadata(about)) as writer:
        for _, hour in groupby(sorted(bars.items()), key=lambda one: one[0] // HOUR):
            packed = [one.packed for _, one in hour]
            writer.write_table(table.bars_table([bar_codec.decode(one) for one in packed], packed))
    return _taken(sink)


def profile_file(exchange: str, symbol: str, day: int, made: Profile, *, partial: bool) -> bytes:
    """Return the file of a day's profile."""
    about = _about(PROFILES, exchange, symbol, day, 1) | {"wadm.algorithm": profiles.ALGORITHM}
    sink = pa.BufferOutputStream()
    with _writer(sink, table.PROFILES.with_metadata(about)) as writer:
        writer.write_table(table.profile_table(day, day + DAY, made, partial=partial))
    return _taken(sink)


def read_bars(data: bytes, where: str) -> dict[int, Held]:
    """Return the bars of a file that lies at ``where``. Raises Damaged."""
    with _read(data, where, BARS) as file:
        bars = dict(_held(file))
        digest = file.schema_arrow.metadata.get(_DIGEST, b"").decode()
    if not bars or _digest(bars) != digest:
        raise damaged(where, "its bars are not those it was written with")
    return bars


def holds(data: bytes, where: str, bars: Day) -> bool:
    """Say whether a file holds exactly these bars. Raises Damaged."""
    with _read(data, where, BARS) as file:
        found = 0
        for start, one in _held(file):
            found += 1
            if bars.get(start) != one:
                return False
    return found == len(bars)


def _held(file: Any) -> Iterator[tuple[int, Held]]:
    """Yield the bars of a file with their starts (µs), unpacked from no more than an hour at once."""
    for group in range(file.num_row_groups):
        found = file.read_row_group(group, columns=["start_time", "revision", "packed"])
        starts = found["start_time"].cast(pa.int64()).to_pylist()
        for start, *one in zip(
            starts, found["revision"].to_pylist(), found["packed"].to_pylist(), strict=True
        ):
            yield start, Held(*one)


def check_profile(data: bytes, where: str) -> None:
    """Raise Damaged unless a file at ``where`` is a day's profile."""
    with _read(data, where, PROFILES) as file:
        file.read()


def _digest(bars: Day) -> str:
    """Return the digest of bars: a page's checksum says nothing of the header before it."""
    digest = hashlib.sha256()
    for start, one in sorted(bars.items()):
        digest.update(f"{start},{one.revision},{len(one.packed)},".encode())
        digest.update(one.packed)
    return digest.hexdigest()


def _about(kind: str, exchange: str, symbol: str, day: int, entries: int) -> dict[str, str]:
    """Return what a file says of itself."""
    return {
        _FORMAT.decode(): str(FORMAT),
        _KIND.decode(): kind,
        _COUNT.decode(): str(entries),
        "wadm.exchange": exchange,
        "wadm.symbol": symbol,
        "wadm.date": date_of(day),
    }


def _taken(sink: Any) -> bytes:
    """Return what was written, and give back the room that writing took."""
    made: bytes = sink.getvalue().to_pybytes()
    sink.close()
    pa.default_memory_pool().release_unused()
    return made


def _writer(sink: Any, schema: Any) -> Any:
    return pq.ParquetWriter(sink, schema, compression="zstd", write_page_checksum=True)


@contextmanager
def _read(data: bytes, where: str, kind: str) -> Iterator[Any]:
    """Open a file that must be of this kind; turn what is wrong with it into Damaged."""
    try:
        with pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True) as file:
            about = file.schema_arrow.metadata or {}
            _check(about, where, kind)
            wanted = table.BARS if kind == BARS else table.PROFILES
            missing = [name for name in wanted.names if name not in file.schema_arrow.names]
            if missing:
                raise damaged(where, f"it lacks the column {missing[0]}")
            if file.metadata.num_rows != int(about.get(_COUNT, b"-1")):
                raise damaged(where, "it has not as many rows as it should")
            yield file
    except (pa.ArrowException, OSError, ValueError, LookupError) as error:
        raise damaged(where, str(error).partition("\n")[0][:200]) from error


def _check(about: Mapping[bytes, bytes], where: str, kind: str) -> None:
    """Refuse a file of another program, of another kind, or of a later version."""
    if _FORMAT not in about:
        raise Damaged(f"{where} is not a file of wadm: move it away")
    if int(about[_FORMAT]) > FORMAT:
        raise Damaged(
            f"{where} was written by a newer version (format {int(about[_FORMAT])}, this one reads up to "
            f"{FORMAT}): upgrade"
        )
    if about.get(_KIND) != kind.encode():
        raise Damaged(
            f"{where} holds {about.get(_KIND, b'something else').decode()}, not {kind}: move it away"
        )
