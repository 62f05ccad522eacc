"""The benchmark beside the peers, as far as it is ours: what is measured is right, and all of it is there."""

import json
import sys
from decimal import Decimal
from importlib import import_module
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    """Import a benchmark's module by name, as its scripts do."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.syspath_prepend(str(BENCHMARKS / "peers"))
    yield import_module
    for name in ("bench", "environments", "folding", "load", "readers", "rounds"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("exchange", ["binance_usdm", "bybit"])
def test_the_fold_that_is_measured_has_every_trade_that_is_sent(script, exchange):
    load, folding = script("load"), script("folding")
    texts = list(load.texts(exchange, 400))
    folded = folding.Folding(exchange)
    folded.take(texts[:7], 1_800_000_000_000_000)
    folded.take(texts[7:], 1_800_000_000_000_000)

    sent = [trade for text in texts for trade in _trades(json.loads(text)["data"])]
    assert folded.trades == len(sent) == 400
    assert folded.finish() == sum(map(Decimal, sent))


def _trades(data):
    return [data["q"]] if isinstance(data, dict) else [one["v"] for one in data]


def test_every_reader_has_a_script_and_every_peer_its_requirements(script):
    bench, environments, readers = script("bench"), script("environments"), script("readers")
    assert all(one.script.is_file() for one in readers.READERS)
    peers = {one.peer for one in readers.READERS if one.peer is not None}
    assert peers == {path.stem for path in (environments.HERE / "requirements").iterdir()}
    names = [one.name for one in readers.READERS]
    assert {reader for both in bench.RATIOS.values() for reader in both} <= set(names)
    assert len(set(names)) == len(names)
