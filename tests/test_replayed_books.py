"""Books through the whole: a local exchange, its REST interface, connections, actors, and what is printed."""

import gzip
import json
from pathlib import Path

import pytest

from actors.cli import main

CAPTURES = Path(__file__).parent / "captures" / "hftbacktest"


def replayed(capsys: pytest.CaptureFixture[str], capture: Path) -> dict[str, object]:
    status = main(["replay", str(capture), "--exchange", "binance_usdm", "--json"])
    said = capsys.readouterr()
    assert status == 0, said.err
    found: dict[str, object] = json.loads(said.out)
    return found


def test_a_replayed_book_equals_the_quotes_recorded_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    came = replayed(capsys, CAPTURES / "usdm_btcusdt_20240718.gz")
    assert came["gaps"] == []
    (book,) = came["books"].values()  # type: ignore[attr-defined]
    assert (book["synced"], book["bid"], book["ask"]) == (True, "63959.9", "63960")
    # Which of the first updates the snapshot holds already is a matter of when it was asked for.
    assert 3_300 < book["updates"] <= 3_321
    assert 1_700 < book["book_ticker_checked"] <= 1_712
    assert (book["book_ticker_mismatches"], book["gaps"], book["resyncs"], book["crossed"]) == (0, 0, 0, 0)


def test_a_recording_without_depth_has_no_books(capsys: pytest.CaptureFixture[str]) -> None:
    assert replayed(capsys, CAPTURES / "usdm_btcusdt_20240808_trades.gz")["books"] == {}


def test_without_a_snapshot_a_book_is_not_in_step_and_shows_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    capture = tmp_path / "no_snapshot.gz"
    with gzip.open(CAPTURES / "usdm_btcusdt_20240718.gz") as whole, gzip.open(capture, "wb", 1) as cut:
        cut.writelines(line for line in whole if b'"bids"' not in line)
    (book,) = replayed(capsys, capture)["books"].values()  # type: ignore[attr-defined]
    assert (book["synced"], book["bid"], book["updates"], book["book_ticker_checked"]) == (False, None, 0, 0)
