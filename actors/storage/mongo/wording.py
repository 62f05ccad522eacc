"""Filters, updates and results as programs write them, and as MongoDB has them.

Programs give money as Decimal and times as µs or as datetimes with a zone; they get Decimal and µs. MongoDB
has Decimal128 and dates, which count milliseconds; where a collection keeps an instant in µs beside its date,
a condition on the date (for the index) is made exact by one on the µs. Binary floats are refused.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import attrs
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64

from actors.storage.mongo.schema import Collection
from actors.storage.mongo.values import Document, date, first_date, micros, of_decimal
from wadm.numbers import MAX_DECIMALS, NumberError, from_decimal
from wadm.questions import QuestionError

Instant = int | datetime

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: Fields in µs beside the dates of the same instants.
_FINER = {"timestamp": "time_us", "last_touch": "last_touch_us", "noticed_at": "noticed_us"}

#: Comparisons, and what each becomes on a date that was cut down to milliseconds.
_LOOSE = {"$gte": "$gte", "$gt": "$gte", "$lt": "$lte", "$lte": "$lte", "$eq": "$eq"}
_LOGIC = ("$and", "$or", "$nor")


def instant(name: str, value: object) -> int:
    """Return a time as µs. Raises QuestionError for what is no whole number or datetime with a zone."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, datetime) and value.utcoffset() is not None:
        return (value - _EPOCH) // timedelta(microseconds=1)
    raise QuestionError(name, str(value), "a datetime with a zone, or µs since 1970 as a whole number")


def exact(name: str, number: Decimal) -> Decimal:
    """Return a number that can be kept exactly. Raises QuestionError for any other."""
    try:
        from_decimal(number)
    except NumberError:
        expected = f"a finite number of at most {MAX_DECIMALS} decimals"
        raise QuestionError(name, str(number), expected) from None
    return number


def stored(name: str, value: object) -> Any:
    """Return a value as MongoDB has it. Raises QuestionError for what is not exact, a float above all."""
    match value:
        case Decimal():
            return of_decimal(exact(name, value))
        case float():
            raise QuestionError(name, str(value), "a Decimal: a binary float is not exact")
        case datetime():
            return date(instant(name, value))
        case Mapping():
            return {key: stored(name if key.startswith("$") else key, one) for key, one in value.items()}
        case list() | tuple():
            return [stored(name, one) for one in value]
        case _:
            return value


def told(value: Any) -> Any:
    """Return what MongoDB has as programs get it."""
    match value:
        case Decimal128():
            return value.to_decimal()
        case DatetimeMS() | datetime():
            return micros(value)
        case Int64():
            return int(value)
        case Mapping():
            return {key: told(one) for key, one in value.items()}
        case list():
            return [told(one) for one in value]
        case _:
            return value


@attrs.frozen
class Wording:
    """The words of one collection."""

    collection: Collection

    def condition(self, given: Mapping[str, Any]) -> Document:
        """Return a filter. Raises QuestionError."""
        conditions = list(self._conditions(given))
        return conditions[0] if len(conditions) == 1 else {"$and": conditions} if conditions else {}

    def update(self, given: Mapping[str, Any]) -> Document:
        """Return an update made of operators (``$set``, ``$inc``, …). Raises QuestionError."""
        strange = next((name for name in given if not name.startswith("$")), None)
        if strange is not None or not given:
            raise QuestionError("update", strange, "operators, such as $set with fields in it")
        return {name: dict(self._assigned(fields)) for name, fields in given.items()}

    def _is_time(self, name: str) -> bool:
        return "date" in self.collection.fields.get(name, {}).get("bsonType", ())

    def _finer(self, name: str) -> str | None:
        finer = _FINER.get(name)
        return finer if finer in self.collection.fields else None

    def _conditions(self, given: Mapping[str, Any]) -> Iterator[Document]:
        for name, value in given.items():
            if name in _LOGIC:
                yield {name: [self.condition(one) for one in value]}
            elif self._is_time(name) and value is not None:
                yield from self._times(name, value if isinstance(value, Mapping) else {"$eq": value})
            else:
                yield {name: stored(name, value)}

    def _times(self, name: str, comparisons: Mapping[str, Any]) -> Iterator[Document]:
        finer = self._finer(name)
        for comparison, value in comparisons.items():
            if comparison not in _LOOSE:
                yield {name: {comparison: stored(name, value)}}
                continue
            at = instant(name, value)
            if finer is None:
                # Such a date lies at a whole millisecond.
                bound = first_date(at) if comparison in ("$gte", "$lt") else date(at)
                yield {name: {comparison: bound}}
            else:
                yield {name: {_LOOSE[comparison]: date(at)}}
                yield {finer: {comparison: at}}

    def _assigned(self, fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        for name, value in fields.items():
            if self._is_time(name) and isinstance(value, int | datetime):
                at = instant(name, value)
                yield name, date(at)
                if (finer := self._finer(name)) is not None:
                    yield finer, at
            else:
                yield name, stored(name, value)
