"""Days are kept exactly, written once, read back, never written over what cannot be read."""

import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
from cold_samples import FIRST, FOREVER, NAME, SECOND, all_of, minutes, packed, path
from server_process import free_port
from storage_samples import bar

from actors.storage.cold.archive import Archive
from actors.storage.cold.objects import Objects, Unreachable
from actors.storage.errors import DiskFull, StorageError
from wadm.bar import Bar, merge
from wadm.market import DAY, MINUTE, IdKind, Trades

# --- keeping ---


def test_what_is_kept_is_found_again(archive, objects):
    bars = minutes(0, 1, 61, 1439)
    archive.keep(*NAME, FIRST, packed(bars))
    for reader in (archive, Archive(objects)):
        assert all_of(reader) == bars
        assert list(reader.bars(*NAME, FIRST + MINUTE, FIRST + 61 * MINUTE)) == bars[1:2]
        assert reader.extent(*NAME) == (FIRST, FIRST + DAY)
        assert reader.symbols() == [NAME]
        assert reader.unreadable(*NAME, 0, FOREVER) == []


def test_nothing_is_there_at_first(archive):
    assert (archive.symbols(), archive.extent(*NAME), all_of(archive)) == ([], None, [])
    assert archive.unreadable(*NAME, 0, FOREVER) == []
    assert not archive.has(*NAME, 0, FOREVER)


def test_of_a_bar_that_is_there_already_the_higher_revision_stays(archive, objects):
    archive.keep(*NAME, FIRST, packed(minutes(0, 1, revision=1)))
    archive.keep(*NAME, FIRST, packed([*minutes(0, 2, revision=0, quantity=9), *minutes(1, revision=2)]))
    wanted = [*minutes(0, revision=1), *minutes(1, revision=2), *minutes(2, quantity=9)]
    assert all_of(archive) == all_of(Archive(objects)) == wanted


def test_what_is_there_already_is_not_written_again(archive, objects, monkeypatch):
    archive.keep(*NAME, FIRST, packed(minutes(0, 1)))
    written = []
    monkeypatch.setattr(Objects, "write", lambda *given: written.append(given))
    archive.keep(*NAME, FIRST, packed(minutes(1)))
    assert written == []


def test_a_reader_sees_at_once_what_its_archive_keeps(archive):
    archive.keep(*NAME, FIRST, packed(minutes(0)))
    assert len(all_of(archive)) == 1
    archive.keep(*NAME, SECOND, packed(minutes(0, day=SECOND)))
    archive.keep(*NAME, FIRST, packed(minutes(5)))
    assert [one.start for one in all_of(archive)] == [FIRST, FIRST + 5 * MINUTE, SECOND]
    assert archive.has(*NAME, SECOND - 1, SECOND + 1)
    assert not archive.has(*NAME, SECOND + DAY, FOREVER)


def test_a_reader_sees_what_another_program_keeps_when_its_list_is_old(objects, archive, monkeypatch):
    assert all_of(archive) == []
    Archive(objects).keep(*NAME, FIRST, packed(minutes(0)))
    assert all_of(archive) == []
    monkeypatch.setattr("actors.storage.cold.catalogue.FRESH", 0.0)
    assert all_of(archive) == minutes(0)


def test_symbols_of_any_script_have_a_folder(archive, objects):
    name = "binance_usdm", "币安人生USDT"
    archive.keep(*name, FIRST, packed(minutes(0)))
    assert Archive(objects).symbols() == [name]
    assert list(Archive(objects).bars(*name, 0, FOREVER)) == minutes(0)


def test_a_bar_of_any_shape_comes_back_as_it_was(archive):
    late = Bar(FIRST + 2 * MINUTE, FIRST + 3 * MINUTE, revision=3, partial=True)
    late.fold(
        Trades(*NAME, IdKind.TRADE, 8, 18, ["b", "a"], [late.start + 5, late.start + 1],
               [2, 10**30], [10**40, -1], [1, 1])
    )  # fmt: skip
    bars = [Bar(FIRST, FIRST + MINUTE), bar(FIRST + MINUTE, quantity=10**25), late]
    archive.keep(*NAME, FIRST, packed(bars))
    assert all_of(archive) == bars


