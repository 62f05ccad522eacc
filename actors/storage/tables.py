"""The tables of a SQL store. Times are µs in BIGINT; money is exact in every dialect.

A row that comes again replaces the one of its natural key only where ``info["rising"]`` rises. What expires
has ``expires_at``, counted from when it was stored last; bars have ``stored_at``, and go to the cold tier.
A change of anything here needs a new version and a step in ``migrations``.
"""

from decimal import Decimal
from typing import Any

from sqlalchemy import (
    DDL,
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    TypeDecorator,
    event,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from wadm.numbers import plain


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


def _expires() -> Column[Any]:
    return Column("expires_at", BigInteger, nullable=False, index=True)


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


_REVISED = {"rising": ("revision",)}

meta = Table("wadm_meta", metadata, _key("name", Text), Column("value", Text, nullable=False))

sink_cursor = Table("sink_cursor", metadata, _key("journal", Text), _whole("seq"), info={"rising": ("seq",)})

bars = Table(
    "bars",
    metadata,
    *_window_columns(),
    *(_exact(name, nullable=True) for name in ("open", "high", "low", "close")),
    *(_exact(name) for name in ("volume", "buy_volume", "delta")),
    _whole("trades"),
    _whole("stored_at"),  # before what is long, which would have to be read to come to it
    Column("packed", LargeBinary, nullable=False),
    #: What was stored before a time is found without reading the bars themselves.
    Index("bars_by_storage", "stored_at", "exchange", "symbol", "start_time"),
    info=_REVISED,
)

#: PostgreSQL would spend most of its time on making smaller what is packed already.
event.listen(
    bars,
    "after_create",
    DDL("ALTER TABLE bars ALTER COLUMN packed SET STORAGE EXTERNAL").execute_if(  # type: ignore[no-untyped-call]
        dialect="postgresql"
    ),
)

volume_profiles = Table(
    "volume_profiles",
    metadata,
    *_window_columns(),
    *(_exact(name, nullable=True) for name in ("poc", "vah", "val")),
    *(_exact(name) for name in ("row_size", "volume", "value_area_volume", "value_area")),
    Column("method", Text, nullable=False),
    Column("quantity_decimals", Integer, nullable=False),
    _expires(),
    #: [[row's price, volume, buy, sell, count, buy count], ...], ascending; decimals as text.
    Column("nodes", JSON().with_variant(JSONB(), "postgresql"), nullable=False),
    info=_REVISED,
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
    #: None: stored before these were counted.
    *(Column(name, BigInteger) for name in ("large_trades", "absorption_events")),
    _expires(),
    info=_REVISED,
)  # fmt: skip

#: One row per level; ``as_of`` is the end of the window it was found in, ``created_at`` when it was first
#: stored.
liquidity_levels = Table(
    "liquidity_levels",
    metadata,
    _key("exchange", Text),
    _key("symbol", Text),
    _key("liquidity_type", Text),
    _key("price", ExactDecimal),
    _exact("strength"),
    _exact("volume"),
    _whole("touches"),
    Column("last_touch", BigInteger),
    _whole("as_of"),
    Column("revision", Integer, nullable=False),
    _whole("created_at"),
    _expires(),
    Index("liquidity_levels_by_time", "exchange", "symbol", "as_of", "revision"),
    info={"rising": ("as_of", "revision"), "first": ("created_at",)},
)

#: A gap that is suspected has ``id_kind`` "time": its ids are exchange times in µs.
#: ``revision`` is the rank of ``state``: a gap once filled is not opened again by an older record.
#: Gaps do not expire: the bars that they are about are kept in the cold tier for good.
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
    info=_REVISED,
)

#: What is forgotten by itself.
EXPIRING = (volume_profiles, order_flow, liquidity_levels)
