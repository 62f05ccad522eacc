"""The tables of a SQL store. Times are µs in BIGINT; money is exact in every dialect."""

from decimal import Decimal
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from wadm.numbers import plain

SCHEMA = 1


class ExactDecimal(TypeDecorator[Decimal]):
    """A Decimal, exactly: NUMERIC where the database has it, plain text on SQLite, whose NUMERIC is a float.

    Text compares by letters: cast it where SQLite is to compare by value.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the column's type in a dialect."""
        kind: TypeEngine[Any] = Numeric() if dialect.name == "postgresql" else Text()
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """Return what is handed to the driver."""
        return value if value is None or dialect.name == "postgresql" else plain(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """Return what the driver handed over."""
        return None if value is None else Decimal(value)


metadata = MetaData()


def _key(name: str, kind: Any) -> Column[Any]:
    return Column(name, kind, primary_key=True, autoincrement=False)


def _exact(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, ExactDecimal, nullable=nullable)


def _whole(name: str) -> Column[Any]:
    return Column(name, BigInteger, nullable=False)


def _window_columns() -> tuple[Column[Any], ...]:
    """Return the natural key of what belongs to a window of a timeframe, and its state."""
    return (
        _key("exchange", Text),
        _key("symbol", Text),
        _key("timeframe", Text),
        _key("start_time", BigInteger),
        _whole("end_time"),
        Column("revision", Integer, nullable=False),
        Column("partial", Boolean, nullable=False),
    )


meta = Table("wadm_meta", metadata, _key("name", Text), Column("value", Text, nullable=False))

sink_cursor = Table("sink_cursor", metadata, _key("journal", Text), _whole("seq"))

bars = Table(
    "bars",
    metadata,
    *_window_columns(),
    *(_exact(name, nullable=True) for name in ("open", "high", "low", "close")),
    *(_exact(name) for name in ("volume", "buy_volume", "delta")),
    _whole("trades"),
    Column("packed", LargeBinary, nullable=False),
)

volume_profiles = Table(
    "volume_profiles",
    metadata,
    *_window_columns(),
    *(_exact(name, nullable=True) for name in ("poc", "vah", "val")),
    *(_exact(name) for name in ("row_size", "volume", "value_area_volume", "value_area")),
    Column("method", Text, nullable=False),
    Column("quantity_decimals", Integer, nullable=False),
    #: [[row's price, volume, buy, sell, count, buy count], ...], ascending; decimals as text.
    Column("nodes", JSON().with_variant(JSONB(), "postgresql"), nullable=False),
)

order_flow = Table(
    "order_flow",
    metadata,
    *_window_columns(),
    *(
        _exact(name)
        for name in (
            "delta", "cumulative_delta", "delta_high", "delta_low",
            "buy_volume", "sell_volume", "total_volume",
        )
    ),
    _exact("imbalance_ratio", nullable=True),
    *(_whole(name) for name in ("buy_trades", "sell_trades", "session_start")),
    Column("exact_path", Boolean, nullable=False),
    Column("quantity_decimals", Integer, nullable=False),
)  # fmt: skip

#: A gap that is suspected has ``id_kind`` "time": its ids are exchange times in µs.
#: ``revision`` is the rank of ``state``: a gap once filled is not opened again by an older record.
gaps = Table(
    "gaps",
    metadata,
    _key("exchange", Text),
    _key("symbol", Text),
    _key("id_kind", Text),
    _key("first_id", BigInteger),
    _key("last_id", BigInteger),
    _whole("noticed_at"),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("revision", Integer, nullable=False),
)


def upsert(dialect: str, table: Table, rising: str = "revision") -> Any:
    """Return the insert that replaces a row of the same key only where ``rising`` rises.

    The one place where dialects differ in what they are told.
    """
    insert = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    key = [column.name for column in table.primary_key.columns]
    return insert.on_conflict_do_update(
        index_elements=key,
        set_={
            column.name: insert.excluded[column.name] for column in table.columns if column.name not in key
        },
        where=insert.excluded[rising] > table.c[rising],
    )
