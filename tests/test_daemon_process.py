"""The whole daemon as people start it: replayed, demonstrated, followed, interrupted, refused."""

import gzip
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trio
from mcp import Client

from actors.playback.captures import bundled

sys.path.insert(0, str(Path(__file__).parent / "wadm"))
import oracle

RECORDED = Path(__file__).parent / "captures" / "hftbacktest"
CAPTURES = {
    "BTCUSDT": RECORDED / "usdm_btcusdt_20240718.gz",
    "ETHUSDT": RECORDED / "usdm_ethusdt_20240718.gz",
}
TICKS = {"BTCUSDT": Decimal("0.1"), "ETHUSDT": Decimal("0.01")}
WADM = [sys.executable, "-m", "wadm"]

#: What "within 2 s" allows for two busy cores.
SLACK = 1.5


def environment(**change: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WADM_")}
    return kept | {"PYTHONUNBUFFERED": "1", "ENVIRONMENT": "testing"} | change


def wadm(*arguments: object, cwd: Path | None = None, **change: str) -> subprocess.CompletedProcess[str]:
    command = [*WADM, *map(str, arguments)]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=90, cwd=cwd, env=environment(**change)
    )


def replay(*arguments: object) -> dict[str, Any]:
    done = wadm("replay", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def lines_of(path: Path) -> list[str]:
    with gzip.open(path, "rt") as file:
        return file.read().splitlines()


def summary(trades: Sequence[oracle.Trade], row_size: Decimal) -> dict[str, Any]:
    """Compute what replay prints of a symbol, independently."""
    flow, levels = oracle.flow(trades), oracle.levels(trades, row_size)
    in_time = sorted(trades, key=lambda trade: (trade.at_ms, trade.id))
    exact = {
        "volume": flow.volume, "buy_volume": flow.buy, "sell_volume": flow.sell, "delta": flow.delta,
        "open": flow.open, "high": flow.high, "low": flow.low, "close": flow.close,
        "poc": levels.poc, "vah": levels.vah, "val": levels.val, "row_size": row_size,
    }  # fmt: skip
    return {
        "trades": flow.trades,
        "first_trade_id": in_time[0].id,
        "last_trade_id": in_time[-1].id,
        **{name: oracle.plain(value) for name, value in exact.items() if value is not None},
        "profile_sha256": oracle.fingerprint(trades, row_size),
    }


@pytest.fixture(scope="module")
def recorded() -> dict[str, list[oracle.Trade]]:
    return {symbol: oracle.read_trades(lines_of(path), symbol) for symbol, path in CAPTURES.items()}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("replayed") / "data"


@pytest.fixture(scope="module")
def replayed(data_dir: Path) -> dict[str, Any]:
    """Both captures in one command, which keeps its data."""
    return replay(*CAPTURES.values(), "--exchange", "binance_usdm", "--data-dir", data_dir)


# --- replay ---


def test_every_figure_of_a_replay_is_what_an_independent_computation_gives(
    replayed: dict[str, Any], recorded: dict[str, list[oracle.Trade]]
) -> None:
    assert replayed["symbols"] == {
        f"binance_usdm:{symbol}": summary(trades, TICKS[symbol]) for symbol, trades in recorded.items()
    }
    count = sum(map(len, recorded.values()))
    ledger = replayed["ledger"]
    assert (ledger["received"], ledger["applied"]) == (count, count)
    assert (ledger["duplicate"], ledger["rejected"], ledger["shed"], ledger["in_flight"]) == (0, {}, {}, 0)
    assert ledger["balanced"] is True
    assert ledger["frames_rejected"] == {}
    assert replayed["gaps"] == []
    assert replayed["seconds"] > 0
    assert replayed["trades_per_second"] > 0


def test_another_pace_and_row_size_change_no_trade(
    replayed: dict[str, Any], recorded: dict[str, list[oracle.Trade]]
) -> None:
    paced = replay(*CAPTURES.values(), "--exchange", "binance_usdm", "--speed", "90", "--row-size", "5")
    assert paced["symbols"] == {
        f"binance_usdm:{symbol}": summary(trades, Decimal(5)) for symbol, trades in recorded.items()
    }
    same = ("trades", "first_trade_id", "last_trade_id", "volume", "delta", "open", "high", "low", "close")
    for key, numbers in replayed["symbols"].items():
        assert {name: numbers[name] for name in same} == {name: paced["symbols"][key][name] for name in same}
    assert paced["seconds"] > 1.5


def test_a_data_directory_that_is_not_empty_is_refused(replayed: dict[str, Any], data_dir: Path) -> None:
    done = wadm("replay", CAPTURES["BTCUSDT"], "--exchange", "binance_usdm", "--data-dir", data_dir)
    assert done.returncode == 2
    assert done.stderr == (
        f"wadm replay: {data_dir} is not an empty directory; name one that is, or a new one\n"
    )
    assert done.stdout == ""


class Altered:
    """A recording in which trades are cut out, repeated, broken and falsified."""

    def __init__(self, lines: Sequence[str], path: Path, broken_by: str = '"quantity":"') -> None:
        trades = [index for index, line in enumerate(lines) if '"e":"trade"' in line]
        ids = {index: int(re.findall(r'"t":(\d+)', lines[index])[0]) for index in trades}
        cut, twice = {*trades[100:110], trades[300]}, {*trades[150:170]}
        broken, untrue = {*trades[200:203]}, {*trades[250:255]}
        self.gaps = [
            (ids[trades[first]], ids[trades[last]]) for first, last in ((100, 109), (200, 202), (300, 300))
        ]
        self.left = {ids[index] for index in trades if index not in cut | broken | untrue}
        self.twice, self.broken, self.untrue = len(twice), len(broken), len(untrue)
        self.path = path
        with path.open("w") as file:
            for index, line in enumerate(lines):
                if index in cut:
                    continue
                text = line.replace('"q":"', broken_by) if index in broken else line
                text = text.replace('"X":"MARKET"', '"X":"INSURANCE_FUND"') if index in untrue else text
                file.write(f"{text}\n" * (2 if index in twice else 1))


def test_what_is_cut_repeated_broken_or_untrue_is_told_apart_and_disturbs_nothing_else(
    tmp_path: Path, recorded: dict[str, list[oracle.Trade]]
) -> None:
    altered = Altered(lines_of(CAPTURES["BTCUSDT"]), tmp_path / "altered")
    answer = replay(altered.path, "--exchange", "binance_usdm")
    trades = [trade for trade in recorded["BTCUSDT"] if trade.id in altered.left]
    assert answer["symbols"] == {"binance_usdm:BTCUSDT": summary(trades, TICKS["BTCUSDT"])}
    ledger = answer["ledger"]
    assert ledger["duplicate"] == altered.twice
    assert ledger["rejected"] == {"not_market": altered.untrue}
    assert ledger["frames_rejected"] == {"missing_field": altered.broken}
    assert ledger["applied"] == len(trades)
    assert ledger["received"] == len(trades) + altered.twice + altered.untrue
    assert ledger["balanced"] is True


def test_ids_that_a_recording_does_not_hold_are_gaps(tmp_path: Path) -> None:
    altered = Altered(lines_of(CAPTURES["BTCUSDT"]), tmp_path / "altered")
    answer = replay(altered.path, "--exchange", "binance_usdm", "--data-dir", tmp_path / "data")
    assert [(gap["first"], gap["last"]) for gap in answer["gaps"]] == altered.gaps
    # They are found again in the data, at the time of the recording.
    read = query(tmp_path / "data", "BTCUSDT")
    assert [(gap["first"], gap["last"]) for gap in read["gaps"]] == altered.gaps


def test_a_recorded_trade_whose_quantity_is_no_number_does_not_hold_up_the_end(tmp_path: Path) -> None:
    altered = Altered(lines_of(CAPTURES["BTCUSDT"]), tmp_path / "altered", broken_by='"q":"x')
    answer = replay(altered.path, "--exchange", "binance_usdm")
    assert answer["ledger"]["rejected"] == {"not_a_number": altered.broken, "not_market": altered.untrue}


def test_raw_frames_say_the_same_as_combined_ones(
    tmp_path: Path, recorded: dict[str, list[oracle.Trade]]
) -> None:
    raw = tmp_path / "raw"
    with raw.open("w") as file:
        for line in lines_of(CAPTURES["ETHUSDT"]):
            at, _, text = line.partition(" ")
            body = re.sub(r'^\{"stream":"[^"]*","data":(.*)\}$', r"\1", text)
            file.write(f"{int(at) // 1000} {body}\n")
    answer = replay(raw, "--exchange", "binance_usdm")
    assert answer["symbols"] == {"binance_usdm:ETHUSDT": summary(recorded["ETHUSDT"], TICKS["ETHUSDT"])}


# --- query ---


def query(directory: Path, symbol: str, exchange: str = "binance_usdm", **asked: str) -> dict[str, Any]:
    options = [part for name, value in asked.items() for part in (f"--{name.replace('_', '-')}", value)]
    done = wadm(
        "query", "profile", "--data-dir", directory, "--exchange", exchange, "--symbol", symbol,
        *options, "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize("row_size", [None, "2.5"])
def test_the_data_directory_gives_the_same_numbers_afterwards(
    replayed: dict[str, Any], data_dir: Path, recorded: dict[str, list[oracle.Trade]], row_size: str | None
) -> None:
    asked = {} if row_size is None else {"row_size": row_size}
    answer = query(data_dir, "BTCUSDT", **asked)
    expected = summary(recorded["BTCUSDT"], Decimal(row_size or "0.1"))
    assert {name: answer[name] for name in expected} == expected
    assert answer["gaps"] == []


def test_windows_of_the_data_directory_hold_exactly_their_trades(
    replayed: dict[str, Any], data_dir: Path, recorded: dict[str, list[oracle.Trade]]
) -> None:
    trades = recorded["ETHUSDT"]
    middle = trades[len(trades) // 2].at_ms // 60_000 * 60_000
    named = query(data_dir, "ETHUSDT", start=iso(middle - 60_000), end=iso(middle + 60_000), row_size="0.05")
    expected = summary(oracle.within(trades, middle - 60_000, middle + 60_000), Decimal("0.05"))
    assert {name: named[name] for name in expected} == expected

    newest = max(trade.at_ms for trade in trades) // 300_000 * 300_000
    current = query(data_dir, "ETHUSDT", timeframe="5m")
    expected = summary(oracle.within(trades, newest, newest + 300_000), TICKS["ETHUSDT"])
    assert {name: current[name] for name in expected} == expected
    assert current["start"] == iso(newest)


# --- demo ---


class Running:
    """A daemon in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.url = ""

    def read_url(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            found = re.search(r"http://[^\s/]+", line)
            if found:
                self.url = found[0]
                return
        raise AssertionError(f"it never said where it serves: {self.end()}")

    def get(self, path: str) -> Any:
        try:
            with urllib.request.urlopen(self.url + path, timeout=20) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            return json.load(error)

    def until(self, path: str, holds: Callable[[Any], bool], seconds: float = 40) -> Any:
        deadline = time.monotonic() + seconds
        while not holds(answer := self.get(path)):
            assert time.monotonic() < deadline, answer
            time.sleep(0.05)
        return answer

    def end(self) -> tuple[int, str]:
        _, errors = self.process.communicate(timeout=30)
        return self.process.returncode, errors

    def interrupt(self, number: signal.Signals) -> None:
        """Send a signal; it must end by it in order, and soon."""
        began = time.monotonic()
        self.process.send_signal(number)
        status, errors = self.end()
        took = time.monotonic() - began
        assert status == 0, errors
        assert "Traceback" not in errors, errors
        assert took < 2.0 + SLACK, f"it took {took:.1f} s to end"


@contextmanager
def started(*arguments: object, cwd: Path | None = None, **change: str) -> Iterator[Running]:
    with subprocess.Popen(
        [*WADM, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd,
        env=environment(**change), start_new_session=True,
    ) as process:  # fmt: skip
        try:
            yield Running(process)
        finally:
            process.kill()


def test_the_demo_answers_programs_and_agents_with_the_recordings_numbers(tmp_path: Path) -> None:
    lines = lines_of(bundled())
    trades = {symbol: oracle.read_trades(lines, symbol) for symbol in ("BTCUSDT", "ETHUSDT")}
    with started("demo", "--speed", "max", "--port", "0", "--data-dir", tmp_path / "data") as demo:
        demo.read_url()
        health = demo.until("/health", lambda answer: answer["collectors"] == {"binance": "ended"})
        assert health["status"] == "healthy"
        listed = demo.get("/api/v1/symbols")["symbols"]
        assert {one["symbol"]: one["state"] for one in listed} == {"BTCUSDT": "live", "ETHUSDT": "live"}

        minutes = [trade.at_ms // 60_000 for trade in trades["BTCUSDT"]]
        start, end = min(minutes) * 60_000, (max(minutes) + 1) * 60_000
        window = f"exchange=binance&symbol=BTCUSDT&start={iso(start)}&end={iso(end)}"
        wanted = summary(trades["BTCUSDT"], Decimal(10))
        shared = set(wanted) - {"first_trade_id", "last_trade_id", "profile_sha256"}
        path = f"/api/v1/volume-profile?{window}&row_size=10"
        made = demo.until(path, lambda answer: answer["trades"] == wanted["trades"])
        assert {name: made[name] for name in shared} == {name: wanted[name] for name in shared}
        rows = [(row["price"], row["buy"], row["sell"], row["count"]) for row in made["rows"]]
        assert rows == [
            (oracle.plain(row), oracle.plain(buy), oracle.plain(sell), count)
            for row, buy, sell, count in oracle.traded_rows(trades["BTCUSDT"], Decimal(10))
        ]
        assert made["coverage"]["gaps"] == []

        flow, exact = demo.get(f"/api/v1/order-flow?{window}"), oracle.flow(trades["BTCUSDT"])
        assert (flow["delta"], flow["delta_high"], flow["delta_low"], flow["cvd"]) == (
            oracle.plain(exact.delta), oracle.plain(exact.delta_high), oracle.plain(exact.delta_low),
            oracle.plain(oracle.cvd(trades["BTCUSDT"], end)),
        )  # fmt: skip
        assert demo.get("/api/v1/status")["ledger"]["balanced"] is True

        asked = {
            "exchange": "binance",
            "symbol": "BTCUSDT",
            "start": iso(start),
            "end": iso(end),
            "row_size": "10",
        }
        told = trio.run(_ask_agent, demo.url, asked)
        assert {name: told[name] for name in ("poc", "vah", "val")} == {
            name: wanted[name] for name in ("poc", "vah", "val")
        }
        demo.interrupt(signal.SIGINT)
    # What it kept can be read without it.
    done = wadm(
        "query",
        "profile",
        "--data-dir",
        tmp_path / "data",
        "--exchange",
        "binance",
        "--symbol",
        "ETHUSDT",
        "--json",
    )
    assert json.loads(done.stdout)["profile_sha256"] == oracle.fingerprint(trades["ETHUSDT"], Decimal("0.01"))


async def _ask_agent(url: str, asked: dict[str, str]) -> dict[str, Any]:
    with trio.fail_after(30):
        async with Client(f"{url}/mcp") as agent:
            result = await agent.call_tool("get_volume_profile", asked)
            assert not result.is_error
            assert result.structured_content is not None
            return dict(result.structured_content)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_the_demo_ends_in_order_in_the_middle_of_the_recording(
    number: signal.Signals, tmp_path: Path
) -> None:
    with started("demo", "--speed", "20", "--port", "0", TMPDIR=str(tmp_path)) as demo:
        demo.read_url()
        demo.until("/health", lambda answer: answer["status"] == "healthy")
        demo.interrupt(number)
    assert list(tmp_path.iterdir()) == []  # no data is left behind


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_the_demo_ends_in_order_while_it_starts(number: signal.Signals) -> None:
    later = random.SystemRandom().random() * 1.5
    print("seconds after the start:", later)  # noqa: T201
    with started("demo", "--speed", "max", "--port", "0") as demo:
        _wait_until_it_listens_to_signals(demo.process.pid)
        time.sleep(later)
        demo.interrupt(number)


def _wait_until_it_listens_to_signals(pid: int) -> None:
    """Wait until the program's own code runs: before that, it is the interpreter that is interrupted."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():  # not on Linux
        time.sleep(0.5)
        return
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        caught = int(re.findall(r"SigCgt:\s*(\w+)", status.read_text())[0], 16)
        if caught >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.005)
    raise AssertionError("it never listened to signals")


def test_an_address_that_is_taken_is_refused_where_it_was_asked_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = wadm("demo", "--port", port, "--data-dir", tmp_path / "data")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1] == (
        f"wadm demo: Cannot listen on 127.0.0.1:{port}: it is in use; stop the program that holds it, "
        "or set another port (0 is any free one)."
    )


def test_the_demo_takes_any_port_where_the_usual_one_is_taken() -> None:
    try:
        taken = socket.create_server(("127.0.0.1", 8920))
    except OSError:
        taken = None  # so much the better
    with started("demo", "--speed", "max", "--exit") as demo:
        demo.read_url()
        assert not demo.url.endswith(":8920")
        status, errors = demo.end()
        assert status == 0, errors
        assert errors == ""
    if taken is not None:
        taken.close()


# --- run ---


def test_without_an_exchange_it_stays_up_says_so_and_keeps_trying(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    config = tmp_path / "wadm.yaml"
    config.write_text(
        f"http: {{port: 0}}\nstorage: {{data_dir: {tmp_path}/data}}\nexchanges:\n"
        f"  binance: {{url: 'ws://127.0.0.1:{port}', symbols: [BTCUSDT]}}\n"
        f"  bybit: {{url: 'ws://127.0.0.1:{port}', symbols: [BTCUSDT]}}\n"
    )
    with started("run", "--config", config, WADM_LOG_FORMAT="json") as daemon:
        _read_served_url(daemon)
        health = daemon.until("/health", lambda answer: "disconnected" in answer["collectors"].values())
        assert health["status"] == "degraded"
        assert any("Connection refused" in reason and "bybit is" in reason for reason in health["reasons"])

        def tried_again(tree: dict[str, Any]) -> bool:
            (connections,) = (one for one in tree["children"] if one["name"] == "connections")
            return all(one["restarts"] >= 2 and one["breaker"] for one in connections["children"])

        tree = daemon.until("/api/v1/actors", tried_again)
        (connections,) = (one for one in tree["children"] if one["name"] == "connections")
        assert {one["state"] for one in connections["children"]} <= {"parked", "running"}
        assert all("Connection refused" in one["last_crash"] for one in connections["children"])

        other = wadm("run", "--config", config)
        assert other.returncode == 2
        assert other.stderr == (
            f"wadm run: data directory {tmp_path}/data is in use by process {daemon.process.pid}: "
            "stop that one, or choose another data directory\n"
        )
        daemon.interrupt(signal.SIGTERM)


@pytest.fixture
def unreachable(tmp_path: Path) -> Callable[..., Path]:
    """Return what writes settings of exchanges that nobody can connect to."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        host = f"127.0.0.1:{gone.getsockname()[1]}"

    def write(http: str = "port: 0", streams: str = "[trades]", **symbols: str) -> Path:
        path = tmp_path / "wadm.yaml"
        told = f"url: 'ws://{host}', rest_url: 'http://{host}', streams: {streams}"
        exchanges = (f"  {name}: {{{told}, symbols: {chosen}}}\n" for name, chosen in symbols.items())
        head = f"http: {{{http}}}\nstorage: {{data_dir: {tmp_path}/data}}\nexchanges:\n"
        path.write_text(head + "".join(exchanges))
        return path

    return write


def _followed(daemon: Running, *keys: str) -> None:
    """Return once exactly these symbols are followed."""

    def holds(answer: dict[str, Any]) -> bool:
        return {f"{one['exchange']}:{one['symbol']}" for one in answer["symbols"]} == {*keys}

    daemon.until("/api/v1/symbols", holds)


def _logged(daemon: Running, event: str) -> dict[str, Any]:
    assert daemon.process.stderr is not None
    for line in daemon.process.stderr:
        told: dict[str, Any] = json.loads(line)
        if told["event"] == event:
            return told
    raise AssertionError(f"{event} was never logged")


def test_a_hangup_takes_over_symbols_and_streams_and_refuses_what_is_wrong(
    unreachable: Callable[..., Path],
) -> None:
    config = unreachable(binance="[BTCUSDT, ETHUSDT]", bybit="[BTCUSDT]")
    with started("run", "--config", config, WADM_LOG_FORMAT="json") as daemon:
        _read_served_url(daemon)
        _followed(daemon, "binance:BTCUSDT", "binance:ETHUSDT", "bybit:BTCUSDT")

        unreachable(
            binance="[BTCUSDT, SOLUSDT]", bybit="[BTCUSDT]", http="port: 81", streams="[trades, book]"
        )
        daemon.process.send_signal(signal.SIGHUP)
        assert _logged(daemon, "settings_wait_for_a_restart")["keys"] == ["http.port"]
        _followed(daemon, "binance:BTCUSDT", "binance:SOLUSDT", "bybit:BTCUSDT")
        tree = daemon.get("/api/v1/actors")
        names = [one["name"] for crew in tree["children"] for one in crew["children"]]
        assert "aggregator:binance:SOLUSDT" in names
        assert not any("ETHUSDT" in name for name in names)
        collectors = {one["name"]: one["streams"] for one in daemon.get("/api/v1/status")["collectors"]}
        assert collectors == {"connection:binance#1": 4, "connection:bybit#1": 2}

        unreachable(binance="[BTC/USDT]")
        daemon.process.send_signal(signal.SIGHUP)
        (problem,) = _logged(daemon, "settings_refused")["problems"]
        assert problem.startswith("exchanges.binance.symbols is 'BTC/USDT'; expected ")
        config.write_text("exchanges: [")
        daemon.process.send_signal(signal.SIGHUP)
        assert "is not YAML" in _logged(daemon, "settings_refused")["problems"][0]
        _followed(daemon, "binance:BTCUSDT", "binance:SOLUSDT", "bybit:BTCUSDT")
        daemon.interrupt(signal.SIGTERM)


def test_symbols_are_chosen_on_the_command_line_and_kept_over_a_restart(
    unreachable: Callable[..., Path], tmp_path: Path
) -> None:
    config = unreachable(binance="[BTCUSDT, ETHUSDT]")
    with started("run", "--config", config, WADM_LOG_FORMAT="json") as daemon:
        _read_served_url(daemon)
        told = ("--url", daemon.url, "--exchange", "binance")
        added = wadm("symbols", "add", *told, "solusdt", "XRPUSDT", "--json")
        assert added.returncode == 0, added.stderr
        assert [(one["symbol"], one["state"]) for one in json.loads(added.stdout)["symbols"]] == [
            ("SOLUSDT", "followed"),
            ("XRPUSDT", "followed"),
        ]
        removed = wadm("symbols", "remove", *told, "ETHUSDT", "NOPEUSDT")
        assert removed.returncode == 2
        assert removed.stdout.split() == ["binance", "ETHUSDT", "left"]
        assert removed.stderr.startswith("wadm symbols: symbol is 'NOPEUSDT'; expected one of BTCUSDT, ")
        listed = wadm("symbols", "list", "--url", daemon.url, "--json")
        assert {one["symbol"] for one in json.loads(listed.stdout)["symbols"]} == {
            "BTCUSDT", "SOLUSDT", "XRPUSDT"
        }  # fmt: skip
        daemon.interrupt(signal.SIGTERM)
    with started("run", "--config", config, WADM_LOG_FORMAT="json") as again:
        _read_served_url(again)
        _followed(again, "binance:BTCUSDT", "binance:SOLUSDT", "binance:XRPUSDT")
        again.interrupt(signal.SIGTERM)
    (tmp_path / "data" / "followed.json").write_text('{"binance": {"added": "SOLUSDT"}}')
    done = wadm("run", "--config", config)
    assert done.returncode == 2
    assert f"{tmp_path}/data/followed.json is not the list of symbols" in done.stderr


def test_an_exchange_of_patterns_alone_says_what_it_waits_for(unreachable: Callable[..., Path]) -> None:
    config = unreachable(binance="['top:20', '*USDC']")
    with started("run", "--config", config, WADM_LOG_FORMAT="json") as daemon:
        _read_served_url(daemon)
        health = daemon.get("/health")
        assert health["status"] == "degraded"
        assert any(reason.startswith("binance follows no symbol yet") for reason in health["reasons"])
        (told,) = daemon.get("/api/v1/status")["following"]
        assert (told["symbols"], told["patterns"], told["waits_for_list"]) == (0, ["TOP:20", "*USDC"], True)
        daemon.interrupt(signal.SIGTERM)


def _read_served_url(daemon: Running) -> None:
    assert daemon.process.stderr is not None
    for line in daemon.process.stderr:
        told = json.loads(line)
        if told["event"] == "serving":
            daemon.url = told["url"]
            return
    raise AssertionError("it never said where it serves")
