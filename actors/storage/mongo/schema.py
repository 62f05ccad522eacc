"""The collections of a MongoDB store: their fields, indexes and lifetimes. They are made in ``making``.

Every index name is part of the schema. A collection's ``natural_key`` is that of its unique index: by it the
same entry is known again. Binance's trade ids are unique per symbol only, and count trades and aggregates
apart, so that ``trade_id_exchange`` has both in its key.
"""

from collections.abc import Mapping
from typing import Any

import attrs

#: Rises when documents of the version before cannot be read or written any more; see ``migrations``.
SCHEMA = 1

TRADES = "trades"
ORDERBOOKS = "orderbooks"
VOLUME_PROFILES = "volume_profiles"
ORDER_FLOW = "order_flow"
LIQUIDITY_LEVELS = "liquidity_levels"
GAPS = "gaps"
BARS = "bars"

#: The schema's version and the cursors: ``{_id: "schema", version}``, ``{_id: "cursor:JOURNAL", seq}``.
META = "wadm_meta"

#: In a time series of trades: ``{instrument, expires_at}``. Only by what is in it can they be deleted.
SERIES_META = "source"

ASCENDING, DESCENDING = 1, -1

Keys = tuple[tuple[str, int], ...]
Rule = Mapping[str, Any]


@attrs.frozen
class Index:
    """An index. One that ``expires`` removes documents once the date it is on has passed."""

    name: str
    keys: Keys
    unique: bool = False
    expires: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """What it is made with, beside its keys."""
        options: dict[str, Any] = {"name": self.name}
        if self.unique:
            options["unique"] = True
        if self.expires:
            options["expireAfterSeconds"] = 0
        return options


@attrs.frozen
class Collection:
    """A collection: its fields by name and what each must be, and its indexes."""

    name: str
    fields: Mapping[str, Rule]
    indexes: tuple[Index, ...]
    #: fields that a document may lack
    optional: frozenset[str] = frozenset()

    @property
    def options(self) -> dict[str, Any]:
        """What it is made with: the server refuses documents without a field, or with another type in it."""
        required = sorted(set(self.fields) - self.optional)
        rules = {"bsonType": "object", "required": required, "properties": dict(self.fields)}
        return {"validator": {"$jsonSchema": rules}}

    @property
    def natural_key(self) -> tuple[str, ...]:
        """The fields by which a document is known again."""
        (unique,) = (index for index in self.indexes if index.unique)
        return tuple(name for name, _ in unique.keys)


@attrs.frozen
class TimeSeries:
    """A collection that the server packs by time. It has no validator, and no index of it is unique."""

    name: str
    time_field: str
    meta_field: str
    indexes: tuple[Index, ...]

    @property
    def options(self) -> dict[str, Any]:
        """What it is made with."""
        return {"timeseries": {"timeField": self.time_field, "metaField": self.meta_field}}


def _is(*types: str) -> Rule:
    return {"bsonType": types[0] if len(types) == 1 else list(types)}


_TEXT, _YES_NO, _DATE, _BYTES = _is("string"), _is("bool"), _is("date"), _is("binData")
_WHOLE, _MONEY = _is("int", "long"), _is("decimal")
_MAYBE_WHOLE, _MAYBE_MONEY, _MAYBE_DATE = (
    _is("int", "long", "null"),
    _is("decimal", "null"),
    _is("date", "null"),
)


def _list_of(fields: Mapping[str, Rule]) -> Rule:
    item = {"bsonType": "object", "required": sorted(fields), "properties": dict(fields)}
    return {"bsonType": "array", "items": item}


def _up(*names: str) -> Keys:
    return tuple((name, ASCENDING) for name in names)


def _down(*names: str) -> Keys:
    """Return keys of which the last descends: the newest, or the most, comes first."""
    return (*_up(*names[:-1]), (names[-1], DESCENDING))


_NAMES = {"exchange": _TEXT, "symbol": _TEXT}
_REVISED = {"revision": _WHOLE, "partial": _YES_NO}
_EXACT: Mapping[str, Rule] = {"exact": _is("object")}
_EXPIRY = Index("expires_at_ttl", _up("expires_at"), expires=True)

