"""A SQL store as version 1 of its schema left it. Frozen: it does not follow the tables of today."""

import json
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

from sqlalchemy import Engine, text

from actors.storage import rows
from wadm.numbers import plain

_WINDOW = """exchange TEXT NOT NULL, symbol TEXT NOT NULL, timeframe TEXT NOT NULL,
    start_time BIGINT NOT NULL,
    end_time BIGINT NOT NULL, revision INTEGER NOT NULL, partial BOOLEAN NOT NULL"""

_TABLES = f"""
CREATE TABLE wadm_meta (name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (name));
CREATE TABLE sink_cursor (journal TEXT NOT NULL, seq BIGINT NOT NULL, PRIMARY KEY (journal));
CREATE TABLE bars ({_WINDOW},
    open NUMERIC, high NUMERIC, low NUMERIC, close NUMERIC, volume NUMERIC NOT NULL,
    buy_volume NUMERIC NOT NULL, delta NUMERIC NOT NULL, trades BIGINT NOT NULL, packed BYTEA NOT NULL,
    PRIMARY KEY (exchange, symbol, timeframe, start_time));
CREATE TABLE volume_profiles ({_WINDOW},
    poc NUMERIC, vah NUMERIC, val NUMERIC, row_size NUMERIC NOT NULL, volume NUMERIC NOT NULL,
    value_area_volume NUMERIC NOT NULL, value_area NUMERIC NOT NULL, method TEXT NOT NULL,
    quantity_decimals INTEGER NOT NULL, nodes JSONB NOT NULL,
    PRIMARY KEY (exchange, symbol, timeframe, start_time));
CREATE TABLE order_flow ({_WINDOW},
    delta NUMERIC NOT NULL, cumulative_delta NUMERIC NOT NULL, delta_high NUMERIC NOT NULL,
    delta_low NUMERIC NOT NULL, buy_volume NUMERIC NOT NULL, sell_volume NUMERIC NOT NULL,
    total_volume NUMERIC NOT NULL, imbalance_ratio NUMERIC, buy_trades BIGINT NOT NULL,
    sell_trades BIGINT NOT NULL, session_start BIGINT NOT NULL, exact_path BOOLEAN NOT NULL,
    quantity_decimals INTEGER NOT NULL, PRIMARY KEY (exchange, symbol, timeframe, start_time));
CREATE TABLE gaps (exchange TEXT NOT NULL, symbol TEXT NOT NULL, id_kind TEXT NOT NULL,
    first_id BIGINT NOT NULL, last_id BIGINT NOT NULL, noticed_at BIGINT NOT NULL, state TEXT NOT NULL,
    reason TEXT NOT NULL, revision INTEGER NOT NULL,
    PRIMARY KEY (exchange, symbol, id_kind, first_id, last_id));
INSERT INTO wadm_meta VALUES ('schema', '1');
INSERT INTO sink_cursor VALUES ('journal', 41)
"""

#: What SQLite called the types.
_OF_SQLITE = {"NUMERIC": "TEXT", "BYTEA": "BLOB", "JSONB": "JSON"}


def mark(path: Path) -> None:
    """Mark an empty file as version 1 did."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for pragma in ("journal_mode = WAL", "application_id = 1463895117", "user_version = 1"):
            db.execute(f"PRAGMA {pragma}")


def make(engine: Engine, bars=(), profiles=(), order_flows=(), gaps=()) -> None:
    """Make the tables of version 1, with these records in them, and the cursor 41 of the journal."""
    kinds = (
        ("bars", rows.bar_row, bars),
        ("volume_profiles", rows.profile_row, profiles),
        ("order_flow", rows.order_flow_row, order_flows),
        ("gaps", rows.gap_row, gaps),
    )
    with engine.begin() as db:
        for statement in _tables(engine.dialect.name).split(";"):
            db.execute(text(statement))
        for table, to_row, records in kinds:
            for record in records:
                row = {name: _value(value) for name, value in to_row(record).items() if name not in _LATER}
                names = ", ".join(row)
                values = ", ".join(f":{name}" for name in row)
                db.execute(text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)


def _tables(dialect: str) -> str:
    words = _TABLES
    for name, of_sqlite in _OF_SQLITE.items() if dialect == "sqlite" else ():
        words = words.replace(name, of_sqlite)
    return words


#: Columns of later versions.
_LATER = ("large_trades", "absorption_events")


def _value(value: object) -> object:
    if isinstance(value, Decimal):
        return plain(value)
    return json.dumps(value) if isinstance(value, list) else value
