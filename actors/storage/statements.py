"""The statements of a SQL store that are more than a look at one table. The same text for every dialect."""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from sqlalchemy import Delete, Select, Table, delete, func, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from actors.storage.tables import bars, liquidity_levels
from wadm.market import DAY


@cache
def upsert(dialect: str, table: Table) -> Any:
    """Return the insert that replaces a row of the same key only where its ``rising`` columns rise.

    The one place where dialects differ in what they are told.
    """
    insert = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    key = [column.name for column in table.primary_key.columns]
    kept = {*key, *table.info.get("first", ())}
    rising = table.info["rising"]
    return insert.on_conflict_do_update(
        index_elements=key,
        set_={
            column.name: insert.excluded[column.name] for column in table.columns if column.name not in kept
        },
        where=tuple_(*(insert.excluded[name] for name in rising))
        > tuple_(*(table.c[name] for name in rising)),
    )


def newest_levels(exchange: str, symbol: str) -> Select[Any]:
    """Return the question for the levels of a symbol's newest record."""
    table = liquidity_levels
    mine = table.c.exchange == exchange, table.c.symbol == symbol
    state = table.c.as_of, table.c.revision
    newest = select(*state).where(*mine).order_by(*(column.desc() for column in state)).limit(1)
    return select(table).where(*mine, tuple_(*state) == newest.scalar_subquery())


def expired(table: Table, now: int, most: int) -> Delete:
    """Return what forgets ``most`` rows that have expired at ``now``: no long transaction."""
    key = table.primary_key.columns
    chosen = select(*key).where(table.c.expires_at <= now).limit(most)
    return delete(table).where(tuple_(*key).in_(chosen))


def ripe_days(stored_before: int) -> Select[Any]:
    """Return the question for (exchange, symbol, start of a day) of the days whose bars are all stored."""
    day = (bars.c.start_time - bars.c.start_time % DAY).label("day")
    old = select(bars.c.exchange, bars.c.symbol, day).where(bars.c.stored_at < stored_before)
    # Materialised, or SQLite would read every bar, to have them in the order of their names.
    old_days = select(old.cte("old").prefix_with("MATERIALIZED")).distinct().subquery()
    inside = bars.alias()
    # A maximum, not an EXISTS of newer ones: that would tempt SQLite into reading all that are newer.
    last_stored = (
        select(func.max(inside.c.stored_at))
        .where(
            inside.c.exchange == old_days.c.exchange,
            inside.c.symbol == old_days.c.symbol,
            inside.c.timeframe == "1m",
            inside.c.start_time >= old_days.c.day,
            inside.c.start_time < old_days.c.day + DAY,
        )
        .scalar_subquery()
    )
    return select(old_days).where(last_stored < stored_before).order_by(*old_days.c)


def these_bars(exchange: str, symbol: str, revisions: Collection[tuple[int, int]]) -> Delete:
    """Return what forgets the bars of these (start, revision)."""
    names: Mapping[str, str] = {"exchange": exchange, "symbol": symbol, "timeframe": "1m"}
    chosen = (bars.c[name] == value for name, value in names.items())
    return delete(bars).where(*chosen, tuple_(bars.c.start_time, bars.c.revision).in_(revisions))
