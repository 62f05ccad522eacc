"""Numbers and times of rare messages."""

from decimal import Decimal

from wadm.exchanges.column import LIMIT, BadNumberError
from wadm.exchanges.intake import RejectedFrameError
from wadm.exchanges.run import EARLIEST_MS, LATEST_MS
from wadm.market import MILLISECOND
from wadm.numbers import NumberError, parse, to_decimal


def signed(text: str) -> Decimal:
    """Return a plain number of at most 18 digits and decimals. Raises BadNumberError."""
    try:
        scaled, decimals = parse(text)
    except NumberError:
        raise BadNumberError("not_a_number") from None
    if not -LIMIT < scaled < LIMIT:
        raise BadNumberError("number_out_of_range")
    return to_decimal(scaled, decimals)


def price(text: str) -> Decimal:
    """Return a positive number. Raises BadNumberError."""
    found = signed(text)
    if found <= 0:
        raise BadNumberError("price_not_positive")
    return found


def amount(text: str) -> Decimal:
    """Return a number that is not negative. Raises BadNumberError."""
    found = signed(text)
    if found < 0:
        raise BadNumberError("negative_amount")
    return found


def moment(ms: int) -> int:
    """Return an exchange's time in µs, be it past or to come. Raises RejectedFrameError."""
    if not EARLIEST_MS <= ms < LATEST_MS:
        raise RejectedFrameError("time_out_of_range")
    return ms * MILLISECOND
