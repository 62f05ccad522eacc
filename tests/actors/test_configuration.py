"""Settings come from a file, then the environment, then flags; the instruments from beside the file."""

from decimal import Decimal
from pathlib import Path

import pytest

from actors.configuration import defaults, load_listing, load_settings
from wadm.settings import Settings, SettingsError


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_what_is_shipped_is_what_the_settings_are_without_a_file() -> None:
    shipped = load_settings(None, {}, {})
    assert (shipped.http, shipped.storage, shipped.memory, shipped.log) == (
        Settings().http, Settings().storage, Settings().memory, Settings().log,
    )  # fmt: skip
    assert sorted(shipped.exchanges) == ["binance", "binance_usdm", "bybit"]


def test_the_environment_overrides_the_file_and_flags_override_both(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("http: {host: file, port: 1}\nlog: {level: error}\nstorage: {data_dir: file}\n")
    environment = {"WADM_HTTP_PORT": "2", "WADM_DATA_DIR": "environment"}
    settings = load_settings(file, {"storage": {"data_dir": "flag"}}, environment)
    assert (settings.http.host, settings.http.port) == ("file", 2)
    assert settings.log.level == "error"
    assert settings.storage.data_dir == "flag"
    assert settings.exchanges == {}


def test_the_file_of_the_working_directory_is_taken_where_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/wadm.yaml").write_text("http: {port: 7}\n")
    assert load_settings(None, {}, {}).http.port == 7


@pytest.mark.parametrize("text", ["", "# nothing but words\n", "http:\n  # port: 1\n"])
def test_a_file_with_nothing_in_it_means_the_defaults(tmp_path: Path, text: str) -> None:
    file = tmp_path / "empty.yaml"
    file.write_text(text)
    assert load_settings(file, {}, {}) == Settings()


def test_a_problem_says_which_file_it_may_be_in(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("http: {port: x}\n")
    with pytest.raises(SettingsError) as refusal:
        load_settings(file, {}, {})
    assert refusal.value.problems == [
        f"http.port is 'x'; expected a whole number  [{file}, environment or flags]"
    ]


def test_the_listing_beside_the_settings_comes_before_all_others(tmp_path: Path) -> None:
    assert load_listing()["binance_usdm:BTCUSDT"].tick == Decimal("0.1")
    (tmp_path / "config").mkdir()
    (tmp_path / "config/symbols.yaml").write_text('binance: {A: {tick: "2"}}\n')
    assert load_listing()["binance:A"].tick == Decimal(2)
    (tmp_path / "symbols.yaml").write_text('binance: {A: {tick: "3"}}\n')
    assert load_listing(tmp_path / "wadm.yaml")["binance:A"].tick == Decimal(3)


def test_the_shipped_listing_knows_the_symbols_of_the_shipped_settings() -> None:
    listing = load_listing(defaults() / "wadm.yaml")
    for name, exchange in load_settings(defaults() / "wadm.yaml", {}, {}).exchanges.items():
        for symbol in exchange.symbols:
            assert listing[f"{name}:{symbol}"].tick is not None
            assert listing[f"{name}:{symbol}"].step is not None