def test_bytes_that_come_back_otherwise_are_taken_back_and_the_day_is_not_kept(archive, objects, monkeypatch):
    archive.keep(*NAME, FIRST, packed(minutes(0)))
    before = objects.read(path())
    write = Objects.write

    def spoil(self, at, data, replaced):
        write(
            self, at, data[:-1] + b"\x00" if data.endswith(b"PAR1") and data != before[0] else data, replaced
        )

    monkeypatch.setattr(Objects, "write", spoil)
    for day in (FIRST, SECOND):
        with pytest.raises(StorageError, match=r"came back otherwise than it was written: check its disk"):
            archive.keep(*NAME, day, packed(minutes(1, day=day)))
    assert objects.read(path())[0] == before[0]
    assert objects.read(path("2024-08-09")) is None


def test_an_object_that_appears_meanwhile_is_not_written_over(archive, objects, monkeypatch):
    monkeypatch.setattr(Objects, "read", lambda *_: None)
    Objects.write(objects, path(), b"somebody else's", None)
    with pytest.raises(StorageError, match=r"was changed by another program meanwhile"):
        archive.keep(*NAME, FIRST, packed(minutes(0)))
    monkeypatch.undo()
    assert objects.read(path())[0] == b"somebody else's"


def test_on_a_server_a_version_that_changed_meanwhile_is_not_written_over(s3):
    objects = Objects(s3.url(s3.new_bucket()))
    objects.write("one", b"1", None)
    _, version = objects.read("one")
    objects.write("one", b"2", version)
    with pytest.raises(StorageError, match="was changed by another program meanwhile"):
        objects.write("one", b"3", version)
    assert objects.read("one")[0] == b"2"


def test_the_profile_of_a_day_is_that_of_its_bars(archive, objects, tmp_path):
    bars = minutes(0, 1, 2)
    archive.keep(*NAME, FIRST, packed(bars[:2]))
    archive.keep(*NAME, FIRST, packed(bars[2:]), Decimal("0.2"))
    file = tmp_path / "profile.parquet"
    file.write_bytes(objects.read(path(kind="profiles"))[0])
    (row,) = pq.read_table(file, partitioning=None).to_pylist()
    whole = merge(bars, FIRST, SECOND)
    assert row["volume"] == Decimal(whole.buy_volume + whole.sell_volume) / 1000 == Decimal("0.06")
    assert sum(node["volume"] for node in row["nodes"]) == row["volume"]
    assert [node["price"] for node in row["nodes"]] == [Decimal("61000"), Decimal("61000.2")]
    assert [(node["buy"], node["sell"], node["count"]) for node in row["nodes"]] == [
        (Decimal("0.015"), Decimal("0.03"), 9), (Decimal("0.015"), 0, 9),
    ]  # fmt: skip
    assert (row["poc"], row["row_size"], row["partial"]) == (Decimal(61000), Decimal("0.2"), False)


# --- what cannot be reached ---


def test_a_server_that_is_down_is_said_to_be(monkeypatch):
    url = f"s3://bucket/cold?endpoint=http://127.0.0.1:{free_port()}&access_key_id=a&secret_access_key=hidden"
    archive = Archive(Objects(url))
    with pytest.raises(
        Unreachable, match=r"s3://bucket/cold\S* cannot be used .*: check that its server runs"
    ):
        archive.keep(*NAME, FIRST, packed(minutes(0)))
    assert (all_of(archive), archive.symbols(), archive.extent(*NAME)) == ([], [], None)
    (told,) = archive.unreadable(*NAME, FIRST, SECOND)
    assert (told.start, told.end) == (FIRST, SECOND)
    assert "hidden" not in told.reason + repr(archive)
    assert "cannot be used" in told.reason


def test_a_server_that_is_down_is_not_asked_by_every_reader(monkeypatch):
    objects = Objects("s3://bucket/cold?endpoint=http://127.0.0.1:1&access_key_id=a&secret_access_key=b")
    with pytest.raises(Unreachable):
        objects.read("x")
    monkeypatch.setattr(Objects, "_open", None)
    with pytest.raises(Unreachable, match="check that its server runs"):
        objects.read("y")


