"""Days of bars, small and exact."""

from storage_samples import EXCHANGE, SYMBOL, bar

from actors.storage.cold.held import held
from wadm.market import DAY, MINUTE

NAME = EXCHANGE, SYMBOL
#: 2024-08-08T00:00:00Z
FIRST = 1_723_075_200_000_000
SECOND = FIRST + DAY
FOREVER = 1 << 62


def minutes(*numbers, day=FIRST, revision=0, quantity=5, count=3):
    """Return the bars of these minutes of a day."""
    return [bar(day + at * MINUTE, revision, quantity, count) for at in numbers]


def packed(bars):
    """Return bars as an archive takes them."""
    return {one.start: held(one) for one in bars}


def path(day="2024-08-08", kind="bars"):
    return f"{kind}/exchange={EXCHANGE}/symbol={SYMBOL}/date={day}/{kind}.parquet"


def all_of(archive):
    """Return every bar that an archive gives."""
    return list(archive.bars(*NAME, 0, FOREVER))
