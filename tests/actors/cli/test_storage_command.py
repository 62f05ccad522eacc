"""``wadm storage`` tells what there is and what is wrong, finds what was changed, copies what is whole."""

import json
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pymongo
import pytest
import stored_market
from stored_market import BTC, ETH, MINUTES, START, STREAMS

from actors.following import followed
from actors.messages import BarRecord
from actors.storage import backup, engines
from actors.storage.carrying import carry_over
from actors.storage.cold.held import held
from actors.storage.engines import embedded_url
from actors.storage.journal import Journal
from actors.storage.journal_view import JournalView
from actors.storage.lock import DirectoryLock
from actors.storage.opening import open_archive
from actors.storage.reader import DataReader
from actors.storage.sql import SqlStore
from actors.storage.tier_log import Loss
from wadm import bar as bars
from wadm.bar import Bar
from wadm.instants import iso
from wadm.market import DAY, MINUTE
from wadm.sections import StorageSettings
from wadm.selected import Selected

sys.path.insert(0, str(Path(__file__).parents[1] / "storage"))
import sql_schema_1

Wadm = Callable[..., Any]
END = START + MINUTES * MINUTE

#: How SQLite lays a file out: the size of a page, and the first byte of one that holds an index's entries.
PAGE = 4096
LEAF_OF_INDEX = 0x0A


@contextmanager
def store_of(directory: Path) -> Iterator[tuple[Journal, SqlStore]]:
    journal = Journal(directory)
    store = SqlStore(embedded_url(directory), journal.identity())
    try:
        yield journal, store
    finally:
        store.close()
        journal.close()


def carried(directory: Path) -> Path:
    with store_of(directory) as (journal, store):
        carry_over(journal, store)
    return directory


def bars_in(directory: Path, stream: tuple[str, str] = BTC) -> list[Bar]:
    reader = DataReader.open(directory)
    try:
        return reader.bars(*stream, 0, 1 << 62)
    finally:
        reader.close()


# --- status ---


def test_status_tells_what_every_tier_holds(wadm: Wadm, stored: Path) -> None:
    found = wadm("storage", "status", "--data-dir", stored, "--json").json
    journal, warm = found["journal"], found["tiers"]["warm"]
    assert found["problems"] == []
    assert journal["entries"]["bar"] == len(STREAMS) * MINUTES
    assert [one["symbol"] for one in journal["symbols"]] == ["BTCUSDT", "ETHUSDT"]
    assert journal["symbols"][0]["bars"] == [iso(START), iso(END)]
    assert (warm["engine"], warm["reachable"]) == ("sqlite", True)
    assert warm["schema"]["found"] == warm["schema"]["expected"]
    assert 0 < warm["lag"] == journal["last_seq"] - warm["cursor"]
    assert warm["symbols"] == [{"exchange": "binance", "symbol": "BTCUSDT", "bars": [iso(START), iso(END)]}]
    assert found["tiers"]["cold"]["symbols"] == []
    assert found["lifetimes"] == {"raw_minutes": 60, "bars_days": 7, "indicators_days": 30}
    said = wadm("storage", "status", "--data-dir", stored)
    assert f"{warm['lag']} journal entries behind" in said
    assert "wrong" not in said


def test_status_writes_nothing(wadm: Wadm, stored: Path, tmp_path: Path) -> None:
    before = sorted(path.name for path in stored.iterdir())
    (stored / engines.EMBEDDED).unlink()
    found = wadm("storage", "status", "--data-dir", stored, "--json").json
    assert found["tiers"]["warm"]["schema"]["found"] is None
    assert {path.name.partition("-")[0] for path in stored.iterdir()} == {*before} - {engines.EMBEDDED}
    said = wadm("storage", "status", "--data-dir", tmp_path / "absent", status=1)
    assert "wrong    " in said
    assert "`wadm run` or `wadm storage init` makes it" in said
    assert not (tmp_path / "absent").exists()


