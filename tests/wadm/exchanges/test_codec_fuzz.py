"""Whatever bytes come, no codec raises, its ledger stays balanced, and its events are sound.

``tests/fuzz/codecs.py`` looks longer, guided by coverage.
"""

import json
from copy import deepcopy
from functools import cache
from typing import Any

import pytest
from codec_kit import Bench, bench, every_kind
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wadm.exchanges.registry import EXCHANGES

HOSTILE = [
    *("", "0", "-1", "-0", "1e5", "NaN", "1" * 30, "0." + "0" * 20 + "1", "\u0661", "1\n", "1 1", "BTCUSDT"),
    *(0, -1, 1.5, 2**31, 2**62, 2**63, 2**64, 10**30, True, None, [], {}, [[]], [["1"]], [["1", "0"]]),
    *("btcusdt@depth", "orderbook.50.BTCUSDT", "snapshot", "delta", "trade", "1m"),
]
SCALARS = st.sampled_from(HOSTILE).map(deepcopy) | st.integers() | st.floats() | st.text(max_size=6)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)
settle = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@cache
def seeds(exchange: str) -> tuple[bytes, ...]:
    return tuple(every_kind(exchange))


def check(codec: Bench, *frames: bytes) -> None:
    codec.feed(*frames)
    codec.check_balance()
    codec.check_events()
    assert codec.ledger.frames == len(frames)
    assert codec.ledger.frames_rejected.total() <= len(frames)
    assert sum(codec.codec.heard.values()) <= len(frames)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a decoded frame."""
    if isinstance(value, dict):
        found = list(value.items())
    elif isinstance(value, list):
        found = list(enumerate(value))
    else:
        return []
    return [(value, key) for key, _ in found] + [place for _, inner in found for place in places(inner)]


@st.composite
def with_other_values(draw: st.DrawFn, exchange: str) -> bytes:
    """A recorded frame in which some values are others, are missing or have another name."""
    whole = json.loads(draw(st.sampled_from(seeds(exchange))))
    for _ in range(draw(st.integers(1, 3))):
        found = places(whole)
        if not found:
            break
        container, key = draw(st.sampled_from(found))
        match draw(st.sampled_from(["replace", "replace", "replace", "drop", "copy"])):
            case "replace":
                container[key] = draw(VALUES)
            case "drop":
                del container[key]
            case _ if isinstance(container, dict):
                container[draw(st.sampled_from([*container, "x"]))] = deepcopy(container[key])
            case _:
                container.append(deepcopy(container[key]))
    shuffled = draw(st.booleans()) and isinstance(whole, dict)
    return json.dumps(dict(reversed(whole.items())) if shuffled else whole, separators=(",", ":")).encode()


@st.composite
def with_other_bytes(draw: st.DrawFn, exchange: str) -> bytes:
    """A recorded frame in which some stretches are cut out, repeated or overwritten."""
    frame = draw(st.sampled_from(seeds(exchange)))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(frame)))
        end = draw(st.integers(start, min(len(frame), start + 40)))
        other = draw(st.sampled_from([b"", b'"', b"\xff", b"\\", b"[" * 2_000, b"0", frame[start:end] * 2]))
        frame = frame[:start] + (other or draw(st.binary(max_size=4))) + frame[end:]
    return frame


@pytest.mark.parametrize("exchange", EXCHANGES)
@given(data=st.data())
@settle
def test_recorded_frames_with_other_values(exchange: str, data: st.DataObject) -> None:
    frames = st.sampled_from(seeds(exchange)) | with_other_values(exchange)
    check(bench(exchange), *data.draw(st.lists(frames, min_size=1, max_size=5)))


@pytest.mark.parametrize("exchange", EXCHANGES)
@given(data=st.data())
@settle
def test_recorded_frames_with_other_bytes(exchange: str, data: st.DataObject) -> None:
    frames = st.sampled_from(seeds(exchange)) | with_other_bytes(exchange)
    check(bench(exchange), *data.draw(st.lists(frames, min_size=1, max_size=5)))


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_frames_of_every_kind_and_of_every_other_exchange(exchange: str) -> None:
    codec = bench(exchange)
    codec.feed(*seeds(exchange))
    assert codec.events
    check(bench(exchange), *(frame for other in EXCHANGES for frame in seeds(other)))