_TRADES = Collection(
    TRADES,
    {
        **_NAMES,
        "id_kind": {"enum": ["trade", "agg_trade"]},
        "trade_id": _is("long", "string"),
        "price": _MONEY,
        "quantity": _MONEY,
        "side": {"enum": ["buy", "sell"]},
        "is_buyer_maker": _YES_NO,
        "timestamp": _DATE,
        "time_us": _WHOLE,
        "trade_count": _WHOLE,
        **_EXACT,
        "expires_at": _DATE,
    },
    (
        Index("symbol_exchange_timestamp", _down("symbol", "exchange", "timestamp")),
        Index("timestamp_desc", _down("timestamp")),
        Index("trade_id_exchange", _up("exchange", "symbol", "id_kind", "trade_id"), unique=True),
        _EXPIRY,
    ),
    frozenset(_EXACT),
)

_ORDERBOOKS = Collection(
    ORDERBOOKS,
    {
        **_NAMES,
        "timestamp": _DATE,
        "time_us": _WHOLE,
        "sequence": _WHOLE,
        "price_decimals": _WHOLE,
        "quantity_decimals": _WHOLE,
        "bids": _list_of({"price": _MONEY, "quantity": _MONEY}),
        "asks": _list_of({"price": _MONEY, "quantity": _MONEY}),
        **_EXACT,
        "expires_at": _DATE,
    },
    (
        Index("symbol_exchange_timestamp", _down("symbol", "exchange", "timestamp")),
        Index("symbol_exchange_sequence", _down("symbol", "exchange", "sequence")),
        Index("orderbook_uniqueness", _up("exchange", "symbol", "time_us"), unique=True),
        _EXPIRY,
    ),
    frozenset(_EXACT),
)

_VOLUME_PROFILES = Collection(
    VOLUME_PROFILES,
    {
        **_NAMES,
        "timeframe": _TEXT,
        "start_time": _DATE,
        "end_time": _DATE,
        **_REVISED,
        "poc_price": _MAYBE_MONEY,
        "vah_price": _MAYBE_MONEY,
        "val_price": _MAYBE_MONEY,
        "total_volume": _MONEY,
        "value_area_volume": _MONEY,
        "trade_count": _WHOLE,
        "row_size": _MONEY,
        "value_area": _MONEY,
        "method": _TEXT,
        "rows": _WHOLE,
        "price_levels": {"bsonType": "object", "additionalProperties": _MONEY},
        "nodes": _list_of(
            {
                "price_level": _MONEY,
                "volume": _MONEY,
                "buy_volume": _MONEY,
                "sell_volume": _MONEY,
                "trade_count": _WHOLE,
            }
        ),
        "packed": _BYTES,
        "expires_at": _DATE,
    },
    (
        Index("symbol_timeframe_time", _down("symbol", "timeframe", "start_time")),
        Index("symbol_poc_time", _down("symbol", "poc_price", "start_time")),
        Index("volume_profile_uniqueness", _up("exchange", "symbol", "timeframe", "start_time"), unique=True),
        _EXPIRY,
    ),
    frozenset({"packed"}),
)

_ORDER_FLOW = Collection(
    ORDER_FLOW,
    {
        **_NAMES,
        "timeframe": _TEXT,
        "timestamp": _DATE,
        "end_time": _DATE,
        **_REVISED,
        "delta": _MONEY,
        "cumulative_delta": _MONEY,
        "delta_high": _MONEY,
        "delta_low": _MONEY,
        "buy_volume": _MONEY,
        "sell_volume": _MONEY,
        "total_volume": _MONEY,
        "imbalance_ratio": _MAYBE_MONEY,
        "buy_trades": _WHOLE,
        "sell_trades": _WHOLE,
        "large_trades_count": _MAYBE_WHOLE,
        "absorption_events": _MAYBE_WHOLE,
        "session_start": _DATE,
        "exact_path": _YES_NO,
        "packed": _BYTES,
        "expires_at": _DATE,
    },
    (
        Index("symbol_timeframe_timestamp", _down("symbol", "timeframe", "timestamp")),
        Index("symbol_delta_timestamp", _down("symbol", "delta", "timestamp")),
        Index("symbol_cumulative_delta_timestamp", _down("symbol", "cumulative_delta", "timestamp")),
        Index("order_flow_uniqueness", _up("exchange", "symbol", "timeframe", "timestamp"), unique=True),
        _EXPIRY,
    ),
)

