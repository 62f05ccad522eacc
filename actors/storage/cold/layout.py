"""Where a day lies: ``bars/exchange=binance/symbol=BTCUSDT/date=2024-08-08/bars.parquet``.

The folders are hive partitions, which pandas, Polars and DuckDB read as columns.
"""

from datetime import UTC, datetime
from urllib.parse import quote, unquote

from wadm.market import DAY, SECOND

BARS = "bars"
PROFILES = "profiles"


def date_of(day: int) -> str:
    """Return the UTC date, ``2024-08-08``, of the start of a day (µs)."""
    return datetime.fromtimestamp(day // SECOND, UTC).date().isoformat()


def folder(kind: str, exchange: str | None = None, symbol: str | None = None) -> str:
    """Return the folder of a kind, of an exchange in it, or of a symbol in that."""
    names = {"exchange": exchange, "symbol": symbol}
    # Symbols may be of any script; in a path they are ASCII.
    steps = [f"{name}={quote(value, safe='')}" for name, value in names.items() if value is not None]
    return "/".join([kind, *steps])


def path(kind: str, exchange: str, symbol: str, day: int) -> str:
    """Return the path of a day's object."""
    return f"{folder(kind, exchange, symbol)}/date={date_of(day)}/{kind}.parquet"


def name_of(folder: str) -> str | None:
    """Return the exchange or symbol that a folder is named for, None for a folder of something else."""
    name, found, value = folder.rpartition("/")[2].partition("=")
    return unquote(value) if found and name in ("exchange", "symbol") else None


def day_of(path: str, kind: str) -> int | None:
    """Return the start (µs) of the day whose object lies there, None where it is no day's."""
    *_, date, file = path.split("/")
    if file != f"{kind}.parquet" or not date.startswith("date="):
        return None
    try:
        at = datetime.strptime(date, "date=%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    day = int(at.timestamp()) * SECOND
    return day - day % DAY
