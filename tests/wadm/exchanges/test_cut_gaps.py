"""Recordings as they are have no gap; whatever is cut out of them is found with its exact size."""

import gzip
import random
import re
from functools import cache
from pathlib import Path

import pytest
from codec_kit import bench

HFTBACKTEST = Path(__file__).parents[2] / "captures" / "hftbacktest"
FILES = sorted(path.name for path in HFTBACKTEST.glob("*.gz"))
_ID = re.compile(rb'"t":(\d+)')


@cache
def frames(name: str) -> tuple[tuple[int | None, bytes], ...]:
    """The frames of a recording, those of trades with their ids."""
    with gzip.open(HFTBACKTEST / name) as lines:
        bodies = [line.strip().partition(b" ")[2] for line in lines]
    return tuple((_id_of(body), body) for body in bodies)


def _id_of(body: bytes) -> int | None:
    found = _ID.search(body) if b'"e":"trade"' in body else None
    return int(found[1]) if found else None


def exchange_of(name: str) -> str:
    return "binance" if name.startswith("spot") else "binance_usdm"


@pytest.mark.parametrize("name", FILES)
def test_a_recording_has_no_gap(name: str) -> None:
    codec = bench(exchange_of(name))
    codec.feed(*(body for _, body in frames(name)))
    assert codec.gaps == []
    ids = [number for number, _ in frames(name) if number is not None]
    assert len(ids) == max(ids) - min(ids) + 1 > 900


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("seed", range(3))
def test_what_is_cut_out_is_found_exactly(name: str, seed: int) -> None:
    chance = random.Random(f"{name}{seed}")
    ids = sorted(number for number, _ in frames(name) if number is not None)
    cut: list[tuple[int, int]] = []
    at = ids[0] + 1
    while True:
        first = at + chance.randint(0, len(ids) // 8)
        last = first + chance.choice((0, 1, chance.randint(2, 20), chance.randint(20, 200)))
        if last >= ids[-1]:
            break
        cut.append((first, last))
        at = last + 2
    assert len(cut) >= 3
    lost = {number for first, last in cut for number in range(first, last + 1)}
    codec = bench(exchange_of(name))
    left = [body for number, body in frames(name) if number not in lost]
    while left:
        size = chance.randint(1, 400)
        codec.feed(*left[:size])
        left = left[size:]
    assert codec.gaps == cut
    codec.check_balance()
