"""Files that are damaged, foreign or of another version: named, left as they are, and the rest is served."""

from decimal import Decimal
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cold_samples import FIRST, FOREVER, NAME, SECOND, all_of, minutes, packed, path

from actors.storage.cold import parquet
from actors.storage.cold.held import Damaged
from wadm.analytics.profile import profile
from wadm.market import MINUTE

SOUND = parquet.bars_file(*NAME, FIRST, packed(minutes(0, 1, 70)))


#: a byte within the bars themselves
PACKED_AT = pq.ParquetFile(BytesIO(SOUND)).metadata.row_group(0).column(22).dictionary_page_offset + 200

PROFILE = parquet.profile_file(*NAME, FIRST, profile(minutes(0)[0], Decimal(1)), partial=False)


def flipped(at):
    return SOUND[:at] + bytes([SOUND[at] ^ 0x10]) + SOUND[at + 1 :]


def without(column):
    table = pq.read_table(BytesIO(SOUND))
    return written(table.drop_columns([column]))


def written(table):
    sink = BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def of_format(number):
    table = pq.read_table(BytesIO(SOUND))
    return written(table.replace_schema_metadata({**table.schema.metadata, b"wadm.format": number}))


DAMAGE = {
    "truncated": (SOUND[:-40], "is damaged"),
    "empty": (b"", "is damaged"),
    "a flipped byte": (flipped(PACKED_AT), "is damaged"),
    "not Parquet": (b"date,price\n", "is damaged"),
    "foreign": (written(pa.table({"a": [1]})),
                "is not a file of wadm: move it away"),
    "another kind": (PROFILE, "holds profiles, not bars"),
    "a missing column": (without("packed"), "it lacks the column packed"),
    "a row too few": (written(pq.read_table(BytesIO(SOUND)).slice(1)), "as many rows"),
    "a later version": (of_format("2"), r"written by a newer version \(format 2, this one reads up to 1\)"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGE)
def test_what_cannot_be_read_is_named_and_neither_used_nor_written_over(archive, objects, kind):
    data, reason = DAMAGE[kind]
    objects.write(path(), data, None)
    archive.keep(*NAME, SECOND, packed(minutes(0, day=SECOND)))
    with pytest.raises(Damaged, match=reason) as told:
        archive.keep(*NAME, FIRST, packed(minutes(5)))
    assert path() in str(told.value)
    assert objects.read(path())[0] == data
    # The rest is served, and what is missing is said.
    assert all_of(archive) == minutes(0, day=SECOND)
    (gone,) = archive.unreadable(*NAME, FIRST + MINUTE, FOREVER)
    assert (gone.start, gone.end, gone.reason) == (FIRST + MINUTE, SECOND, str(told.value))
    assert archive.extent(*NAME) == (FIRST, SECOND + MINUTE)


def test_no_flipped_byte_goes_unnoticed():
    sound = parquet.read_bars(SOUND, "x")
    for at in range(0, len(SOUND), 43):
        try:
            found = parquet.read_bars(flipped(at), "x")
        except Damaged:
            continue
        assert found == sound, at


def test_a_file_that_was_mended_is_read_again(archive, objects):
    objects.write(path(), SOUND[:-40], None)
    assert (all_of(archive), len(archive.unreadable(*NAME, 0, FOREVER))) == ([], 1)
    objects.remove(path())
    objects.write(path(), SOUND, None)
    assert all_of(archive) == minutes(0, 1, 70)
    assert archive.unreadable(*NAME, 0, FOREVER) == []


def test_a_bar_that_is_not_the_one_it_is_said_to_be_is_not_served(local):
    one = minutes(0)[0]
    table = pq.read_table(BytesIO(parquet.bars_file(*NAME, FIRST, packed([one]))))
    column = table.column_names.index("revision")
    local.objects.write(path(), written(table.set_column(column, table.schema.field(column), [[7]])), None)
    assert all_of(local) == []
    assert "not those it was written with" in local.unreadable(*NAME, 0, FOREVER)[0].reason


def test_a_profile_that_cannot_be_read_is_not_written_over(archive, objects):
    objects.write(path(kind="profiles"), b"mine", None)
    with pytest.raises(Damaged, match=r"profiles\.parquet is damaged"):
        archive.keep(*NAME, FIRST, packed(minutes(0)))
    assert objects.read(path()) is None
    assert objects.read(path(kind="profiles"))[0] == b"mine"


def test_a_file_of_the_first_version_is_still_read():
    kept = Path(__file__).with_name("cold_format_1.parquet")
    assert parquet.read_bars(kept.read_bytes(), "x") == packed(minutes(0, 1, 70))
