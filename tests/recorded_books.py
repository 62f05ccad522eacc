"""Recorded books: Binance's frames read plainly, beside any codec."""

import gzip
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from wadm.exchanges.base import BookRule
from wadm.exchanges.levels import read_levels
from wadm.market import MILLISECOND, BestQuote, BookChange, BookUpdate

CAPTURES = Path(__file__).parent / "captures" / "hftbacktest"


def update_of(change: BookChange, data: dict[str, Any], bids: str = "b", asks: str = "a") -> BookUpdate:
    levels = read_levels(
        [(price, quantity) for price, quantity in data[bids]],
        [(price, quantity) for price, quantity in data[asks]],
    )
    last = data.get("u") or data["lastUpdateId"]
    return BookUpdate(
        change=change,
        first=data.get("U", last),
        last=last,
        previous=data.get("pu"),
        at=data.get("E", 0) * MILLISECOND,
        price_decimals=levels.price_decimals,
        quantity_decimals=levels.quantity_decimals,
        bids=levels.bids,
        asks=levels.asks,
    )


def steps(path: Path) -> Iterator[BookUpdate | BestQuote]:
    """Yield what a capture of one symbol says of its book, the snapshot where it was received."""
    with gzip.open(path) as file:
        for line in file:
            fields = json.loads(line.split(b" ", 1)[1])
            data, stream = fields.get("data", fields), fields.get("stream", "")
            if "@depth" in stream:
                yield update_of(BookChange.DIFF, data)
            elif "lastUpdateId" in data:
                yield update_of(BookChange.SNAPSHOT, data, "bids", "asks")
            elif stream.endswith("@bookTicker"):
                yield BestQuote(data["u"], data["b"], data["B"], data["a"], data["A"])


def rule_of(path: Path) -> BookRule:
    return BookRule.UPDATE_IDS if path.name.startswith("spot") else BookRule.PREVIOUS_IDS


def snapshots(found: Iterable[BookUpdate | BestQuote]) -> Sequence[BookUpdate]:
    return [one for one in found if isinstance(one, BookUpdate) and one.change is BookChange.SNAPSHOT]