def test_a_store_out_of_reach_is_a_problem_without_its_password(
    wadm: Wadm, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_URL", "postgresql+psycopg2://someone:hunter2@127.0.0.1:1/wadm")
    said = wadm("storage", "status", "--data-dir", stored, status=1)
    assert "warm     postgresql at " in said
    assert "cannot be reached" in said
    assert "wrong    " in said
    assert "hunter2" not in said
    assert "hunter2" not in wadm("storage", "status", "--data-dir", stored, "--json", status=1)


def test_a_store_ahead_of_its_journal_and_losses_are_problems(wadm: Wadm, stored: Path) -> None:
    with store_of(stored) as (journal, store):
        store.apply([], journal.last_seq() + 5)
        journal.note_loss(Loss("redis at elsewhere", 3, 9, START, END, 60, 0, END))
    for command in ("status", "verify"):
        said = wadm("storage", command, "--data-dir", stored, status=1)
        assert "is ahead of the journal" in said
        assert "redis at elsewhere never got the entries 3 to 9" in said
    (loss,) = wadm("storage", "status", "--data-dir", stored, "--json", status=1).json["losses"]
    assert (loss["target"], loss["trades"], loss["first_at"]) == ("redis at elsewhere", 60, iso(START))


# --- init and migrate ---


def test_init_makes_everything_and_may_be_repeated(wadm: Wadm, tmp_path: Path) -> None:
    fresh = tmp_path / "a" / "b"
    said = wadm("storage", "init", "--data-dir", fresh)
    assert "journal.sqlite3 made" in said
    assert f"warm: sqlite at {fresh}/warm.sqlite3: made, schema " in said
    said = wadm("storage", "init", "--data-dir", fresh)
    assert said.count("is there already") == 2
    assert wadm("storage", "status", "--data-dir", fresh)
    assert wadm("storage", "verify", "--data-dir", fresh, "--json").json["sound"] is True


def test_init_takes_no_foreign_database(wadm: Wadm, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "warm.sqlite3")) as db:
        db.execute("CREATE TABLE precious(x)")
    said = wadm("storage", "init", "--data-dir", tmp_path, status=2)
    assert "warm.sqlite3 is a database of another program" in said.err


def test_migrate_brings_an_old_store_up(wadm: Wadm, refused: Wadm, stored: Path) -> None:
    path = stored / engines.EMBEDDED
    path.unlink()
    sql_schema_1.mark(path)
    engine = engines.open_engine(embedded_url(stored), read_only=False)
    sql_schema_1.make(engine, [], [], [], [])
    engine.dispose()
    assert "run `wadm storage migrate`" in wadm("storage", "status", "--data-dir", stored, status=1)
    with DirectoryLock(stored):
        assert "is in use by process" in refused("storage", "migrate", "--data-dir", stored)
    said = wadm("storage", "migrate", "--data-dir", stored)
    assert f"sqlite at {path}: schema 1 brought to 2" in said
    assert "there is nothing to migrate" in wadm("storage", "migrate", "--data-dir", stored)
    wadm("storage", "status", "--data-dir", stored)


# --- verify ---


def test_what_is_sound_is_found_sound(wadm: Wadm, stored: Path) -> None:
    for directory in (stored, carried(stored)):
        found = wadm("storage", "verify", "--data-dir", directory, "--json").json
        assert (found["sound"], found["differences"], found["problems"]) == (True, 0, [])
        assert (found["bars"], found["bars_only_read"]) == (len(STREAMS) * MINUTES, 0)
    assert found["windows"] == len(STREAMS) * 2 * (MINUTES + 1)
    assert found["windows_outdated"] == 0
    found = wadm(
        "storage", "verify", "--data-dir", stored, "--json", "--symbol", "ETHUSDT",
        "--start", iso(START + MINUTE), "--end", iso(START + 3 * MINUTE),
    ).json  # fmt: skip
    assert found["bars"] == 2