_LIQUIDITY_LEVELS = Collection(
    LIQUIDITY_LEVELS,
    {
        **_NAMES,
        "price": _MONEY,
        "liquidity_type": {"enum": ["poc", "vah", "val", "support", "resistance"]},
        "strength": _MONEY,
        "volume": _MONEY,
        "touches": _WHOLE,
        "last_touch": _MAYBE_DATE,
        "last_touch_us": _MAYBE_WHOLE,
        "created_at": _DATE,
        "as_of": _DATE,
        "revision": _WHOLE,
        **_EXACT,
        "expires_at": _DATE,
    },
    (
        Index("symbol_type_strength", _down("symbol", "liquidity_type", "strength")),
        Index(
            "symbol_strength_last_touch",
            (("symbol", ASCENDING), ("strength", DESCENDING), ("last_touch", DESCENDING)),
        ),
        Index(
            "liquidity_level_uniqueness", _up("exchange", "symbol", "liquidity_type", "price"), unique=True
        ),
        Index("exchange_symbol_as_of", (*_down("exchange", "symbol", "as_of"), ("revision", DESCENDING))),
        _EXPIRY,
    ),
    frozenset(_EXACT),
)

_GAPS = Collection(
    GAPS,
    {
        **_NAMES,
        "id_kind": {"enum": ["trade", "agg_trade", "time"]},
        "first_id": _WHOLE,
        "last_id": _WHOLE,
        "noticed_at": _DATE,
        "noticed_us": _WHOLE,
        "state": {"enum": ["open", "unfillable", "filled"]},
        "reason": _TEXT,
        "revision": _WHOLE,
    },
    (
        # Gaps do not expire: the bars that they are about are kept in the cold tier for good.
        Index("gap_uniqueness", _up("exchange", "symbol", "id_kind", "first_id", "last_id"), unique=True),
        Index("symbol_exchange_noticed", _down("symbol", "exchange", "noticed_at")),
    ),
)

_BARS = Collection(
    BARS,
    {
        **_NAMES,
        "timeframe": _TEXT,
        "start_time": _DATE,
        "end_time": _DATE,
        **_REVISED,
        "open": _MAYBE_MONEY,
        "high": _MAYBE_MONEY,
        "low": _MAYBE_MONEY,
        "close": _MAYBE_MONEY,
        "volume": _MONEY,
        "buy_volume": _MONEY,
        "sell_volume": _MONEY,
        "delta": _MONEY,
        "trade_count": _WHOLE,
        "packed": _BYTES,
        "stored_at": _DATE,
        "stored_us": _WHOLE,
    },
    (
        # Bars do not expire: each leaves once it was seen in the cold tier.
        Index("bar_uniqueness", _up("exchange", "symbol", "timeframe", "start_time"), unique=True),
        Index("stored_at", _up("stored_at")),
    ),
)

COLLECTIONS: Mapping[str, Collection] = {
    one.name: one
    for one in (_TRADES, _ORDERBOOKS, _VOLUME_PROFILES, _ORDER_FLOW, _LIQUIDITY_LEVELS, _GAPS, _BARS)
}

#: Trades as the settings may ask for them. An instrument's trades of one lifetime lie together.
TRADE_SERIES = TimeSeries(
    TRADES,
    "timestamp",
    SERIES_META,
    (
        Index("symbol_exchange_timestamp", _down("symbol", "exchange", "timestamp")),
        Index("timestamp_desc", _down("timestamp")),
    ),
)
