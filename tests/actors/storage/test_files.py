"""Files that are foreign, newer, damaged, missing or full: a sentence, and nothing overwritten."""

import sqlite3
from contextlib import closing

import pytest
from storage_samples import batch, plain

from actors.storage import files
from actors.storage.errors import DiskFull, StorageError, explain
from actors.storage.journal import Journal
from actors.storage.journal_view import JournalView


def refused(tmp_path, match):
    path = tmp_path / "journal.sqlite3"
    before = path.read_bytes()
    with pytest.raises(StorageError, match=match) as caught:
        Journal(tmp_path)
    assert str(path) in str(caught.value)
    with pytest.raises(StorageError, match=match):
        JournalView(tmp_path).last_seq()
    assert path.read_bytes() == before
    assert not isinstance(caught.value, DiskFull)


def test_a_foreign_database_is_refused(tmp_path):
    with closing(sqlite3.connect(tmp_path / "journal.sqlite3")) as db:
        db.execute("CREATE TABLE recipes(name)")
    refused(tmp_path, "is a database of another program")


def test_a_newer_file_is_refused(tmp_path):
    journal = Journal(tmp_path)
    journal._db.execute("PRAGMA user_version = 99")
    journal.close()
    refused(tmp_path, "written by a newer version")


def test_an_older_file_is_refused(tmp_path):
    journal = Journal(tmp_path)
    journal._db.execute("PRAGMA user_version = 0")
    journal.close()
    refused(tmp_path, "has schema 0, this version reads 1")


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "journal.sqlite3").write_bytes(b"once upon a time " * 500)
    refused(tmp_path, "is damaged or not a database")


def test_a_damaged_page_is_found_when_it_is_read(tmp_path):
    journal = Journal(tmp_path)
    journal.append([batch(number, size=64) for number in range(200)])
    journal.close()
    path = tmp_path / "journal.sqlite3"
    data = bytearray(path.read_bytes())
    for page in range(4096 * 10, len(data), 4096):
        data[page : page + 64] = b"\xff" * 64
    path.write_bytes(data)
    damaged = Journal(tmp_path)
    with pytest.raises(StorageError, match="is damaged"):
        damaged.read(0, 1_000)
    damaged.close()


def test_a_missing_journal_cannot_be_read(tmp_path):
    with pytest.raises(StorageError, match="cannot be opened"):
        JournalView(tmp_path).last_seq()


def test_an_empty_file_is_a_new_journal_but_holds_nothing_to_read(tmp_path):
    (tmp_path / "journal.sqlite3").touch()
    with pytest.raises(StorageError, match="is empty"):
        JournalView(tmp_path).last_seq()
    Journal(tmp_path).close()
    view = JournalView(tmp_path)
    assert view.last_seq() == 0
    view.close()


def test_a_name_that_needs_quoting_works(tmp_path):
    directory = tmp_path / "año 100%? #1"
    directory.mkdir()
    journal = Journal(directory)
    journal.append([batch(1)])
    assert journal.last_seq() == 1
    journal.close()
    assert (directory / "journal.sqlite3").exists()


def test_a_full_disk_leaves_nothing_half_written_and_may_be_tried_again(journal):
    journal.append([batch(1)])
    pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count = {pages + 4}")
    run = [batch(number, size=200, symbol="NEW") for number in range(2, 400)]
    for _ in range(2):
        with pytest.raises(DiskFull, match=r"no room left to write .*journal\.sqlite3"):
            journal.append(run)
        assert [plain(entry) for _, entry in journal.read(0, 10)[0]] == [plain(batch(1))]
        assert journal.symbols() == [("binance_usdm", "BTCUSDT")]
    journal._db.execute("PRAGMA max_page_count = 1000000")
    assert journal.append(run) == 399
    assert journal.last_seq() == 399


def test_a_locked_file_says_so():
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    assert "locked by another program" in str(explain(error, "here.sqlite3"))


def test_an_unknown_failure_names_the_file():
    assert "here.sqlite3 failed (disk I/O error)" in str(
        explain(sqlite3.OperationalError("disk I/O error"), "here.sqlite3")
    )


def test_a_file_that_another_makes_at_the_same_moment_is_used_as_it_is(monkeypatch, tmp_path):
    path = tmp_path / "both.sqlite3"
    made = []

    def create(db):
        made.append(db)
        db.execute("CREATE TABLE t(x)")

    use_wal = files._use_wal

    def meanwhile(db):
        use_wal(db)
        monkeypatch.undo()
        files.open_writer(path, 1, create).close()

    monkeypatch.setattr(files, "_use_wal", meanwhile)
    files.open_writer(path, 1, create).close()
    assert len(made) == 1
