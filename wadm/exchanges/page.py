"""Reading the answers of an exchange's REST interface: what is wrong with one is a PageError."""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Annotated, TypeVar

from msgspec import Meta

from wadm.exchanges.base import PageError
from wadm.exchanges.intake import UNREADABLE, reason_of
from wadm.exchanges.levels import Written, read_levels
from wadm.exchanges.run import EARLIEST_MS, LATEST_MS
from wadm.market import MILLISECOND, BookChange, BookUpdate
from wadm.numbers import NumberError, parse, to_decimal

T = TypeVar("T")

#: An exchange's time in ms, and an id it counts.
Millis = Annotated[int, Meta(ge=EARLIEST_MS, lt=LATEST_MS)]
Count = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Symbol = Annotated[str, Meta(min_length=1, max_length=64)]


def decoded(decode: Callable[[bytes], T], body: bytes, what: str) -> T:
    """Return a decoded answer. Raises PageError naming ``what`` it should have been."""
    try:
        return decode(body)
    except UNREADABLE as error:
        raise PageError(f"{what} cannot be read: {reason_of(error)} ({error})") from error


def number(text: str, what: str) -> Decimal:
    """Return a number that is not negative. Raises PageError naming ``what`` it is of."""
    try:
        found = to_decimal(*parse(text))
    except NumberError as error:
        raise PageError(f"{what} cannot be read: {error}") from error
    if found < 0:
        raise PageError(f"{what} cannot be read: {text} is negative")
    return found


def size(text: str) -> Decimal | None:
    """Return a tick or step without trailing zeros, None for one that is 0, none, or no number."""
    try:
        found = to_decimal(*parse(text))
    except NumberError:
        return None
    return found if found > 0 else None


def turnovers(rows: Iterable[tuple[str, str]]) -> Mapping[str, Decimal]:
    """Return turnover by symbol; a symbol whose turnover is no number is left out."""
    found: dict[str, Decimal] = {}
    for symbol, text in rows:
        try:
            found[symbol] = to_decimal(*parse(text))
        except NumberError:
            continue
    return found


def snapshot(update_id: int, ms: int, bids: list[Written], asks: list[Written], what: str) -> BookUpdate:
    """Return an order book as it was at ``ms`` (0: not told). Raises PageError for a level that is none."""
    try:
        levels = read_levels(bids, asks)
    except ValueError as error:
        raise PageError(f"{what} cannot be read: {error}") from error
    return BookUpdate(
        change=BookChange.SNAPSHOT,
        first=update_id,
        last=update_id,
        previous=None,
        at=ms * MILLISECOND,
        price_decimals=levels.price_decimals,
        quantity_decimals=levels.quantity_decimals,
        bids=levels.bids,
        asks=levels.asks,
    )
