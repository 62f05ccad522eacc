"""Entries on their way into SQL tables: grouped into rows, each natural key once."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Table

from actors.messages import BarRecord, Entry, GapRecord, LevelsRecord, OrderFlowRecord, ProfileRecord
from actors.storage import rows, tables
from actors.storage.rows import Row

_ROWS: dict[type, tuple[Table, Callable[[Any], list[Row]]]] = {
    BarRecord: (tables.bars, lambda record: [rows.bar_row(record)]),
    ProfileRecord: (tables.volume_profiles, lambda record: [rows.profile_row(record)]),
    OrderFlowRecord: (tables.order_flow, lambda record: [rows.order_flow_row(record)]),
    LevelsRecord: (tables.liquidity_levels, rows.level_rows),
    GapRecord: (tables.gaps, lambda record: [rows.gap_row(record)]),
}


def grouped(entries: Sequence[Entry], stamps: Row) -> dict[Table, list[Row]]:
    """Return the entries as rows by table, one row per natural key: the one of the highest revision.

    ``stamps`` are what a row says of its storage; each table takes those that it has.
    """
    found: dict[Table, dict[tuple[Any, ...], Row]] = {}
    for entry in entries:
        if type(entry) not in _ROWS:
            continue
        table, to_rows = _ROWS[type(entry)]
        for row in to_rows(entry):
            _choose(found.setdefault(table, {}), table, row)
    for table, chosen in found.items():
        stamped = {name: value for name, value in stamps.items() if name in table.c}
        for row in chosen.values():
            row.update(stamped)
    return {table: list(chosen.values()) for table, chosen in found.items()}


def _choose(chosen: dict[tuple[Any, ...], Row], table: Table, row: Row) -> None:
    """Keep a row unless one of its key rose higher: PostgreSQL touches no row twice in one statement."""
    key = tuple(row[column.name] for column in table.primary_key.columns)
    rising: tuple[str, ...] = table.info["rising"]
    if key not in chosen or [row[name] for name in rising] > [chosen[key][name] for name in rising]:
        chosen[key] = row
