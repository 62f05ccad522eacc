"""Whether a day in the cold tier can be read, and whether its profile is that of its bars."""

import pyarrow as pa
import pyarrow.parquet as pq

from actors.storage.cold import layout, parquet, table
from actors.storage.cold.archive import Archive
from actors.storage.cold.held import damaged, opened
from actors.storage.errors import StorageError
from wadm import bar as bars
from wadm.analytics.profile import profile
from wadm.market import DAY


def faults(archive: Archive, exchange: str, symbol: str, day: int) -> list[str]:
    """Return what is wrong with a day, one sentence each that names the object."""
    try:
        _check(archive, exchange, symbol, day)
    except StorageError as error:
        return [str(error)]
    return []


def _check(archive: Archive, exchange: str, symbol: str, day: int) -> None:
    address, key = archive.objects.address, (exchange, symbol, day)
    places = [layout.path(kind, *key) for kind in (layout.BARS, layout.PROFILES)]
    there, beside = (f"{address}/{place}" for place in places)
    found, made = (archive.objects.read(place) for place in places)
    if found is None:
        raise StorageError(f"{there} is gone: another program has removed it")
    held = parquet.read_bars(found[0], there)
    merged = bars.merge((opened(at, one, there) for at, one in sorted(held.items())), day, day + DAY)
    if made is None:
        raise StorageError(f"{beside} is not there: the profile of these bars has to be made again")
    parquet.check_profile(made[0], beside)
    stored = pq.read_table(pa.BufferReader(made[0]))
    size = stored["row_size"][0].as_py()
    anew = table.profile_table(day, day + DAY, profile(merged, size), partial=merged.partial)
    if not stored.equals(anew):
        differ = [name for name in anew.column_names if not stored[name].equals(anew[name])]
        raise damaged(beside, f"it is not the profile of its day's bars: {', '.join(differ)} differ")
