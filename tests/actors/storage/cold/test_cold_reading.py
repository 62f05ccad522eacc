"""Readers reach into the archive unasked; what cannot be read there is said, and the rest is served."""

import shutil
from pathlib import Path

import pytest
from cold_samples import FIRST, FOREVER, NAME, SECOND, minutes, packed, path
from server_process import free_port
from storage_samples import EXCHANGE, SYMBOL, batch, gap_record

from actors.answers.shelf import Shelf
from actors.answers.stored import Stored, instruments
from actors.messages import BarRecord
from actors.storage import engines
from actors.storage.cold.archive import Archive
from actors.storage.cold.objects import Objects
from actors.storage.reader import DataReader
from actors.storage.sql import SqlStore
from wadm.answers.registry import QUESTIONS
from wadm.bar import merge
from wadm.market import DAY, HOUR, MINUTE
from wadm.sections import StorageSettings

PROFILE, SERIES = QUESTIONS["profile"], QUESTIONS["cvd"]
ASKED = {"exchange": EXCHANGE, "symbol": SYMBOL}
THIRD = SECOND + DAY


@pytest.fixture
def store(tmp_path, journal):
    made = SqlStore(engines.embedded_url(tmp_path), journal.identity())
    made.initialise()
    yield made
    made.close()


@pytest.fixture
def reader(journal, store, archive):
    return DataReader(journal, store, archive)


def keep(journal, store, bars):
    entries = [BarRecord(*NAME, bar) for bar in bars]
    store.apply(entries, journal.append(entries))


def test_bars_of_journal_store_and_archive_lie_over_one_another(journal, store, reader):
    reader.archive.keep(*NAME, FIRST, packed(minutes(0, 1, 2, 3, revision=1)))
    keep(journal, store, [*minutes(1, revision=2, quantity=7), *minutes(2, revision=0, quantity=7)])
    journal.append([BarRecord(*NAME, bar) for bar in [*minutes(3, revision=2, quantity=9), *minutes(4)]])
    wanted = [
        *minutes(0, revision=1),
        *minutes(1, revision=2, quantity=7),
        *minutes(2, revision=1),
        *minutes(3, revision=2, quantity=9),
        *minutes(4),
    ]
    assert reader.bars(*NAME, 0, FOREVER) == wanted
    assert reader.bars(*NAME, FIRST + MINUTE, FIRST + 3 * MINUTE) == wanted[1:3]


def test_of_two_bars_of_one_revision_the_archives_stays(journal, store, reader):
    """As it does when their day is moved: an answer is then the same before and after."""
    reader.archive.keep(*NAME, FIRST, packed(minutes(0, 1)))
    keep(journal, store, minutes(0, quantity=7))
    journal.append([BarRecord(*NAME, bar) for bar in minutes(1, quantity=7)])
    assert reader.bars(*NAME, 0, FOREVER) == minutes(0, 1)


def test_a_day_that_a_daemon_moves_meanwhile_is_not_missed(tmp_path, journal, store):
    keep(journal, store, [*minutes(0, 1), *minutes(2, day=SECOND)])
    journal.trim(FOREVER, FOREVER)
    reader = DataReader.open(tmp_path)
    try:
        assert reader.bars(*NAME, SECOND, THIRD) == minutes(2, day=SECOND)
        Archive(Objects(str(tmp_path / "cold"))).keep(*NAME, FIRST, packed(minutes(0, 1)))
        store.forget_bars(*NAME, {bar.start: 0 for bar in minutes(0, 1)})
        assert reader.bars(*NAME, FIRST, THIRD) == [*minutes(0, 1), *minutes(2, day=SECOND)]
    finally:
        reader.close()


def test_what_only_the_archive_has_is_known(journal, store, reader):
    keep(journal, store, minutes(5, day=THIRD))
    reader.archive.keep(*NAME, FIRST, packed(minutes(2, 3)))
    reader.archive.keep(EXCHANGE, "OLDUSDT", FIRST, packed(minutes(0)))
    journal.append([batch(1, THIRD + 7 * MINUTE)])
    assert reader.symbols() == [NAME, (EXCHANGE, "OLDUSDT")]
    assert reader.extent(*NAME) == (FIRST + 2 * MINUTE, THIRD + 6 * MINUTE)
    assert reader.span(*NAME) == (FIRST + 2 * MINUTE, THIRD + 8 * MINUTE)
    assert reader.extent(EXCHANGE, "OLDUSDT") == (FIRST, FIRST + MINUTE)
    assert reader.merged(*NAME, FIRST, THIRD + HOUR).buy_trades == (1 + 3) * 3 + 1
    assert reader.recent.extent(*NAME) == (THIRD + 5 * MINUTE, THIRD + 6 * MINUTE)
    assert reader.recent.symbols() == [NAME]


def test_answers_are_the_same_after_a_day_has_moved_and_coverage_names_the_archive(journal, store, archive):
    keep(journal, store, [*minutes(*range(90)), *minutes(0, 1, day=SECOND)])
    journal.append([gap_record(at=FIRST)])
    reader = DataReader(journal, store, archive)
    asked = [(PROFILE, {}), (SERIES, {"start": "2024-08-08T00:10:00Z", "end": "2024-08-08T00:50:00Z"})]
    before = [Stored(reader).ask(question, ASKED | given) for question, given in asked]
    assert [one["coverage"]["sources"] for one in before] == [["store"], ["store"]]
    archive.keep(*NAME, FIRST, packed(minutes(*range(90))))
    assert store.forget_bars(*NAME, {bar.start: 0 for bar in minutes(*range(90))}) == 90
    after = [Stored(reader).ask(question, ASKED | given) for question, given in asked]
    for old, new in zip(before, after, strict=True):
        assert new["coverage"].pop("sources") == ["store", "cold"]
        old["coverage"].pop("sources")
        assert new == old