def test_a_bucket_that_is_missing_is_named_and_found_once_it_is_made(s3, monkeypatch):
    monkeypatch.setattr("actors.storage.cold.objects.AVOIDED", 0.0)
    archive = Archive(Objects(s3.url("not-made-yet")))
    with pytest.raises(Unreachable, match="there is no bucket at s3://not-made-yet/cold: make it"):
        archive.keep(*NAME, FIRST, packed(minutes(0)))
    assert "there is no bucket" in archive.unreadable(*NAME, FIRST, SECOND)[0].reason
    s3.make("not-made-yet")
    archive.keep(*NAME, FIRST, packed(minutes(0)))
    assert archive.unreadable(*NAME, FIRST, SECOND) == []
    assert all_of(archive) == minutes(0)


def test_keys_that_are_refused_are_said_to_be_and_not_shown(s3):
    archive = Archive(Objects(s3.url(s3.new_bucket())))
    s3.refuse(refused=True)
    try:
        with pytest.raises(Unreachable, match=r"refuses access: .* a server's key and secret") as told:
            archive.keep(*NAME, FIRST, packed(minutes(0)))
    finally:
        s3.refuse(refused=False)
    assert "hidden" not in str(told.value)


def test_a_server_that_hangs_is_given_up(s3, monkeypatch):
    monkeypatch.setattr("actors.storage.cold.objects.QUIET", 0.1)
    objects = Objects(s3.url(s3.new_bucket()))
    objects.write("x", b"1", None)
    s3.server.signal(signal.SIGSTOP)
    try:
        with pytest.raises(Unreachable, match="check that its server runs"):
            objects.read("x")
    finally:
        s3.server.signal(signal.SIGCONT)
    objects.write("y", b"2", None)  # what is written may be read again
    assert objects.read("x")[0] == b"1"


def test_options_come_from_the_environment_too(s3, monkeypatch):
    bucket = s3.new_bucket()
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "someone")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    archive = Archive(Objects(f"s3://{bucket}"))
    archive.keep(*NAME, FIRST, packed(minutes(0)))
    assert all_of(Archive(Objects(s3.url(bucket, "")))) == minutes(0)


@pytest.mark.parametrize(
    "url",
    ["ftp://host/x", "s3:///prefix", "s3://key:hidden@bucket/x", "file://elsewhere/x", "http://h/b?k=hidden"],
)
def test_an_address_of_another_kind_is_refused_with_what_is_expected(url):
    with pytest.raises(
        StorageError, match=r"storage\.cold_url is .*expected a folder, file:///folder or s3:"
    ) as told:
        Objects(url)
    assert "hidden" not in str(told.value)


def test_an_option_that_s3_does_not_have_is_named_without_its_value():
    with pytest.raises(StorageError, match=r"s3://bucket has an option .*'colour'") as told:
        Objects("s3://bucket?colour=hidden").read("x")
    assert "hidden" not in str(told.value)


def test_a_folder_may_be_written_as_a_url(tmp_path):
    archive = Archive(Objects(f"file://{tmp_path}/with%20room"))
    archive.keep(*NAME, FIRST, packed(minutes(0)))
    assert (tmp_path / "with room" / path()).is_file()


def test_a_folder_that_cannot_be_made_is_said_to_be(tmp_path):
    (tmp_path / "cold").write_text("a file")
    archive = Archive(Objects(str(tmp_path / "cold")))
    with pytest.raises(Unreachable, match=r"cold/bars\S* cannot be used .*: check its disk"):
        archive.keep(*NAME, FIRST, packed(minutes(0)))


def test_what_a_writer_that_died_left_behind_is_cleared_away(local, tmp_path):
    left = tmp_path / "cold" / f"{path()}#1"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    local.keep(*NAME, FIRST, packed(minutes(0)))
    assert [one.name for one in left.parent.iterdir()] == ["bars.parquet"]


def test_a_full_disk_is_told_from_other_trouble(tmp_path):
    objects = Objects(str(tmp_path))
    found = objects._error(OSError(28, "No space left on device"), "/cold/x")
    assert isinstance(found, DiskFull)
    assert "no room left to write /cold/x: free space on its disk" in str(found)


# --- other programs ---


@pytest.fixture
def two_days(local):
    """Two days of one symbol and one of another; the folder, and the bars by symbol."""
    bars = [*minutes(*range(120)), *minutes(*range(60), day=SECOND, quantity=123_456_789)]
    local.keep(*NAME, FIRST, packed(bars[:120]))
    local.keep(*NAME, SECOND, packed(bars[120:]))
    local.keep("bybit", "ETHUSDT", FIRST, packed(minutes(3)))
    return Path(local.objects.address), bars


