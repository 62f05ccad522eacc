"""What is exported comes back whole: exact numbers, the same answers, nothing twice, nothing half."""

import csv
import io
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import stored_market
from stored_market import BTC, ETH, MINUTES, PER_MINUTE, START, STREAMS

from actors.messages import BarRecord
from actors.storage.carrying import carry_over
from actors.storage.cold.held import held
from actors.storage.engines import embedded_url
from actors.storage.errors import DiskFull
from actors.storage.journal import Journal
from actors.storage.journal_view import FILE_NAME, JournalView
from actors.storage.lock import DirectoryLock
from actors.storage.opening import open_archive
from actors.storage.reader import DataReader
from actors.storage.recount import recounted
from actors.storage.sql import SqlStore
from actors.storage.transfer.selection import FOREVER
from wadm.bar import Bar
from wadm.instants import iso
from wadm.market import DAY, MINUTE
from wadm.sections import StorageSettings

FORMATS = ("csv", "parquet")
KINDS = ("trades", "bars", "profiles", "order_flow", "gaps", "books")
Wadm = Callable[..., Any]


def last_seq(directory: Path) -> int:
    if not (directory / FILE_NAME).is_file():
        return 0
    with closing(JournalView(directory)) as view:
        return view.last_seq()


def answers(wadm: Wadm, directory: Path) -> list[object]:
    found = []
    for exchange, symbol in STREAMS:
        for question in ("profile", "flow", "large-trades"):
            window = ("--start", iso(START), "--end", iso(START + MINUTES * MINUTE))
            named = ("--exchange", exchange, "--symbol", symbol, "--json")
            answer = wadm("query", question, "--data-dir", directory, *named, *window).json
            answer["coverage"].pop("gaps")
            answer.pop("gaps")
            found.append(answer)
    return found


# --- there and back ---


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("kind", ["trades", "bars"])
def test_what_is_imported_gives_the_answers_of_what_was_exported(
    wadm: Wadm, stored: Path, tmp_path: Path, kind: str, ending: str
) -> None:
    file, fresh = tmp_path / f"all.{ending}", tmp_path / "fresh"
    said = wadm("export", kind, file, "--data-dir", stored)
    assert said.err.count("\n") == len(STREAMS)
    wadm("import", file, "--data-dir", fresh)
    expected, found = answers(wadm, stored), answers(wadm, fresh)
    if kind == "bars":  # single trades are not among them, and only trades tell of the large ones one by one
        expected, found = expected[:2] + expected[3:5], found[:2] + found[3:5]
    assert found == expected
    assert any(one["trades"] for one in found if "trades" in one)


@pytest.mark.parametrize("ending", FORMATS)
def test_every_kind_comes_back_as_it_was(wadm: Wadm, stored: Path, tmp_path: Path, ending: str) -> None:
    files = [tmp_path / f"{kind}.{ending}" for kind in KINDS]
    for kind, file in zip(KINDS, files, strict=True):
        wadm("export", kind, file, "--data-dir", stored)
    wadm("import", *files, "--data-dir", tmp_path / "fresh")
    for kind in KINDS:
        before = wadm("export", kind, "-", "--data-dir", stored)
        after = wadm("export", kind, "-", "--data-dir", tmp_path / "fresh")
        assert sorted(after.splitlines()) == sorted(before.splitlines())
        assert before.count("\n") > len(STREAMS)


def test_an_import_done_again_changes_nothing(wadm: Wadm, stored: Path, tmp_path: Path) -> None:
    files = [tmp_path / f"{kind}.csv" for kind in KINDS]
    for kind, file in zip(KINDS, files, strict=True):
        wadm("export", kind, file, "--data-dir", stored)
    fresh = tmp_path / "fresh"
    wadm("import", *files, "--data-dir", fresh)
    before = last_seq(fresh)
    said = wadm("import", *files, "--data-dir", fresh)
    assert re.findall(r", (\d+) of them new", said) == ["0"] * len(KINDS)
    assert last_seq(fresh) == before
    said = wadm("import", *files, "--data-dir", stored)
    assert re.findall(r", (\d+) of them new", said) == ["0"] * len(KINDS)


