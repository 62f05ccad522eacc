"""The recording of LTCUSDT, 36 hours with 26 real gaps: each is found with its exact size, and no other."""

import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import attrs
import pytest

from wadm.exchanges.base import Gap
from wadm.exchanges.registry import find
from wadm.ledger import Ledger
from wadm.market import IdKind, Instrument, Trades

RECORDED = Path(__file__).parent / "captures" / "orderflow_ltcusdt" / "ltcusdt_20250621_agg_trades.csv.gz"
TRADES, IDS = 152_763, 178_358
#: (first, last) of the ids that are missing, as the files themselves show them
GAPS = [
    (293519716, 293519719), (293521034, 293521037), (293521349, 293521359), (293521646, 293521647),
    (293523024, 293523025), (293531191, 293531192), (293534907, 293535023), (293535442, 293535446),
    (293535822, 293535824), (293546150, 293546150), (293546370, 293546372), (293546421, 293546421),
    (293547310, 293547316), (293557858, 293557859), (293558631, 293558631), (293560383, 293560385),
    (293573421, 293573439), (293580347, 293580350), (293580759, 293580764), (293659364, 293659372),
    (293661066, 293661075), (293666231, 293666320), (293666712, 293666716), (293667845, 293668473),
    (293668591, 293668600), (293668662, 293693306),
]  # fmt: skip


@attrs.frozen
class Recorded:
    """A trade of the recording; ``time`` in ms."""

    id: int
    time: int
    price: str
    quantity: str
    sold: bool

    def frame(self) -> bytes:
        """Return it as the stream would send it. Of its fills only itself is known."""
        fields = f'"a":{self.id},"p":"{self.price}","q":"{self.quantity}","f":{self.id},"l":{self.id}'
        head = f'{{"e":"aggTrade","E":{self.time},"s":"LTCUSDT",{fields}'
        return f'{head},"T":{self.time},"m":{"true" if self.sold else "false"},"M":true}}'.encode()


def recorded() -> Iterator[Recorded]:
    number = time = 0
    with gzip.open(RECORDED, "rt") as lines:
        for line in lines:
            step, later, price, quantity = line.strip().split(",")
            number, time = number + int(step), time + int(later)
            yield Recorded(number, time, price, quantity.lstrip("-"), quantity.startswith("-"))


@pytest.fixture(scope="module")
def trades() -> list[Recorded]:
    return list(recorded())


def test_the_recording_is_what_its_source_says(trades: list[Recorded]) -> None:
    ids = [one.id for one in trades]
    assert len(ids) == len(set(ids)) == TRADES
    assert ids[-1] - ids[0] + 1 == IDS == TRADES + sum(last - first + 1 for first, last in GAPS)


@pytest.mark.parametrize("size", [1, 97, TRADES])
def test_the_codec_shows_each_gap_once(trades: list[Recorded], size: int) -> None:
    binance, ledger = find("binance"), Ledger()
    one, positions = Instrument("binance", "LTCUSDT", Decimal("0.01"), Decimal("0.001")), binance.positions()
    codec = binance.codec({"LTCUSDT": one}, positions, ledger)
    came = 0
    gaps: list[tuple[int, int]] = []
    frames = [trade.frame() for trade in trades]
    for start in range(0, len(frames), size):
        for event in codec.receive(frames[start : start + size], 1_798_761_600_000_000):
            if isinstance(event, Trades):
                came += len(event)
            elif isinstance(event, Gap):
                gaps.append((event.first, event.last))
    assert gaps == GAPS
    assert came == ledger.total().received == TRADES
    assert list(positions.of("LTCUSDT", IdKind.AGG_TRADE).missing) == GAPS


def test_a_replay_tells_of_all_26_and_of_nothing_else(trades: list[Recorded], tmp_path: Path) -> None:
    capture = tmp_path / "ltcusdt.gz"
    with gzip.open(capture, "wb", compresslevel=1) as file:
        for trade in trades:
            file.write(b"%d %s\n" % (trade.time * 1_000_000, trade.frame()))
    command = [sys.executable, "-m", "wadm", "replay", str(capture), "--exchange", "binance", "--json"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    found = sorted((gap["first"], gap["last"], gap["missing"], gap["state"]) for gap in answer["gaps"])
    assert found == [(first, last, last - first + 1, "unfillable") for first, last in GAPS]
    assert {gap["reason"] for gap in answer["gaps"]} == {"the exchange does not give them"}
    ledger = answer["ledger"]
    assert (ledger["applied"], ledger["duplicate"], ledger["rejected"]) == (TRADES, 0, {})
    assert ledger["balanced"]
    assert answer["symbols"]["binance:LTCUSDT"]["trades"] == TRADES