def total(bars, side):
    return Decimal(sum(getattr(one, side) for one in bars)) / 1000


def test_pandas_reads_it(two_days):
    folder, bars = two_days
    frame = pd.read_parquet(folder / "bars", filters=[("exchange", "=", NAME[0])])
    assert (len(frame), set(frame["symbol"])) == (180, {"BTCUSDT"})
    assert frame["volume"].sum() == total(bars, "buy_volume") + total(bars, "sell_volume")
    assert str(frame["start_time"].dtype) == "datetime64[us, UTC]"
    assert frame["start_time"].min() == pd.Timestamp("2024-08-08", tz="UTC")
    assert sum(row["buy"] for rows in frame["rows"] for row in rows) == total(bars, "buy_volume")


def test_polars_reads_it(two_days):
    folder, bars = two_days
    lazy = pl.scan_parquet(folder / "bars/**/*.parquet", hive_partitioning=True)
    one = lazy.filter(symbol="BTCUSDT", exchange=NAME[0]).collect()
    assert one["date"].cast(pl.String).unique().sort().to_list() == ["2024-08-08", "2024-08-09"]
    assert one["sell_volume"].sum() == total(bars, "sell_volume")
    rows = one.explode("rows").unnest("rows")
    assert rows["buy"].sum() == total(bars, "buy_volume")
    assert rows["sell"].sum() == total(bars, "sell_volume")
    assert rows["sell_count"].sum() == sum(one.sell_trades for one in bars)
    assert one["start_time"].dtype == pl.Datetime("us", "UTC")
    assert lazy.collect().height == 181


def test_duckdb_reads_it(two_days):
    folder, bars = two_days
    with duckdb.connect() as db:
        files = f"read_parquet('{folder}/bars/**/*.parquet', hive_partitioning = true)"
        found = db.execute(
            f"SELECT CAST(date AS VARCHAR), count(*), sum(volume), min(open), max(high), sum(trades) "
            f"FROM {files} WHERE exchange = ? AND symbol = ? GROUP BY date ORDER BY date", NAME
        ).fetchall()  # fmt: skip
        rows = db.execute(
            f"SELECT sum(r.buy), sum(r.sell) FROM (SELECT unnest(rows) AS r FROM {files} WHERE exchange = ?)",
            NAME[:1],
        ).fetchone()
        profile = db.execute(
            "SELECT sum(n.volume), min(poc) FROM (SELECT unnest(nodes) AS n, poc FROM "
            f"read_parquet('{folder}/profiles/**/*.parquet', hive_partitioning = true) WHERE exchange = ?)",
            NAME[:1],
        ).fetchone()
    days = [bars[:120], bars[120:]]
    assert [(date, count) for date, count, *_ in found] == [("2024-08-08", 120), ("2024-08-09", 60)]
    assert [row[2] for row in found] == [total(one, "buy_volume") + total(one, "sell_volume") for one in days]
    assert {row[3:5] for row in found} == {(Decimal(61000), Decimal("61000.2"))}
    assert [row[5] for row in found] == [720, 360]
    assert rows == (total(bars, "buy_volume"), total(bars, "sell_volume"))
    assert profile == (sum(row[2] for row in found), Decimal("61000.1"))


def test_a_folder_that_was_never_archived_costs_no_library(tmp_path):
    """Start-up and queries of a young data directory load neither pyarrow nor obstore."""
    code = (
        "import sys; from pathlib import Path; from actors.storage.opening import open_archive;"
        "from wadm.sections import StorageSettings;"
        f"a = open_archive(StorageSettings(), Path({str(tmp_path)!r}));"
        "assert (a.symbols(), a.extent('a', 'b'), list(a.bars('a', 'b', 0, 9))) == ([], None, []);"
        "sys.exit(bool({'pyarrow', 'obstore'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_password_in_an_endpoint_is_not_repeated():
    keys = "region=r&access_key_id=x&secret_access_key=y"
    objects = Objects(f"s3://bucket/prefix?{keys}&endpoint=http://user:hidden@127.0.0.1:{free_port()}")
    with pytest.raises(Unreachable, match="check that its server runs") as told:
        objects.read("x")
    assert "hidden" not in str(told.value)
