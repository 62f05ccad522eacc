"""What the tests of the endpoints share: recorded answers, and a hand for spoiling them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from wadm.exchanges.base import Endpoints, Query
from wadm.exchanges.registry import find

ANSWERS = Path(__file__).parents[2] / "captures" / "rest"
#: 2020-05-06T04:42:00Z, where the recorded candles begin (µs)
START = 1_588_740_120_000_000
HOUR = 3_600_000_000

hostile = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=20),
    st.sampled_from(["", "-1", "1e400", "NaN", "Infinity", "9" * 200, "0." + "0" * 90 + "1", "١٢", "1\n2"]),
    st.just([]),
    st.just({}),
    st.just([["1", "2"]]),
)


def answer(name: str) -> bytes:
    return (ANSWERS / name).read_bytes()


def endpoints(exchange: str) -> Endpoints:
    return find(exchange).endpoints


def queries(exchange: str) -> dict[str, Query[Any]]:
    asked = endpoints(exchange)
    return {
        "clock": asked.clock(),
        "listing": asked.listing(),
        "turnover": asked.turnover(),
        "depth": asked.depth("BTCUSDT"),
        "candles": asked.candles("BTCUSDT", START, START + HOUR),
    }


def spoiled(body: bytes, place: int, value: object) -> bytes:
    """Return a JSON answer with one of its values, counted through, replaced."""
    whole = json.loads(body)
    places = list(_places(whole))
    if not places:
        return body
    holder, key = places[place % len(places)]
    holder[key] = value
    return json.dumps(whole).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from _places(inner)
