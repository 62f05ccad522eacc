"""Instants as people write them: ISO 8601 outside, microseconds since 1970-01-01 UTC inside."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_instant(text: str) -> int:
    """Return an ISO 8601 date or time as µs; UTC where it names no offset. Raises ValueError otherwise."""
    moment = datetime.fromisoformat(text)
    try:
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:  # in UTC it would lie outside the years 1 to 9999
        raise ValueError(f"{text} is out of range in UTC") from error
    return (moment - _EPOCH) // timedelta(microseconds=1)


def iso(instant: int) -> str:
    """Return µs as ISO 8601 in UTC, with a fraction only where there is one: ``2024-08-09T00:00:00Z``."""
    return (_EPOCH + timedelta(microseconds=instant)).isoformat().replace("+00:00", "Z")
