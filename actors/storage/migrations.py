"""The versions of a SQL store's schema, and the steps from each to the next, in one transaction.

A step is written out, not derived from ``tables``: it must stay what it was when the tables change again.
"""

from collections.abc import Callable

from sqlalchemy import Connection, inspect, select

from actors.storage import tables
from actors.storage.errors import StorageError
from wadm.lifetimes import Lifetimes

#: The version that this program reads and writes.
SCHEMA = 2

Step = Callable[[Connection, int, Lifetimes], None]


def found(db: Connection, address: str) -> int | None:
    """Return the version of the schema found, None where none of our tables is there.

    Raises StorageError where tables of our names are another program's.
    """
    names = set(inspect(db).get_table_names())
    if tables.meta.name not in names:
        if foreign := sorted(names & tables.metadata.tables.keys()):
            raise StorageError(
                f"{address} has a table {foreign[0]} of another program: choose another database"
            )
        return None
    columns = {column["name"] for column in inspect(db).get_columns(tables.meta.name)}
    text = None
    if columns >= {"name", "value"}:
        text = db.scalar(select(tables.meta.c.value).where(tables.meta.c.name == "schema"))
    if text is None or not text.isdecimal():
        raise StorageError(
            f"{address} has a table {tables.meta.name} that names no version of a schema: "
            "choose another database for the store, or restore this one from a backup"
        )
    return int(text)


def refuse_newer(version: int | None, address: str) -> None:
    """Raise StorageError for a schema of a later version of this program."""
    if version is not None and version > SCHEMA:
        raise StorageError(
            f"{address} was written by a newer version (schema {version}, this one reads {SCHEMA}): upgrade, "
            "or choose another database"
        )


def migrate(db: Connection, address: str, now: int, lifetimes: Lifetimes) -> None:
    """Make the tables, or bring older ones to this version; ``now`` (µs) is when what they hold was stored.

    Raises StorageError for a newer or a foreign schema. ``db`` is in a transaction; nobody else migrates.
    """
    version = found(db, address)
    refuse_newer(version, address)
    if version is None:
        tables.metadata.create_all(db, checkfirst=False)  # none is there
        db.execute(tables.meta.insert(), {"name": "schema", "value": str(SCHEMA)})
        return
    for number in range(version, SCHEMA):
        if number not in _STEPS:
            raise StorageError(f"{address} has schema {version}, which this version cannot migrate")
        _STEPS[number](db, now, lifetimes)
    db.execute(tables.meta.update().where(tables.meta.c.name == "schema"), {"value": str(SCHEMA)})


def _from_1(db: Connection, now: int, lifetimes: Lifetimes) -> None:
    """Add lifetimes counted from storage, counts of large trades and absorptions, and liquidity levels."""
    end = now + lifetimes.indicators
    _add_time(db, "bars", "stored_at", now)
    db.exec_driver_sql("CREATE INDEX bars_by_storage ON bars (stored_at, exchange, symbol, start_time)")
    if db.dialect.name == "postgresql":
        db.exec_driver_sql("ALTER TABLE bars ALTER COLUMN packed SET STORAGE EXTERNAL")
    for table in ("volume_profiles", "order_flow"):
        _add_time(db, table, "expires_at", end)
        db.exec_driver_sql(f"CREATE INDEX ix_{table}_expires_at ON {table} (expires_at)")
    for column in ("large_trades", "absorption_events"):
        db.exec_driver_sql(f"ALTER TABLE order_flow ADD COLUMN {column} BIGINT")
    exact = "NUMERIC" if db.dialect.name == "postgresql" else "TEXT"
    db.exec_driver_sql(
        "CREATE TABLE liquidity_levels (exchange TEXT NOT NULL, symbol TEXT NOT NULL, "
        f"liquidity_type TEXT NOT NULL, price {exact} NOT NULL, strength {exact} NOT NULL, "
        f"volume {exact} NOT NULL, touches BIGINT NOT NULL, last_touch BIGINT, as_of BIGINT NOT NULL, "
        "revision INTEGER NOT NULL, created_at BIGINT NOT NULL, expires_at BIGINT NOT NULL, "
        "PRIMARY KEY (exchange, symbol, liquidity_type, price))"
    )
    db.exec_driver_sql(
        "CREATE INDEX liquidity_levels_by_time ON liquidity_levels (exchange, symbol, as_of, revision)"
    )
    db.exec_driver_sql("CREATE INDEX ix_liquidity_levels_expires_at ON liquidity_levels (expires_at)")


def _add_time(db: Connection, table: str, column: str, value: int) -> None:
    # A constant default gives every row its value without writing any of them anew. SQLite cannot drop it
    # again, where it does no harm: every insert names the column.
    db.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {column} BIGINT NOT NULL DEFAULT {value}")
    if db.dialect.name == "postgresql":
        db.exec_driver_sql(f"ALTER TABLE {table} ALTER COLUMN {column} DROP DEFAULT")


_STEPS: dict[int, Step] = {1: _from_1}
