"""``wadm query`` over what a replay stored: the numbers are the oracle's, and a mistake gets one sentence."""

import gzip
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import redirect_stdout
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from actors.cli import main
from wadm import bar as bars

sys.path.insert(0, str(Path(__file__).parent / "wadm"))
import oracle
import oracle_measures as measures

D = Decimal
CAPTURE = Path(__file__).parent / "captures" / "hftbacktest" / "usdm_btcusdt_20240808_trades.gz"
WADM = [sys.executable, "-m", "wadm"]
MINUTE_MS, DAY_MS = 60_000, 86_400_000
#: The capture lies in the last six minutes of a day.
MIDNIGHT_MS = 1_723_161_600_000
START_MS = MIDNIGHT_MS - 6 * MINUTE_MS
SEVENTY = D("0.7")


def wadm(*arguments: object) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WADM_")}
    command = [*WADM, *map(str, arguments)]
    return subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=90,
        env=kept | {"ENVIRONMENT": "testing"},
    )


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory as a replay left it."""
    directory = tmp_path_factory.mktemp("stored") / "data"
    done = wadm("replay", CAPTURE, "--exchange", "binance_usdm", "--data-dir", directory, "--json")
    assert done.returncode == 0, done.stderr
    return directory


@pytest.fixture(scope="module")
def trades() -> list[oracle.Trade]:
    with gzip.open(CAPTURE, "rt") as lines:
        return oracle.read_trades(lines, "BTCUSDT")


def asked(directory: Path, question: str, *arguments: object) -> list[str]:
    named = ("--data-dir", directory, "--exchange", "binance_usdm", "--symbol", "BTCUSDT", "--json")
    return [*map(str, ("query", question, *named, *arguments))]


def answer(directory: Path, question: str, *arguments: object) -> dict[str, Any]:
    """What the command prints, without a process of its own."""
    printed = StringIO()
    with redirect_stdout(printed):
        assert main(asked(directory, question, *arguments)) == 0
    found: dict[str, Any] = json.loads(printed.getvalue())
    return found


def iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()


def between(start_ms: int, end_ms: int) -> tuple[str, ...]:
    return "--start", iso(start_ms), "--end", iso(end_ms)


def texts(levels: oracle.Levels) -> dict[str, str | None]:
    return {name: None if one is None else oracle.plain(one) for name, one in levels._asdict().items()}


def levels_in(found: dict[str, Any]) -> dict[str, str | None]:
    return {name: found[name] for name in ("poc", "vah", "val")}


def rows_in(found: dict[str, Any]) -> list[tuple[Decimal, Decimal, Decimal, int]]:
    return [(D(row["price"]), D(row["buy"]), D(row["sell"]), row["count"]) for row in found["rows"]]


# --- the numbers are the oracle's ---


@pytest.mark.parametrize("method", ["pair", "single_row"])
def test_profile_and_composite(stored: Path, trades: list[oracle.Trade], method: str) -> None:
    parameters = ("--row-size", 10, "--value-area", "0.68", "--method", method)
    expected = texts(oracle.levels(trades, D(10), D("0.68"), method))
    for question, more in (("profile", ["--recompute"]), ("composite", ["--days", 3])):
        found = answer(stored, question, *parameters, *more)
        assert levels_in(found) == expected
        assert rows_in(found) == oracle.traded_rows(trades, D(10))
        assert found["profile_sha256"] == oracle.fingerprint(trades, D(10))
        assert found.get("recomputed", {"agrees": True})["agrees"] is True


def test_flow_of_each_minute_with_the_cvd_of_the_session(stored: Path, trades: list[oracle.Trade]) -> None:
    middle = START_MS + 3 * MINUTE_MS
    found = answer(stored, "flow", *between(middle, middle + MINUTE_MS), "--recompute")
    expected = oracle.flow(oracle.within(trades, middle, middle + MINUTE_MS))
    for name in ("volume", "delta", "delta_high", "delta_low"):
        assert D(found[name]) == getattr(expected, name)
    assert D(found["cvd"]) == oracle.cvd(trades, middle + MINUTE_MS)
    assert found["recomputed"]["agrees"] is True
    assert found["recomputed"]["differs"] == []


def test_candles_and_footprint(stored: Path, trades: list[oracle.Trade]) -> None:
    window = between(START_MS, MIDNIGHT_MS)
    minutes = oracle.windows(trades, MINUTE_MS)
    candles = answer(stored, "candles", *window, "--bar", "1m")["candles"]
    assert [one["start"] for one in candles] == [iso(at).replace("+00:00", "Z") for at in sorted(minutes)]
    for one, at in zip(candles, sorted(minutes), strict=True):
        flow = oracle.flow(minutes[at])
        for name in ("open", "high", "low", "close", "volume", "delta"):
            assert D(one[name]) == getattr(flow, name)
    found = answer(stored, "footprint", *window, "--bar", "1m", "--row-size", 5, "--minimum", 1)["bars"]
    for one, at in zip(found, sorted(minutes), strict=True):
        assert rows_in(one) == oracle.traded_rows(minutes[at], D(5))
        lowest, rows = oracle.dense_rows(minutes[at], D(5))
        buying, selling = measures.imbalances(rows, D(3), D(1))
        assert [D(price) for price in one["buy_imbalances"]] == [D(5) * (lowest + row) for row in buying]
        assert [D(price) for price in one["sell_imbalances"]] == [D(5) * (lowest + row) for row in selling]


def test_nodes_vwap_and_developing(stored: Path, trades: list[oracle.Trade]) -> None:
    lowest, rows = oracle.dense_rows(trades, D(5))
    high, low = measures.nodes(rows, 2, D("0.1"))
    found = answer(stored, "nodes", "--row-size", 5, "--smoothing", 2)
    assert [D(one["price"]) for one in found["high_volume_nodes"]] == [D(5) * (lowest + row) for row in high]
    assert [D(one["price"]) for one in found["low_volume_nodes"]] == [D(5) * (lowest + row) for row in low]
    found = answer(stored, "vwap", *between(START_MS, MIDNIGHT_MS))
    assert (D(found["vwap"]), D(found["standard_deviation"])) == measures.vwap(trades, 5)
    window = between(START_MS, MIDNIGHT_MS)
    found = answer(stored, "developing", *window, "--step", "1m", "--row-size", 10)
    expected = measures.developing(trades, START_MS, MIDNIGHT_MS, MINUTE_MS, D(10), SEVENTY, "pair")
    assert [levels_in(one) for one in found["steps"]] == [texts(levels) for _, levels in expected]


def test_naked_pocs_of_sessions(stored: Path, trades: list[oracle.Trade]) -> None:
    """A session that begins at 23:57 parts the capture in two."""
    edge = MIDNIGHT_MS - 3 * MINUTE_MS
    spans = [(edge - DAY_MS, edge), (edge, edge + DAY_MS)]
    expected = measures.past_pocs(trades, spans, D(1), SEVENTY)
    found = answer(stored, "naked-pocs", "--session", "23:57@UTC", "--days", 2, "--row-size", 1)
    assert [D(one["poc"]) for one in found["naked"]] == [
        one.poc for one in expected if one.touched_in is None
    ]
    assert [D(one["poc"]) for one in found["touched"]] == [one.poc for one in expected if one.touched_in]
    assert len(expected) == 1


def test_large_trades(stored: Path, trades: list[oracle.Trade]) -> None:
    middle = START_MS + 3 * MINUTE_MS
    prior = measures.orders(oracle.within(trades, 0, middle), merged=False)
    threshold = measures.quantile(prior, D("0.99"))
    orders = measures.orders(oracle.within(trades, middle, MIDNIGHT_MS), merged=False)
    large = [one for one in orders if threshold is not None and one.notional >= threshold]
    found = answer(stored, "large-trades", *between(middle, MIDNIGHT_MS))
    assert D(found["threshold"]) == threshold
    assert found["buy_count"] == sum(one.signed > 0 for one in large)
    assert found["sell_count"] == sum(one.signed < 0 for one in large)
    biggest = sorted((one.notional for one in large), reverse=True)[:50]
    assert sorted((D(one["notional"]) for one in found["trades"]), reverse=True) == biggest


# --- ranges finer than minutes ---


def test_ranges_finer_than_minutes_are_exact_from_raw_trades(
    stored: Path, trades: list[oracle.Trade]
) -> None:
    start, end = START_MS + 61_234, START_MS + 200_789
    found = answer(stored, "profile", *between(start, end), "--row-size", 10)
    held = oracle.within(trades, start, end)
    assert levels_in(found) == texts(oracle.levels(held, D(10)))
    assert rows_in(found) == oracle.traded_rows(held, D(10))


def test_they_are_refused_once_the_raw_trades_are_gone(stored: Path, tmp_path: Path, refusal: Any) -> None:
    trimmed = copied(stored, tmp_path)
    with sqlite3.connect(trimmed / "journal.sqlite3") as journal:
        journal.execute("DELETE FROM batches")
    window = between(START_MS + 61_234, START_MS + 200_789)
    said = refusal(*asked(trimmed, "profile", *window))
    assert "are no longer kept: ask for whole minutes" in said
    whole = between(START_MS + MINUTE_MS, START_MS + 2 * MINUTE_MS)
    assert answer(trimmed, "profile", *whole)["trades"] > 0


# --- recomputing ---


def copied(stored: Path, tmp_path: Path) -> Path:
    directory = tmp_path / "copy"
    shutil.copytree(stored, directory)
    return directory


def test_a_bar_that_was_changed_in_the_store_does_not_agree(stored: Path, tmp_path: Path) -> None:
    tampered = copied(stored, tmp_path)
    with sqlite3.connect(tampered / "warm.sqlite3") as store:
        number, packed = store.execute(
            "SELECT rowid, packed FROM bars ORDER BY start_time LIMIT 1"
        ).fetchone()
        changed = bars.decode(packed)
        price, (buy, *others) = next(iter(changed.rows.items()))
        changed.rows[price] = (buy + 5, *others)
        changed.delta += 5
        store.execute("UPDATE bars SET packed = ? WHERE rowid = ?", (bars.encode(changed), number))
    done = wadm(*asked(tampered, "profile", "--recompute"))
    assert done.returncode == 1, done.stdout[-300:]
    found = json.loads(done.stdout)
    assert found["recomputed"]["agrees"] is False
    assert {"volume", "buy_volume", "delta", "rows"} <= set(found["recomputed"]["differs"])
    assert "it differs in" in done.stderr
    assert "Traceback" not in done.stderr


# --- mistakes ---


@pytest.fixture
def refusal(capsys: pytest.CaptureFixture[str]) -> Any:
    """What the command line says when it refuses its arguments: exit 2, nothing on standard output."""

    def run(*arguments: str) -> str:
        try:
            status = main([*arguments])
        except SystemExit as error:
            status = int(error.code or 0)
        said = capsys.readouterr()
        assert (status, said.out) == (2, ""), said
        assert "Traceback" not in said.err
        return said.err

    return run


MISTAKES = {
    "a row size that is no multiple of the tick": (
        ["--row-size", "0.25"],
        "row_size is '0.25'; expected a positive multiple of the tick 0.1.",
    ),
    "a share of nothing": (
        ["--value-area", "0"],
        "value_area is '0'; expected a share of the volume above 0",
    ),
    "a share of more than all": (
        ["--value-area", "1.1"],
        "value_area is '1.1'; expected a share of the volume",
    ),
    "an end before its start": (
        ["--start", "2024-08-09T00:00:00Z", "--end", "2024-08-08T00:00:00Z"],
        "end is '2024-08-08T00:00:00Z'; expected a time after start (2024-08-09T00:00:00Z).",
    ),
    "a start alone": (["--start", "2024-08-09"], "end is missing; expected an ISO 8601 time"),
    "two windows": (["--timeframe", "1h", "--start", "2024-08-09"], "either timeframe or start and end"),
    "a timeframe there is none of": (["--timeframe", "2h"], "timeframe is '2h'; expected one of 1m, 5m, 15m"),
    "a session nowhere": (
        ["--session", "17:00@Chicago"],
        "session is '17:00@Chicago'; expected a time of day",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gets_one_sentence(stored: Path, refusal: Any, mistake: str) -> None:
    arguments, sentence = MISTAKES[mistake]
    said = refusal(*asked(stored, "profile", *arguments))
    assert said.startswith("wadm query: ")
    assert sentence in said
    assert said.count("\n") == 1


def test_a_process_prints_one_json_object(stored: Path) -> None:
    done = wadm(*asked(stored, "profile", "--row-size", 10, "--recompute"))
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == answer(stored, "profile", "--row-size", 10, "--recompute")


def test_a_process_prints_nothing_but_one_sentence_of_a_mistake(stored: Path) -> None:
    done = wadm(*asked(stored, "profile", "--row-size", "0.25"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "wadm query: row_size is '0.25'; expected a positive multiple of the tick 0.1.\n"


def test_an_unknown_symbol_is_told_which_there_are(stored: Path, refusal: Any) -> None:
    arguments = asked(stored, "profile")
    arguments[arguments.index("BTCUSDT")] = "BTCUSD"
    assert "symbol is 'BTCUSD'; expected one of BTCUSDT" in refusal(*arguments)


def test_a_directory_or_a_daemon_is_asked_but_not_both(stored: Path, refusal: Any) -> None:
    said = refusal(*asked(stored, "profile", "--url", "http://127.0.0.1:8920"))
    assert "not allowed with argument" in said.splitlines()[-1]


def test_a_range_without_data_says_so(stored: Path) -> None:
    for question in ("profile", "flow", "vwap", "nodes", "footprint", "developing", "large-trades"):
        window = ("--start", "2020-01-01T00:00:00Z", "--end", "2020-01-01T01:00:00Z")
        found = answer(stored, question, *window)
        assert (found["coverage"]["start"], found["coverage"]["end"]) == (None, None)
        assert not any(found.get(name) for name in ("poc", "vwap", "rows", "bars", "steps", "threshold"))
        assert found.get("volume", "0") == "0"