@pytest.fixture
def two_days(reader):
    """A reader of two archived days, of which one is then damaged; and the answers of the days alone."""
    reader.archive.keep(*NAME, FIRST, packed(minutes(*range(10))))
    reader.archive.keep(*NAME, SECOND, packed(minutes(*range(5), day=SECOND, quantity=8)))
    data, version = reader.archive.objects.read(path())
    reader.archive.objects.write(path(), data[:-100], version)
    return DataReader(reader.journal, reader.store, Archive(reader.archive.objects)), data


def test_a_damaged_day_is_named_in_the_coverage_and_the_rest_is_served(two_days):
    reader, sound = two_days
    whole = {**ASKED, "start": "2024-08-08T00:00:00Z", "end": "2024-08-10T00:00:00Z"}
    stored = Stored(reader)
    answer = stored.ask(PROFILE, whole)
    rest = merge(minutes(*range(5), day=SECOND, quantity=8), SECOND, THIRD)
    assert answer["trades"] == rest.buy_trades + rest.sell_trades
    coverage = answer["coverage"]
    (told,) = coverage["unreadable"]
    assert (told["start"], told["end"]) == ("2024-08-08T00:00:00Z", "2024-08-09T00:00:00Z")
    assert f"{path()} is damaged" in told["reason"]
    assert (coverage["state"], coverage["sources"]) == ("provisional", ["store", "cold"])
    # An answer that does not rest on that day says nothing of it.
    other = stored.ask(PROFILE, whole | {"start": "2024-08-09T00:00:00Z"})
    assert "unreadable" not in other["coverage"]
    # Mended, it is found by the same reader: nothing incomplete was remembered.
    objects = reader.archive.objects
    objects.write(path(), sound, objects.read(path())[1])
    mended = stored.ask(PROFILE, whole)
    assert "unreadable" not in mended["coverage"]
    assert mended["trades"] == answer["trades"] + 60


def test_merged_days_are_remembered_only_whole(two_days):
    reader, sound = two_days
    shelf, instrument = Shelf(reader), instruments(reader)[f"{EXCHANGE}:{SYMBOL}"]
    now = THIRD + 30 * DAY
    assert shelf.merged(instrument, FIRST, THIRD, now).buy_trades == 5 * 4
    objects = reader.archive.objects
    objects.write(path(), sound, objects.read(path())[1])
    assert shelf.merged(instrument, FIRST, THIRD, now).buy_trades == 15 * 4


def test_where_the_archive_cannot_be_reached_the_store_answers_and_says_so(journal, store):
    keep(journal, store, minutes(0, 1))
    url = f"s3://bucket?endpoint=http://127.0.0.1:{free_port()}&access_key_id=a&secret_access_key=hidden"
    answer = Stored(DataReader(journal, store, Archive(Objects(url)))).ask(PROFILE, ASKED)
    assert answer["trades"] == 12
    (told,) = answer["coverage"]["unreadable"]
    assert "s3://bucket cannot be used" in told["reason"]
    assert answer["coverage"]["state"] == "provisional"


def test_a_directory_is_read_with_the_archive_that_its_settings_name(tmp_path, journal, store):
    keep(journal, store, minutes(0, day=SECOND))
    Archive(Objects(str(tmp_path / "elsewhere"))).keep(*NAME, FIRST, packed(minutes(0)))
    before = sorted(tmp_path.rglob("*"))
    for settings, extent in (
        (None, (SECOND, SECOND + MINUTE)),
        (StorageSettings(cold_url=str(tmp_path / "elsewhere")), (FIRST, SECOND + MINUTE)),
    ):
        reader = DataReader.open(tmp_path, settings)
        assert reader.extent(*NAME) == extent
        reader.close()
    assert sorted(tmp_path.rglob("*")) == before


def test_the_default_archive_is_a_folder_in_the_data_directory(tmp_path, journal, store):
    Archive(Objects(str(tmp_path / "cold"))).keep(*NAME, FIRST, packed(minutes(0)))
    reader = DataReader.open(tmp_path)
    assert reader.bars(*NAME, 0, FOREVER) == minutes(0)
    reader.close()


def test_a_day_read_before_is_not_read_again(reader, monkeypatch):
    reader.archive.keep(*NAME, FIRST, packed(minutes(0, 1)))
    reader.bars(*NAME, 0, FOREVER)
    monkeypatch.setattr(Objects, "read", None)
    assert reader.bars(*NAME, 0, FOREVER) == minutes(0, 1)


def test_days_are_remembered_up_to_a_bound(local, monkeypatch):
    for day in range(5):
        local.keep(*NAME, FIRST + day * DAY, packed(minutes(0, day=FIRST + day * DAY)))
    size = len(packed(minutes(0))[FIRST].packed)
    monkeypatch.setattr("actors.storage.cold.archive.ROOM", 2 * size)
    assert len(list(local.bars(*NAME, 0, FOREVER))) == 5
    assert len(local._read) == 2


def test_a_day_that_vanishes_is_told_of(local):
    local.keep(*NAME, FIRST, packed(minutes(0)))
    assert local.has(*NAME, FIRST, SECOND)
    shutil.rmtree(Path(local.objects.address) / "bars")
    assert list(local.bars(*NAME, 0, FOREVER)) == []
    assert "is gone: another program has removed it" in local.unreadable(*NAME, 0, FOREVER)[0].reason
