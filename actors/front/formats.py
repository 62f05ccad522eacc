"""An answer's representations: JSON, MessagePack, and CSV of its table. None holds the loop for long."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec
import trio

from actors.front.problems import RefusedRequestError

#: Rows encoded in one go: about half a millisecond.
SLICE = 1_000

#: What an array of up to 2³² elements begins with in MessagePack, before their number.
_ARRAY = b"\xdd"


class Format(StrEnum):
    """Media types, the usual one first."""

    JSON = "application/json"
    MSGPACK = "application/msgpack"
    CSV = "text/csv"


def check_table(chosen: Format, table: str | None) -> None:
    """Refuse CSV of an answer that is no table."""
    if chosen is Format.CSV and table is None:
        raise not_acceptable(Format.CSV, (Format.JSON, Format.MSGPACK))


def not_acceptable(accept: str, known: Iterable[Format]) -> RefusedRequestError:
    """Return the refusal of an Accept header."""
    return RefusedRequestError(406, "not_acceptable", "Accept", accept, f"one of {', '.join(known)}")


async def encode(answer: Mapping[str, Any], chosen: Format = Format.JSON, table: str | None = None) -> bytes:
    """Return the answer's bytes; long tables are encoded by slices, letting others run in between."""
    rows = answer.get(table) if table else None
    if chosen is Format.CSV:
        return await _csv(rows or [])
    whole = msgspec.json.encode if chosen is Format.JSON else msgspec.msgpack.encode
    if not isinstance(rows, list) or len(rows) <= SLICE:
        return whole(answer)
    if chosen is Format.JSON:
        parts = [part async for part in _slices(rows, lambda some: msgspec.json.encode(some)[1:-1])]
        packed = b"[" + b",".join(parts) + b"]"
    else:
        parts = [part async for part in _slices(rows, _packed)]
        packed = _ARRAY + len(rows).to_bytes(4, "big") + b"".join(parts)
    return whole({**answer, str(table): msgspec.Raw(packed)})


def _packed(rows: Sequence[Any]) -> bytes:
    return b"".join(map(msgspec.msgpack.encode, rows))


async def _slices(rows: Sequence[Any], write: Callable[[Sequence[Any]], bytes]) -> Any:
    for at in range(0, len(rows), SLICE):
        yield write(rows[at : at + SLICE])
        await trio.lowlevel.checkpoint()


async def _csv(rows: Sequence[Any]) -> bytes:
    flat = [dict(_flat(row)) for row in rows]
    columns = list(dict.fromkeys(name for row in flat for name in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    for at in range(0, len(flat), SLICE):
        writer.writerows(flat[at : at + SLICE])
        await trio.lowlevel.checkpoint()
    return out.getvalue().encode()


def _flat(row: Mapping[str, Any], under: str = "") -> Iterator[tuple[str, object]]:
    """Yield a row's cells; what lies deeper has its path as name, and a list is written as JSON."""
    for name, value in row.items():
        match value:
            case dict():
                yield from _flat(value, f"{under}{name}.")
            case list() | tuple():
                yield under + name, msgspec.json.encode(value).decode()
            case bool():
                yield under + name, "true" if value else "false"
            case _:
                yield under + name, value