def tampered(directory: Path, change: Callable[[Bar], None]) -> None:
    """Change the second bar in store and journal alike."""
    start = START + MINUTE
    with closing(sqlite3.connect(directory / engines.EMBEDDED)) as store, store:
        query = "SELECT rowid, packed FROM bars WHERE symbol = 'BTCUSDT' AND start_time = ?"
        number, packed = store.execute(query, (start,)).fetchone()
        bar = bars.decode(packed)
        change(bar)
        store.execute("UPDATE bars SET packed = ? WHERE rowid = ?", (bars.encode(bar), number))
    with closing(sqlite3.connect(directory / "journal.sqlite3")) as journal, journal:
        journal.execute(
            "UPDATE records SET payload = ? WHERE kind = 'bar' AND start = ? AND payload = ?",
            (bars.encode(bar), start, packed),
        )


def sell_less(bar: Bar) -> None:
    price, (buy, sell, *counts) = next(one for one in bar.rows.items() if one[1][1] > 10)
    bar.rows[price] = (buy, sell - 5, *counts)
    bar.delta += 5


def open_lower(bar: Bar) -> None:
    assert bar.open is not None
    bar.open = (*bar.open[:2], bar.open[2] - 1)


def stretch(bar: Bar) -> None:
    bar.delta_high += 3


def miscount(bar: Bar) -> None:
    price, (buy, sell, buys, sells) = next(iter(bar.rows.items()))
    bar.rows[price] = (buy, sell, buys + 1, sells)


