"""What a person can get wrong on the command line is told in a sentence, with status 2 and no traceback."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from actors.cli import COMMANDS, main
from actors.storage.journal import Journal

RECORDED = Path(__file__).parent / "captures" / "hftbacktest"
CAPTURE = RECORDED / "usdm_btcusdt_20240718.gz"


@pytest.fixture(autouse=True)
def _undisturbed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let no command read the environment around the tests."""
    for name in os.environ:
        if name.startswith("WADM_"):
            monkeypatch.delenv(name)
    monkeypatch.delenv("ENVIRONMENT", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def refusal(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return what the command line says when it refuses its arguments."""

    def run(*arguments: object) -> str:
        try:
            status = main([*map(str, arguments)])
        except SystemExit as error:
            status = int(error.code or 0)
        said = capsys.readouterr()
        assert status == 2, said
        assert "Traceback" not in said.err
        assert said.out == ""
        return said.err

    return run


@pytest.fixture
def config(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "wadm.yaml"
        path.write_text(text)
        return path

    return write


# --- settings ---


CONFIGS = [
    (
        "htp: {port: 1}",
        "htp is not a setting; expected one of http, access, storage, memory, log, network, exchanges",
    ),
    (
        "http: {prt: 1}",
        "http.prt is not a setting; expected one of host, port, allowed_hosts, tls_certificate, tls_key"
        " (did you mean port?)",
    ),
    ("http: {port: 70000}", "http.port is 70000; expected a port from 0 to 65535"),
    ("8920: {}", "8920 is not a setting"),
    (
        "exchanges: {bybit: {url: 'http://x', symbols: [A]}}",
        "exchanges.bybit.url is 'http://x'; expected an address",
    ),
    (
        "exchanges: {bitget: {url: 'wss://x', symbols: [A]}}",
        "exchanges.bitget is not known; expected one of binance,",
    ),
    (
        "exchanges: {bybit: {url: 'wss://x', symbols: BTCUSDT}}",
        "exchanges.bybit.symbols is 'BTCUSDT'; expected a list",
    ),
    ("- a\n- b\n", "wadm.yaml holds list; expected names with values"),
    ("http: {port: 1", "wadm.yaml line 1 is not YAML: "),
    ("a: b: c", "wadm.yaml line 1 is not YAML: mapping values are not allowed here"),
    ("\tx", "wadm.yaml line 1 is not YAML: "),
]


@pytest.mark.parametrize(("text", "sentence"), CONFIGS)
def test_a_wrong_setting_is_named(
    refusal: Callable[..., str], config: Callable[[str], Path], text: str, sentence: str
) -> None:
    said = refusal("run", "--config", config(text))
    assert said.startswith("wadm run: ")
    assert sentence in said


def test_every_problem_has_its_line(refusal: Callable[..., str], config: Callable[[str], Path]) -> None:
    path = config("http: {port: x}\nmemory: {hours: 0}")
    assert refusal("run", "--config", path) == (
        f"wadm run: http.port is 'x'; expected a whole number  [{path}, environment or flags]\n"
        f"memory.hours is 0; expected hours from 1 to 168  [{path}, environment or flags]\n"
    )


def test_a_settings_file_that_is_not_there_or_no_text_is_named(
    refusal: Callable[..., str], tmp_path: Path
) -> None:
    absent = tmp_path / "absent.yaml"
    assert (
        refusal("run", "--config", absent)
        == f"wadm run: {absent} cannot be read: No such file or directory\n"
    )
    assert refusal("run", "--config", tmp_path) == f"wadm run: {tmp_path} cannot be read: Is a directory\n"
    absent.write_bytes(b"\xff\xfe\x00")
    assert refusal("run", "--config", absent) == f"wadm run: {absent} is not UTF-8 text\n"


def test_a_wrong_environment_variable_is_named(
    refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WADM_PORT", "1")
    assert refusal("run").startswith("wadm run: WADM_PORT is not a setting; expected one of WADM_HTTP_HOST, ")
    monkeypatch.delenv("WADM_PORT")
    monkeypatch.setenv("WADM_HTTP_PORT", "")
    assert refusal("run").startswith("wadm run: http.port is ''; expected a whole number")
    monkeypatch.delenv("WADM_HTTP_PORT")
    monkeypatch.setenv("ENVIRONMENT", "qa")
    assert refusal("run").startswith("wadm run: ENVIRONMENT is 'qa'; expected one of development,")


def test_a_wrong_flag_is_named(refusal: Callable[..., str]) -> None:
    assert refusal("run", "--port", "99999").startswith(
        "wadm run: http.port is 99999; expected a port from 0 to"
    )
    assert refusal("run", "--log-level", "loud").startswith(
        "wadm run: log.level is 'loud'; expected one of debug"
    )


def test_a_wrong_listing_beside_the_settings_is_named(
    refusal: Callable[..., str], config: Callable[[str], Path], tmp_path: Path
) -> None:
    symbols = tmp_path / "symbols.yaml"
    symbols.write_text("binance: {BTCUSDT: {tick: 0.1}}")
    said = refusal("run", "--config", config(""), "--data-dir", tmp_path / "data")
    assert said == (
        f"wadm run: {symbols}: binance.BTCUSDT.tick is 0.1; expected a positive number in quotes, such as "
        '"0.01"\n'
    )


def test_a_data_directory_that_cannot_be_one_is_refused(refusal: Callable[..., str], tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    said = refusal("run", "--data-dir", file, "--port", 0)
    assert said == f"wadm run: data directory {file} is a file or lies below one: choose another path\n"
    assert file.read_text() == "mine"


# --- replay and demo ---


def test_a_capture_that_cannot_be_read_is_named(refusal: Callable[..., str], tmp_path: Path) -> None:
    absent = tmp_path / "absent.gz"
    said = refusal("replay", absent, "--exchange", "binance")
    assert said == f"wadm replay: {absent}: cannot be read: No such file or directory\n"
    wrong = tmp_path / "wrong"
    wrong.write_text("hello\n")
    said = refusal("replay", wrong, "--exchange", "binance")
    assert said.startswith(f"wadm replay: {wrong}, line 1: 'hello' cannot be read")
    assert said.count("\n") == 1


@pytest.mark.parametrize("speed", ["0", "-1", "fast", "nan", ""])
def test_a_wrong_speed_is_refused(refusal: Callable[..., str], speed: str) -> None:
    for command in (["demo"], ["replay", CAPTURE, "--exchange", "binance"]):
        said = refusal(*command, "--speed", speed)
        assert "argument --speed: " in said
        assert repr(speed) in said


def test_an_unknown_exchange_and_a_missing_one_are_refused(refusal: Callable[..., str]) -> None:
    assert "invalid choice: 'kraken'" in refusal("replay", CAPTURE, "--exchange", "kraken")
    assert "the following arguments are required: --exchange" in refusal("replay", CAPTURE)


def test_a_row_size_that_does_not_fit_the_tick_is_refused(refusal: Callable[..., str]) -> None:
    said = refusal("replay", CAPTURE, "--exchange", "binance_usdm", "--row-size", "0.25", "--json")
    assert said.splitlines()[-1] == (
        "wadm replay: row_size is '0.25'; expected a positive multiple of the tick 0.1."
    )


def test_a_full_data_directory_is_refused_before_anything_starts(
    refusal: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "mine").touch()
    for command in (["demo", "--port", 0], ["replay", CAPTURE, "--exchange", "binance_usdm"]):
        said = refusal(*command, "--data-dir", tmp_path)
        assert (
            said
            == f"wadm {command[0]}: {tmp_path} is not an empty directory; name one that is, or a new one\n"
        )


def test_a_recording_without_trades_has_no_symbols_to_show_but_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    books = tmp_path / "books"
    body = '"e":"bookTicker","u":1,"s":"BTCUSDT","b":"1","B":"1","a":"2","A":"1","T":1721347022956'
    books.write_text(f"1721347020984480942 {{{body}}}\n")
    assert main(["replay", str(books), "--exchange", "binance_usdm"]) == 0
    said = capsys.readouterr().out
    assert "balanced         True" in said
    assert "trades           0" in said


# --- query ---


def test_questions_about_a_data_directory_are_checked(refusal: Callable[..., str], tmp_path: Path) -> None:
    ask = ("query", "profile", "--data-dir")
    asked = ("--exchange", "binance", "--symbol", "BTCUSDT")
    nothing = f"{tmp_path} holds no data of wadm (no journal.sqlite3): give the data directory of a run"
    assert refusal(*ask, tmp_path, *asked) == f"wadm query: {nothing}\n"
    Journal(tmp_path).close()
    said = refusal(*ask, tmp_path, *asked)
    assert said.startswith("wadm query: exchange is 'binance'; expected one that this daemon follows")


# --- the command line itself ---


def test_without_a_daemon_the_symbols_command_says_how_to_start_one(refusal: Callable[..., str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"
    for arguments in (("list",), ("add", "--exchange", "binance", "BTCUSDT")):
        said = refusal("symbols", *arguments, "--url", url)
        assert said.startswith(f"wadm symbols: no daemon answers at {url}")
        assert "start one with `wadm run`" in said
    assert "expected an address such as http" in refusal("symbols", "list", "--url", "localhost:8920")
    assert "--exchange" in refusal("symbols", "add", "BTCUSDT")


def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        with pytest.raises(SystemExit) as end:
            main([command, "--help"])
        assert end.value.code == 0
        assert f"usage: wadm {command}" in capsys.readouterr().out


def test_only_the_command_that_is_called_is_imported() -> None:
    code = (
        "import sys; from actors.cli import parser; parser(%r); "
        "print(*(one for one in sys.modules if one.startswith(('actors.cli.', 'actors.front', 'trio'))))"
    )
    for called, imported in ((None, ""), ("symbols", "actors.cli.symbols")):
        command = [sys.executable, "-c", code % called]
        said = subprocess.run(command, capture_output=True, text=True, check=True)
        assert said.stdout.strip() == imported


def test_an_unknown_command_and_none_are_refused(refusal: Callable[..., str]) -> None:
    assert "invalid choice: 'replya'" in refusal("replya")
    assert "the following arguments are required: COMMAND" in refusal()
