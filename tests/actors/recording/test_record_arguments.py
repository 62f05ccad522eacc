"""What is wrong with the arguments of ``wadm record`` is told in a sentence, before anything is written."""

import os
from pathlib import Path

import pytest

from actors.cli import main

BINANCE = ("--exchange", "binance", "--symbols", "BTCUSDT")

WRONG = [
    (("--symbols", "BTCUSDT"), "--symbols is for one exchange: name it with --exchange"),
    (("--url", "ws://127.0.0.1:1"), "--url is for one exchange: name it with --exchange"),
    (("--exchange", "kraken"), "invalid choice: 'kraken'"),
    (
        (*BINANCE, "--url", "http://x"),
        "exchanges.binance.url is 'http://x'; expected an address such as wss://",
    ),
    ((*BINANCE, "--streams", "trade"), "exchanges.binance.streams is 'trade'; expected one of "),
    (("--exchange", "bybit_spot"), "exchanges.bybit_spot.symbols is missing; a value is required"),
    (
        ("--exchange", "binance", "--symbols", "*USDT"),
        "exchanges.binance.symbols has '*USDT'; expected names here, such as BTCUSDT",
    ),
    ((*BINANCE, "--symbols", "A,,B"), "'A,,B' is not a list such as A,B"),
    ((*BINANCE, "--rotate-mb", "0"), "'0' is not a number above 0"),
    ((*BINANCE, "--duration", "soon"), "'soon' is not a number above 0"),
]


@pytest.mark.parametrize(("arguments", "sentence"), WRONG)
def test_a_wrong_argument_is_named(
    arguments: tuple[str, ...],
    sentence: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in os.environ if name.startswith("WADM_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    try:
        status = main(["record", "--out", str(tmp_path / "out"), *arguments])
    except SystemExit as error:
        status = int(error.code or 0)
    assert status == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_directory_that_cannot_be_one_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "file"
    file.write_text("mine")
    assert main(["record", "--out", str(file), *BINANCE]) == 2
    said = capsys.readouterr().err
    assert said == f"wadm record: {file}: cannot be made: File exists; name another --out\n"