FAULTS = {
    "a volume": (sell_less, {"volume", "sell_volume", "delta"}),
    "an open": (open_lower, {"open"}),
    "how far delta went": (stretch, {"delta_high"}),
    "a count": (miscount, {"trades"}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bar_that_was_changed_is_found(wadm: Wadm, stored: Path, fault: str) -> None:
    change, fields = FAULTS[fault]
    tampered(carried(stored), change)
    found = wadm("storage", "verify", "--data-dir", stored, "--json", status=1).json
    told = [one for one in found["told"] if one["what"] == "bar"]
    assert {one["start"] for one in told} == {iso(START + MINUTE)}
    assert fields <= {one["field"] for one in told}
    assert all(one["stored"] != one["recounted"] and one["symbol"] == "binance:BTCUSDT" for one in told)
    said = wadm("storage", "verify", "--data-dir", stored, status=1)
    assert f"binance:BTCUSDT {iso(START + MINUTE)} bar: " in said


def test_a_bar_that_is_gone_is_found(wadm: Wadm, stored: Path) -> None:
    carried(stored)
    with closing(sqlite3.connect(stored / engines.EMBEDDED)) as store, store:
        store.execute("DELETE FROM bars WHERE symbol = 'ETHUSDT' AND start_time = ?", (START + 2 * MINUTE,))
    found = wadm("storage", "verify", "--data-dir", stored, "--json", status=1).json
    told = [(one["what"], one["field"], one["stored"]) for one in found["told"]]
    assert ("bar", "revision", None) in told
    assert ("bar", "trades", None) in told


def test_a_profile_and_an_order_flow_that_were_changed_are_found(wadm: Wadm, stored: Path) -> None:
    carried(stored)
    with closing(sqlite3.connect(stored / engines.EMBEDDED)) as store, store:
        store.execute("UPDATE volume_profiles SET poc = vah WHERE timeframe = '5m' AND symbol = 'BTCUSDT'")
        store.execute("UPDATE order_flow SET delta = '1' WHERE timeframe = '1m' AND start_time = ?", (START,))
    found = wadm("storage", "verify", "--data-dir", stored, "--json", status=1).json
    assert {(one["what"], one["field"]) for one in found["told"]} == {
        ("5m profile", "poc"),
        ("1m order flow", "delta"),
    }


def test_bars_whose_trades_are_no_longer_kept_are_counted(wadm: Wadm, stored: Path) -> None:
    carried(stored)
    with closing(sqlite3.connect(stored / "journal.sqlite3")) as journal, journal:
        (half,) = journal.execute("SELECT seq FROM batches ORDER BY seq LIMIT 1 OFFSET 3").fetchone()
        journal.execute("DELETE FROM batches WHERE seq < ?", (half,))
    found = wadm("storage", "verify", "--data-dir", stored, "--json").json
    assert found["bars_only_read"] == 2
    assert found["bars"] == len(STREAMS) * MINUTES - 2


def test_a_damaged_page_is_named_with_its_file(wadm: Wadm, stored: Path) -> None:
    path = carried(stored) / engines.EMBEDDED
    whole = path.read_bytes()
    leaves = [page for page in range(2, len(whole) // PAGE) if whole[page * PAGE] == LEAF_OF_INDEX]
    path.write_bytes(whole[: leaves[-1] * PAGE] + bytes(64) + whole[leaves[-1] * PAGE + 64 :])
    said = wadm("storage", "verify", "--data-dir", stored, status=1)
    assert f"wrong: {path} is damaged (" in said
    assert f"page {leaves[-1] + 1} of " in said
    assert wadm("storage", "verify", "--data-dir", stored, "--json", status=1).json["sound"] is False
    path.write_bytes(whole[:PAGE] + bytes(len(whole) - PAGE))
    assert f"wrong: {path} is damaged" in wadm("storage", "verify", "--data-dir", stored, status=1)


def archived(directory: Path) -> Path:
    """Move the bars of a day into the cold tier; return its files."""
    day = START - START % DAY
    archive = open_archive(StorageSettings(), directory)
    archive.keep(*BTC, day, {bar.start: held(bar) for bar in bars_in(directory)})
    return directory / "cold"


def test_the_cold_tier_is_read_and_its_profiles_made_again(wadm: Wadm, stored: Path) -> None:
    cold = archived(carried(stored))
    found = wadm("storage", "verify", "--data-dir", stored, "--json").json
    assert (found["sound"], found["cold_days"]) == (True, 1)
    (profiles,) = cold.glob("profiles/**/*.parquet")
    (days,) = cold.glob("bars/**/*.parquet")
    whole = profiles.read_bytes()
    profiles.write_bytes(whole[:-9])
    said = wadm("storage", "verify", "--data-dir", stored, status=1)
    assert "profiles.parquet is damaged" in said
    profiles.unlink()
    said = wadm("storage", "verify", "--data-dir", stored, status=1)
    assert "profiles.parquet is not there" in said
    profiles.write_bytes(whole)
    days.write_bytes(b"PAR1")
    said = wadm("storage", "verify", "--data-dir", stored, status=1)
    assert "bars.parquet is damaged" in said


def test_a_stores_trades_are_compared_with_the_journals(
    wadm: Wadm, stored: Path, mongodb_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wadm("export", "trades", "trades.csv", "--data-dir", stored)
    monkeypatch.setenv("MONGODB_URL", mongodb_url)
    wadm("import", "trades.csv", "--data-dir", "fresh")
    found = wadm("storage", "verify", "--data-dir", "fresh", "--json").json
    assert (found["sound"], found["trades"]) == (True, len(STREAMS) * MINUTES * stored_market.PER_MINUTE)
    with pymongo.MongoClient(mongodb_url) as client:
        trades = client.get_default_database()["trades"]
        first, second = trades.find({"symbol": "BTCUSDT"}).limit(2)
        trades.delete_one({"_id": first["_id"]})
        trades.update_one({"_id": second["_id"]}, {"$set": {"price": first["price"]}})
    found = wadm("storage", "verify", "--data-dir", "fresh", "--json", status=1).json
    assert "mongodb" in wadm("storage", "status", "--data-dir", "fresh")
    told = [one for one in found["told"] if one["what"] == "trade"]
    assert [one["stored"] is None for one in told].count(True) == 1
    assert 1 <= len(told) <= 2


def test_servers_are_made_ready_looked_at_and_not_in_a_backup(
    wadm: Wadm, stored: Path, mongodb_url: str, redis_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGODB_URL", mongodb_url)
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    tiers = wadm("storage", "status", "--data-dir", stored, "--json").json["tiers"]
    assert tiers["warm"]["schema"]["found"] is None
    said = wadm("storage", "init", "--data-dir", stored)
    assert ": made, schema " in said
    assert "hot: Redis at redis://" in said
    assert "is there already" in wadm("storage", "init", "--data-dir", stored).splitlines()[1]
    tiers = wadm("storage", "status", "--data-dir", stored, "--json").json["tiers"]
    assert [tiers[tier]["engine"] for tier in ("warm", "hot")] == ["mongodb", "redis"]
    assert tiers["warm"]["lag"] == tiers["hot"]["lag"] > 0
    assert "the warm store is on a server" in wadm("storage", "backup", "copy", "--data-dir", stored)


# --- backup ---


def test_a_backup_gives_the_same_answers_and_goes_on(wadm: Wadm, stored: Path, tmp_path: Path) -> None:
    followed.save(stored, {"binance": Selected(frozenset({"SOLUSDT"}), frozenset())})
    archived(stored)
    wadm("keys", "create", "desk", "--data-dir", stored)
    said = wadm("storage", "backup", tmp_path / "safe" / "copy", "--data-dir", stored)
    assert "every page read back" in said
    copy = tmp_path / "safe" / "copy"
    assert [path.name for path in copy.parent.iterdir()] == ["copy"]
    assert sorted(path.name for path in copy.iterdir()) == [
        "access.sqlite3", "cold", "followed.json", "journal.sqlite3", "warm.sqlite3",
    ]  # fmt: skip
    assert "desk" in wadm("keys", "list", "--data-dir", copy)
    for stream in STREAMS:
        assert bars_in(copy, stream) == bars_in(stored, stream)
    wadm("storage", "verify", "--data-dir", copy)
    with store_of(copy) as (journal, store):
        # What the copied journal numbers next is not taken for known, and nothing comes twice.
        assert store.cursor() < journal.last_seq()
        journal.append([BarRecord(*ETH, Bar(END, END + MINUTE))])
        carry_over(journal, store)
        assert [bar.start for bar in store.bars(*ETH, 0, 1 << 62)] == list(range(START, END + 1, MINUTE))
    with closing(JournalView(stored)) as one, closing(JournalView(copy)) as other:
        assert one.identity() != other.identity()


def test_a_backup_overwrites_nothing(refused: Wadm, stored: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious").write_text("x")
    said = refused("storage", "backup", tmp_path / "mine", "--data-dir", stored)
    assert "mine is there already: a backup overwrites nothing" in said
    assert "is there already" in refused(
        "storage", "backup", tmp_path / "mine/precious", "--data-dir", stored
    )
    said = refused("storage", "backup", stored / "copy", "--data-dir", stored)
    assert "lies in the data directory itself" in said
    for command in (("backup", "copy"), ("migrate",)):
        assert "holds no data of wadm" in refused("storage", *command, "--data-dir", tmp_path)
    said = refused("storage", "backup", tmp_path / "mine/precious/copy", "--data-dir", stored)
    assert "a backup cannot be made at" in said


def test_a_damaged_source_leaves_no_backup(refused: Wadm, stored: Path, tmp_path: Path) -> None:
    path = stored / "journal.sqlite3"
    damaged = bytearray(path.read_bytes())
    damaged[-4096 * 8 :] = b"\x55" * (4096 * 8)
    path.write_bytes(damaged)
    assert "damaged" in refused("storage", "backup", "copy", "--data-dir", stored)
    assert [one.name for one in tmp_path.iterdir()] == ["stored"]


def test_copies_taken_while_everything_moves_are_whole(stored: Path, tmp_path: Path) -> None:
    """Journal and store go on in a thread; in every copy, the store carried on is what the journal says."""
    done = threading.Event()

    def go_on() -> None:
        with store_of(stored) as (journal, store):
            at = END
            while not done.is_set():
                bar = Bar(at, at + MINUTE)
                bar.fold(stored_market.part(stored_market.trades_of(BTC, 1, at), 0, 3))
                journal.append([BarRecord(*BTC, bar)])
                if at // MINUTE % 3 == 0:
                    carry_over(journal, store)
                at += MINUTE

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        for number in range(2):
            copy = tmp_path / f"copy{number}"
            backup.back_up(stored, copy)
            with store_of(copy) as (journal, store):
                assert store.cursor() <= journal.last_seq()
                carry_over(journal, store)
                kept = journal.bars(*BTC, 0, 1 << 62)
                assert store.bars(*BTC, 0, 1 << 62) == kept
                assert [bar.start for bar in kept] == list(range(START, kept[-1].end, MINUTE))
    finally:
        done.set()
        thread.join()


def test_a_journal_trimmed_meanwhile_is_copied_again(
    stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the copies, the store gets the rest and the journal lets it go: the pair would lack it."""
    copy_database, copied = backup._copy_database, []

    def moving(source: Path, target: Path) -> None:
        copy_database(source, target)
        copied.append(source.name)
        if len(copied) == 1:
            with store_of(stored) as (journal, store):
                carry_over(journal, store)
                journal.clock = lambda: 1 << 60
                journal.append([BarRecord(*BTC, Bar(END, END + MINUTE))])
                carry_over(journal, store)
                assert journal.trim(1 << 59, journal.last_seq()) > 0

    monkeypatch.setattr(backup, "_copy_database", moving)
    backup.back_up(stored, tmp_path / "copy")
    assert copied == ["warm.sqlite3", "journal.sqlite3"] * 2
    assert bars_in(tmp_path / "copy", ETH) == bars_in(stored, ETH)
    assert len(bars_in(tmp_path / "copy", ETH)) == MINUTES


def test_a_backup_beside_a_running_daemon(wadm: Wadm, tmp_path: Path) -> None:
    data, copy = tmp_path / "data", tmp_path / "copy"
    command = [sys.executable, "-m", "wadm", "demo", "--speed", "240", "--port", "0", "--data-dir", str(data)]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=quiet, stderr=quiet, cwd=Path(__file__).parents[3]) as demo:
        try:
            closed = 0
            while closed < 2:
                assert demo.poll() is None
                time.sleep(0.05)
                with _looking(data) as view:
                    closed = 0 if view is None else len(view.bars("binance", "BTCUSDT", 0, 1 << 62))
            wadm("storage", "backup", copy, "--data-dir", data)
            assert demo.poll() is None
            wadm("storage", "status", "--data-dir", data)
            wadm("storage", "verify", "--data-dir", data)
        finally:
            demo.send_signal(signal.SIGINT)
            demo.wait(20)
    assert wadm("storage", "verify", "--data-dir", copy, "--json").json["bars"] >= 2
    whole = bars_in(data)
    assert bars_in(copy) == whole[: len(bars_in(copy))]


@contextmanager
def _looking(directory: Path) -> Iterator[JournalView | None]:
    """Lend a view of a journal, None where there is none yet."""
    path = directory / "warm.sqlite3"
    view = JournalView(directory) if path.is_file() else None
    try:
        yield view if view is not None and view.symbols() else None
    finally:
        if view is not None:
            view.close()


def test_a_report_is_json(wadm: Wadm, stored: Path) -> None:
    for arguments in (["status"], ["verify"]):
        said = wadm("storage", *arguments, "--data-dir", stored, "--json")
        assert isinstance(json.loads(said), dict)
