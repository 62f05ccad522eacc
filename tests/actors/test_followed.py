"""What was chosen by hand is kept whole or not at all, and a file that is not it is named."""

from pathlib import Path

import pytest

from actors.following.followed import NAME, load, save
from actors.storage.errors import StorageError
from wadm.selected import Selected


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    assert load(tmp_path) == {}
    kept = {
        "binance": Selected(frozenset({"SOLUSDT", "XRPUSDT"})),
        "bybit": Selected(frozenset(), frozenset({"BTCUSDT"})),
    }
    save(tmp_path, {**kept, "bybit_spot": Selected()})
    assert load(tmp_path) == kept
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    save(tmp_path, {"binance": Selected(frozenset({"SOLUSDT"}))})
    (tmp_path / "followed.new").mkdir()
    with pytest.raises(StorageError, match=r"followed\.json cannot be written: "):
        save(tmp_path, {})
    assert load(tmp_path) == {"binance": Selected(frozenset({"SOLUSDT"}))}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "Input data was truncated"),
        (b"[]", "Expected `object`"),
        (b"\xff", "malformed"),
        (b'{"binance": {"aded": []}}', "unknown field `aded`"),
        (b'{"binance": {"added": "SOLUSDT"}}', "Expected `array`"),
        (b'{"binanc": {"added": []}}', "'binanc' is no exchange"),
        (b'{"binance": {"added": ["SOL/USDT"]}}', "'SOL/USDT' is no symbol"),
    ],
)
def test_a_file_that_is_something_else_is_named_with_what_is_wrong(
    tmp_path: Path, text: bytes, why: str
) -> None:
    (tmp_path / NAME).write_bytes(text)
    with pytest.raises(StorageError) as refusal:
        load(tmp_path)
    assert str(refusal.value).startswith(f"{tmp_path / NAME} is not the list of symbols")
    assert why in str(refusal.value)
    assert "mend it, or move it away" in str(refusal.value)


def test_a_choice_lies_over_the_settings_whichever_way_it_was_made() -> None:
    chosen = Selected().add("SOLUSDT", configured=False).remove("ETHUSDT", configured=True)
    assert chosen.over(["BTCUSDT", "ETHUSDT"]) == ["BTCUSDT", "SOLUSDT"]
    back = chosen.add("ETHUSDT", configured=True).remove("SOLUSDT", configured=False)
    assert back == Selected()
