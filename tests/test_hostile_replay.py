"""What no exchange should send, through the whole: it is counted by its name, and costs nothing else."""

import gzip
import json
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from actors.cli import main

CAPTURE = Path(__file__).parent / "captures" / "hftbacktest" / "spot_btcusdt_20240808_trades.gz"
TRADE = b'{"stream":"btcusdt@trade","data":'

#: Frames, and under what each is counted.
HOSTILE = (
    (TRADE + b'{"e":"trade","s":"\xff\xfe"}}', "not_utf8"),
    (TRADE + b'{"e":"trade","E":17231', "not_json"),
    (b'{"stre', "not_json"),
    (b"\x00\x01\xfe\xff", "not_json"),
    (TRADE + b'{"a":' * 50_000, "nested_too_deeply"),
    (b"[" * 100_000, "ill_typed_field"),
    (TRADE + b"null}", "ill_typed_field"),
    (TRADE + b"{}}", "missing_field"),
    (b"7", "ill_typed_field"),
)
#: Trades that cannot be, and under what each is counted.
UNTRUE = (
    (b'"t":9999999999,"p":"1","q":"1","T":9000000000000', "time_in_future"),
    (b'"t":9999999998,"p":"1","q":"1","T":5', "time_out_of_range"),
    (b'"t":-5,"p":"1","q":"1","T":1723161255342', "id_out_of_range"),
    (b'"t":1,"p":"-1","q":"1","T":1723161255342', "price_not_positive"),
    (b'"t":1,"p":"NaN","q":"1","T":1723161255342', "not_a_number"),
)


def lines() -> list[bytes]:
    return gzip.decompress(CAPTURE.read_bytes()).splitlines()


def replayed(capsys: pytest.CaptureFixture[str], tmp_path: Path, recorded: Sequence[bytes]) -> dict[str, Any]:
    capture = tmp_path / "capture"
    capture.write_bytes(b"".join(line + b"\n" for line in recorded))
    status = main(["replay", str(capture), "--exchange", "binance", "--json"])
    said = capsys.readouterr()
    assert status == 0, said.err
    found: dict[str, Any] = json.loads(said.out)
    return found


def test_hostile_frames_are_counted_and_nothing_is_lost(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    clean, damaged = lines(), []
    frames = cycle([*HOSTILE, *((TRADE + b'{"e":"trade","E":1,"s":"BTCUSDT",%s,"m":true}}' % fields, why)
                    for fields, why in UNTRUE)])  # fmt: skip
    counted: dict[str, int] = {}
    twice = 0
    for number, line in enumerate(clean):
        damaged.append(line)
        at = line.partition(b" ")[0]
        if number % 20 == 0:
            frame, why = next(frames)
            damaged.append(b"%s %s" % (at, frame))
            counted[why] = counted.get(why, 0) + 1
        elif number % 33 == 0:
            damaged.append(line)
            twice += 1
        elif number % 33 == 7:  # two change places, at their times
            damaged[-2:] = [at + b" " + one.partition(b" ")[2] for one in (damaged[-1], damaged[-2])]
    expected, found = (replayed(capsys, tmp_path, one) for one in (clean, damaged))
    assert found["symbols"] == expected["symbols"]
    assert found["gaps"] == []
    assert "reconnects" not in found
    ledger = found["ledger"]
    assert ledger["frames_rejected"] | ledger["rejected"] == counted
    assert (ledger["duplicate"], ledger["balanced"]) == (twice, True)


def test_a_frame_too_long_to_be_held_costs_the_connection_and_no_trade(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    clean = lines()
    middle = len(clean) // 2
    at = clean[middle].partition(b" ")[0]
    huge = b'%s %s"%s"}' % (at, TRADE, b"x" * (9 << 20))
    expected = replayed(capsys, tmp_path, clean)
    found = replayed(capsys, tmp_path, [*clean[:middle], huge, *clean[middle:]])
    assert found["symbols"] == expected["symbols"]
    assert found["gaps"] == []
    assert found["reconnects"] == 1
    assert found["ledger"]["balanced"]