def test_overlapping_parts_make_one_whole(wadm: Wadm, stored: Path, tmp_path: Path) -> None:
    """A part that ends within a minute makes a bar, which the other part makes whole: a revision of it."""
    middle = iso(START + MINUTE + MINUTE // 2)
    wadm("export", "trades", "first.csv", "--data-dir", stored, "--end", middle)
    wadm("export", "trades", "second.parquet", "--data-dir", stored, "--start", iso(START + MINUTE))
    fresh = tmp_path / "fresh"
    for file in ("first.csv", "second.parquet"):
        said = wadm("import", file, "--data-dir", fresh)
        assert re.search(r"[1-9]\d* bars made of the trades", said)
    assert answers(wadm, fresh) == answers(wadm, stored)
    reader = DataReader.open(fresh)
    try:
        assert [bar.revision for bar in reader.bars(*BTC, START, START + MINUTES * MINUTE)] == [0, 1, 0, 0]
    finally:
        reader.close()


def test_a_bar_that_knows_of_more_than_is_imported_stays(wadm: Wadm, stored: Path, tmp_path: Path) -> None:
    wadm("export", "trades", "half.csv", "--data-dir", stored, "--end", iso(START + MINUTE // 2))
    wadm("export", "bars", "bars.csv", "--data-dir", stored)
    fresh = tmp_path / "fresh"
    wadm("import", "bars.csv", "--data-dir", fresh)
    assert "0 bars made of the trades" in wadm("import", "half.csv", "--data-dir", fresh)
    assert wadm("export", "bars", "-", "--data-dir", fresh) == wadm(
        "export", "bars", "-", "--data-dir", stored
    )


def test_a_bar_in_the_cold_tier_that_knows_of_more_stays_too(
    wadm: Wadm, refused: Wadm, stored: Path, tmp_path: Path
) -> None:
    wadm("export", "trades", "half.csv", "--data-dir", stored, "--end", iso(START + MINUTE // 2))
    bars = wadm("export", "bars", "-", "--data-dir", stored)
    fresh, day = tmp_path / "fresh", START - START % DAY
    reader = DataReader.open(stored)
    try:
        for stream in STREAMS:
            known = {bar.start: held(bar) for bar in reader.bars(*stream, 0, FOREVER)}
            open_archive(StorageSettings(), fresh).keep(*stream, day, known)
    finally:
        reader.close()
    files = sorted((fresh / "cold").glob("bars/**/*.parquet"))
    whole = files[0].read_bytes()
    files[0].write_bytes(whole[:-20])
    assert f"{files[0]} is damaged" in wadm("import", "half.csv", "--data-dir", fresh, status=2).err
    files[0].write_bytes(whole)
    assert "0 bars made of the trades" in wadm("import", "half.csv", "--data-dir", fresh)
    assert wadm("export", "bars", "-", "--data-dir", fresh) == bars


def test_what_is_imported_after_a_journal_was_put_back_reaches_the_store(
    wadm: Wadm, stored: Path, tmp_path: Path
) -> None:
    fresh = tmp_path / "fresh"
    wadm("export", "bars", "bars.csv", "--data-dir", stored)
    wadm("storage", "init", "--data-dir", fresh)
    with (
        closing(JournalView(fresh)) as view,
        closing(SqlStore(embedded_url(fresh), view.identity())) as store,
    ):
        store.apply([], 1_000_000)  # of which this journal knows nothing any more
    wadm("import", "bars.csv", "--data-dir", fresh)
    with (
        closing(JournalView(fresh)) as view,
        closing(SqlStore(embedded_url(fresh), view.identity(), read_only=True)) as store,
    ):
        assert len(store.bars(*BTC, 0, FOREVER)) == MINUTES


def test_an_import_that_was_killed_before_the_bars_were_made_is_begun_anew(
    wadm: Wadm, stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wadm("export", "trades", "trades.csv", "--data-dir", stored)
    fresh = tmp_path / "fresh"

    def killed(*_: object) -> None:
        raise DiskFull("no room left")

    with monkeypatch.context() as patched:
        patched.setattr("actors.storage.transfer.intake.Intake.make_bars", killed)
        wadm("import", "trades.csv", "--data-dir", fresh, status=2)
    assert f"{2 * MINUTES} bars made of the trades" in wadm("import", "trades.csv", "--data-dir", fresh)
    assert answers(wadm, fresh) == answers(wadm, stored)


def test_what_is_imported_is_new_to_the_lifetimes(wadm: Wadm, stored: Path, tmp_path: Path) -> None:
    wadm("export", "trades", "trades.csv", "--data-dir", stored)
    wadm("import", "trades.csv", "--data-dir", tmp_path / "fresh")
    journal = Journal(tmp_path / "fresh")
    try:
        hour_ago = journal.clock() - 60 * MINUTE
        assert journal.trim(hour_ago, journal.last_seq()) == 0
    finally:
        journal.close()


# --- what is in the files ---


def test_numbers_and_times_are_exact_in_both_formats(wadm: Wadm, stored: Path) -> None:
    trades = stored_market.trades_of(BTC)
    named = ("--exchange", BTC[0], "--symbol", BTC[1], "--data-dir", stored)
    wadm("export", "trades", "trades.parquet", *named)
    table = pq.read_table("trades.parquet")
    assert table.schema.field("price").type == pa.decimal128(38, 18)
    assert table.schema.field("time").type == pa.timestamp("us", tz="UTC")
    assert table["price"].to_pylist() == [Decimal(price) / 100 for price in trades.prices]
    assert table["time"].cast(pa.int64()).to_pylist() == list(trades.times)
    rows = list(csv.DictReader(io.StringIO(wadm("export", "trades", "-", *named))))
    assert [int(row["trade_id"]) for row in rows] == list(trades.ids)
    for row, time, price, signed in zip(
        rows, trades.times, trades.prices, trades.signed_quantities, strict=True
    ):
        assert Decimal(row["price"]) == Decimal(price) / 100
        assert Decimal(row["quantity"]) == Decimal(abs(signed)) / 100_000
        assert row["side"] == ("buy" if signed > 0 else "sell")
        assert datetime.fromisoformat(row["time"]) == datetime.fromtimestamp(time // 1_000_000, UTC).replace(
            microsecond=time % 1_000_000
        )
        assert "E" not in row["price"]


def test_a_range_of_one_symbol(wadm: Wadm, stored: Path) -> None:
    trades = stored_market.trades_of(ETH)
    start, end = trades.times[50], trades.times[150]
    said = wadm(
        "export", "trades", "-", "--data-dir", stored, "--symbol", "ETHUSDT",
        "--start", iso(start), "--end", iso(end),
    )  # fmt: skip
    found = [row["trade_id"] for row in csv.DictReader(io.StringIO(said))]
    assert sorted(found) == sorted(
        trade_id for trade_id, time in zip(trades.ids, trades.times, strict=True) if start <= time < end
    )
    assert f"bybit:ETHUSDT: {len(found)} trades, " in said.err


def test_a_folder_gets_a_file_for_each_symbol(wadm: Wadm, stored: Path, tmp_path: Path) -> None:
    wadm("export", "bars", f"{tmp_path}/out/", "--data-dir", stored)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["bars-binance-BTCUSDT.parquet", "bars-bybit-ETHUSDT.parquet"]
    assert [pq.read_table(tmp_path / "out" / name).num_rows for name in names] == [MINUTES, MINUTES]


def test_gaps_are_told_with_what_is_exported(wadm: Wadm, stored: Path) -> None:
    said = wadm("export", "trades", "trades.csv", "--data-dir", stored)
    assert "1 gaps in it (wadm export gaps tells them)" in said.err
    gaps = list(csv.DictReader(io.StringIO(wadm("export", "gaps", "-", "--data-dir", stored))))
    assert [(gap["id_kind"], gap["state"]) for gap in gaps] == [
        ("agg_trade", "unfillable"),
        ("time", "unfillable"),
    ]


def test_trades_that_are_no_longer_kept_are_told_of(wadm: Wadm, stored: Path) -> None:
    journal = Journal(stored, clock=lambda: 1 << 60)
    store = SqlStore(embedded_url(stored), journal.identity())
    try:
        carry_over(journal, store)
        journal.append(stored_market.batches(stored_market.trades_of(BTC, 1, START + MINUTE * 9), 9, 200))
        journal.trim(1 << 59, journal.last_seq())
    finally:
        store.close()
        journal.close()
    said = wadm("export", "trades", "-", "--data-dir", stored, "--exchange", "binance")
    assert said.count("\n") == PER_MINUTE + 1
    assert "single trades before 2024-08-09T00:04:0" in said.err
    said = wadm("export", "trades", "-", "--data-dir", stored, "--exchange", "bybit", status=1)
    assert "bybit:ETHUSDT: no trades in this range; single trades before " in said.err


def test_days_of_the_cold_tier_are_exported_and_one_that_cannot_be_read_is_told_of(
    wadm: Wadm, stored: Path
) -> None:
    reader, day = DataReader.open(stored), START - START % DAY
    try:
        known = {bar.start: held(bar) for bar in reader.bars(*BTC, 0, FOREVER)}
    finally:
        reader.close()
    earlier = bar_at(day - DAY)
    open_archive(StorageSettings(), stored).keep(*BTC, day, known)
    open_archive(StorageSettings(), stored).keep(*BTC, day - DAY, {earlier.start: held(earlier)})
    named = ("--exchange", "binance", "--data-dir", stored)
    assert wadm("export", "bars", "-", *named).count("\n") == 1 + 1 + MINUTES
    file = next((stored / "cold").glob("bars/**/date=2024-08-07/*"))
    file.write_bytes(file.read_bytes()[:-20])
    said = wadm("export", "bars", "-", *named, status=1)
    assert said.count("\n") == 1 + MINUTES
    assert f"{file} is damaged" in said.err


def bar_at(start: int) -> Bar:
    bar = Bar(start, start + MINUTE)
    bar.fold(stored_market.trades_of(BTC, 1, start))
    bar.settle()
    return bar


def test_another_store_is_used_by_every_command(
    wadm: Wadm, stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What only the configured store has is found there: the journal has let it go."""
    wadm("export", "bars", "bars.csv", "--data-dir", stored)
    monkeypatch.setenv("DB_URL", f"sqlite:///{tmp_path}/elsewhere.sqlite3")
    wadm("import", "bars.csv", "--data-dir", "fresh")
    with closing(sqlite3.connect(tmp_path / "fresh" / FILE_NAME)) as journal, journal:
        journal.execute("DELETE FROM records")
    assert not (tmp_path / "fresh" / "warm.sqlite3").exists()
    assert wadm("export", "bars", "-", "--data-dir", "fresh") == (tmp_path / "bars.csv").read_text()
    named = ("--exchange", "bybit", "--symbol", "ETHUSDT", "--json")
    found = wadm("query", "profile", "--data-dir", "fresh", *named).json
    assert found["trades"] == MINUTES * PER_MINUTE


def test_many_rows_are_written_in_groups(wadm: Wadm, stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.storage.transfer.parquet_file.GROUP", 100)
    wadm("export", "trades", "trades.parquet", "--data-dir", stored)
    rows = len(STREAMS) * MINUTES * PER_MINUTE
    file = pq.ParquetFile("trades.parquet")
    assert (file.metadata.num_rows, file.metadata.num_row_groups) == (rows, -(-rows // 100))
    file.close()


# --- files that are there, or cannot be ---


def test_nothing_is_replaced_unasked(wadm: Wadm, refused: Wadm, stored: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("precious")
    said = refused("export", "trades", "mine.csv", "--data-dir", stored)
    assert "mine.csv is there already: give --force to replace it" in said
    assert (tmp_path / "mine.csv").read_text() == "precious"
    wadm("export", "trades", "mine.csv", "--data-dir", stored, "--force")
    assert (tmp_path / "mine.csv").read_text().startswith("exchange,")
    assert list(tmp_path.glob("*.part")) == []


def test_an_export_that_fails_leaves_nothing(
    refused: Wadm, stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("actors.storage.transfer.export.os.fsync", full)
    assert "no room left to write trades.csv" in refused(
        "export", "trades", "trades.csv", "--data-dir", stored
    )
    assert [path.name for path in tmp_path.iterdir()] == ["stored"]


EXPORTS = {
    "a symbol of which there is nothing": (
        ["x.csv", "--symbol", "XRPUSDT"],
        "nothing is stored of any exchange:XRPUSDT; what is stored: binance:BTCUSDT, bybit:ETHUSDT",
    ),
    "a time that is none": (["x.csv", "--start", "noon"], "--start is 'noon'; expected an ISO 8601 time"),
    "an end before its start": (
        ["x.csv", "--start", "2024-08-09", "--end", "2024-08-08"],
        "--end is '2024-08-08'; expected a time after --start",
    ),
    "a name that says no format": (["x.xlsx"], "x.xlsx ends neither in .parquet nor in .csv: give --format"),
    "Parquet to the terminal": (["-", "--format", "parquet"], "Parquet cannot be written to the standard"),
    "a folder below a file": (["stored/journal.sqlite3/x.csv"], "cannot be written"),
}


@pytest.mark.parametrize("mistake", EXPORTS)
def test_a_mistake_in_an_export_gets_one_sentence(refused: Wadm, stored: Path, mistake: str) -> None:
    arguments, sentence = EXPORTS[mistake]
    assert sentence in refused("export", "trades", *arguments, "--data-dir", stored)


def test_a_directory_without_data_is_named(refused: Wadm, tmp_path: Path) -> None:
    said = refused("export", "bars", "-", "--data-dir", tmp_path)
    assert f"{tmp_path} holds no data of wadm" in said


# --- files that cannot be imported ---


def changed(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


def line(text: str, number: int, change: Callable[[list[str]], list[str]]) -> str:
    rows = list(csv.reader(io.StringIO(text)))
    rows[number - 1] = change(rows[number - 1])
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


def with_cell(place: int, value: str) -> Callable[[list[str]], list[str]]:
    return lambda row: [*row[:place], value, *row[place + 1 :]]


SPOILT: dict[str, tuple[str, Callable[[str], str], str]] = {
    "another program's": ("trades", lambda _: "a,b,c\n1,2,3\n", "holds no table of `wadm export`"),
    "nothing": ("trades", lambda _: "", "its columns are none"),
    "a column less": (
        "trades",
        lambda text: changed(text, ",side,", ",direction,"),
        "looks like trades but has no column side and has direction",
    ),
    "columns turned round": (
        "trades",
        lambda text: changed(text, "exchange,symbol,", "symbol,exchange,"),
        "looks like trades but has its columns in another order",
    ),
    "a cell less": (
        "trades",
        lambda text: line(text, 5, lambda row: row[:-1]),
        "line 5 has 10 cells; expected 11",
    ),
    "cut off": ("trades", lambda text: text[:-4], "ends in the middle of a line: it was cut off"),
    "a price in words": (
        "trades",
        lambda text: line(text, 7, with_cell(5, "6.1e4")),
        "line 7: price is '6.1e4'; expected a plain decimal number",
    ),
    "a price below nothing": (
        "trades",
        lambda text: line(text, 7, with_cell(5, "-1")),
        "line 7: price is not above 0",
    ),
    "a time that is none": (
        "trades",
        lambda text: line(text, 7, with_cell(4, "yesterday")),
        "line 7: time is 'yesterday'; expected an ISO 8601 time in UTC",
    ),
    "a side that is none": (
        "trades",
        lambda text: line(text, 7, with_cell(7, "up")),
        "side is 'up'; expected buy or sell",
    ),
    "an id that is no number": (
        "trades",
        lambda text: line(text, 7, with_cell(3, "abc")),
        "trade_id is 'abc'; this exchange counts them: expected a number",
    ),
    "an exchange that is not known": (
        "trades",
        lambda text: line(text, 7, with_cell(0, "kraken")),
        "exchange is 'kraken'; expected one of binance",
    ),
    "a symbol that is none": (
        "trades",
        lambda text: line(text, 7, with_cell(1, "../x")),
        "symbol is '../x'; expected a name",
    ),
    "finer than it says": (
        "trades",
        lambda text: line(text, 7, with_cell(9, "0")),
        "more than the 0 decimals",
    ),
    "a bar whose volume was changed": (
        "bars",
        lambda text: line(text, 3, with_cell(8, "1")),
        "line 3: volume does not agree with the rest of its row",
    ),
    "a bar that is none": (
        "bars",
        lambda text: line(text, 3, with_cell(-1 + 17, "AAAA")),
        "line 3: packed holds no bar",
    ),
    "a footprint that is none": (
        "bars",
        lambda text: line(text, 3, with_cell(15, "[[1]]")),
        "line 3: rows is",
    ),
    "a window that is none": (
        "profiles",
        lambda text: line(text, 2, with_cell(2, "7m")),
        "timeframe is '7m'; expected one of",
    ),
    "a delta that was changed": (
        "order_flow",
        lambda text: line(text, 2, with_cell(13, "")),
        "line 2: session_start is ''; expected an ISO 8601 time",
    ),
    "a gap in no state": (
        "gaps",
        lambda text: line(text, 2, with_cell(6, "shut")),
        "state is 'shut'; expected one of open",
    ),
}


@pytest.mark.parametrize("fault", SPOILT)
def test_a_file_that_was_spoilt_is_named_and_nothing_of_it_stored(
    wadm: Wadm, refused: Wadm, stored: Path, tmp_path: Path, fault: str
) -> None:
    kind, spoil, sentence = SPOILT[fault]
    text = wadm("export", kind, "-", "--data-dir", stored)
    (tmp_path / "good.csv").write_text(text)
    (tmp_path / "spoilt.csv").write_text(spoil(text))
    fresh = tmp_path / "fresh"
    said = refused("import", "good.csv", "spoilt.csv", "--data-dir", fresh)
    assert "spoilt.csv" in said
    assert sentence in said
    assert not fresh.exists()


def test_bytes_that_are_no_text_are_named(refused: Wadm, tmp_path: Path) -> None:
    (tmp_path / "noise.csv").write_bytes(b"\xff\xfe\x00")
    assert "noise.csv is neither Parquet nor CSV in UTF-8" in refused(
        "import", "noise.csv", "--data-dir", "fresh"
    )
    assert "absent.csv cannot be read: No such file" in refused("import", "absent.csv", "--data-dir", "fresh")
    assert f"{tmp_path} cannot be read: is a folder" in refused("import", tmp_path, "--data-dir", "fresh")


def test_a_parquet_file_that_was_cut_off_or_retyped_is_named(
    wadm: Wadm, refused: Wadm, stored: Path, tmp_path: Path
) -> None:
    wadm("export", "trades", "trades.parquet", "--data-dir", stored)
    whole = (tmp_path / "trades.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    said = refused("import", "cut.parquet", "--data-dir", "fresh")
    assert "cut.parquet is not a whole Parquet file" in said
    table = pq.read_table("trades.parquet")
    place = table.schema.get_field_index("price")
    floats = table.set_column(place, "price", table["price"].cast(pa.float64()))
    pq.write_table(floats, "floats.parquet")
    said = refused("import", "floats.parquet", "--data-dir", "fresh")
    assert "column price is of type double; expected decimal128(38, 18)" in said
    middle = bytearray(whole)
    middle[200:400] = bytes(200)
    (tmp_path / "holes.parquet").write_bytes(middle)
    assert "holes.parquet" in refused("import", "holes.parquet", "--data-dir", "fresh")
    assert not (tmp_path / "fresh").exists()


def test_a_file_that_pandas_wrote_again_is_as_good(wadm: Wadm, stored: Path, tmp_path: Path) -> None:
    wadm("export", "trades", "trades.parquet", "--data-dir", stored)
    pq.write_table(pq.read_table("trades.parquet").replace_schema_metadata({}), "again.parquet")
    wadm("import", "again.parquet", "--data-dir", "fresh")
    assert answers(wadm, tmp_path / "fresh") == answers(wadm, stored)


def test_levels_are_not_imported(wadm: Wadm, refused: Wadm, stored: Path) -> None:
    wadm("export", "levels", "levels.csv", "--data-dir", stored, status=1)
    assert "levels.csv holds levels, which are made anew" in refused(
        "import", "levels.csv", "--data-dir", "fresh"
    )


def test_no_import_beside_a_daemon(wadm: Wadm, refused: Wadm, stored: Path) -> None:
    wadm("export", "trades", "trades.csv", "--data-dir", stored)
    with DirectoryLock(stored):
        said = refused("import", "trades.csv", "--data-dir", stored)
    assert "is in use by process" in said


def test_a_disk_that_fills_up_says_how_far_it_came_and_the_rest_follows(
    wadm: Wadm, refused: Wadm, stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wadm("export", "bars", "bars.csv", "--data-dir", stored)
    monkeypatch.setattr("actors.storage.transfer.intake.RUN", 3)
    append, calls = Journal.append, []

    def full(journal: Journal, entries: list[BarRecord]) -> int:
        calls.append(entries)
        if len(calls) == 2:
            raise DiskFull("no room left")
        return append(journal, entries)

    monkeypatch.setattr(Journal, "append", full)
    said = refused("import", "bars.csv", "--data-dir", "fresh")
    assert "bars.csv was imported as far as its row 3, then no room left; import it again" in said
    said = wadm("import", "bars.csv", "--data-dir", "fresh")
    assert f"{2 * MINUTES} bars, {2 * MINUTES - 3} of them new" in said
    assert wadm("export", "bars", "-", "--data-dir", "fresh") == wadm(
        "export", "bars", "-", "--data-dir", stored
    )


def test_a_bar_counted_again_is_the_bar(stored: Path) -> None:
    with closing(JournalView(stored)) as view:
        for stream in STREAMS:
            for bar in view.bars(*stream, START, START + MINUTES * MINUTE):
                again = recounted(view, *stream, bar.start)
                again.partial = bar.partial
                assert again == bar
