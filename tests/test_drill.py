"""The drill as people run it: what was made to suffer knows what the undisturbed one knows, or it says so."""

import gzip
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from actors.cli import main
from actors.cli.drill import report
from actors.drill.course import Course, Drill
from actors.drill.drill import suffer
from actors.drill.schedule import KINDS
from actors.drill.toll import Toll
from actors.playback.faults import Fault

RECORDED = Path(__file__).parent / "captures" / "hftbacktest"
SPOT = [RECORDED / f"spot_{symbol}_20240808_trades.gz" for symbol in ("btcusdt", "ethusdt")]
KEYS = ["binance:BTCUSDT", "binance:ETHUSDT"]


def seed() -> int:
    """Return a new seed; WADM_SEED repeats one."""
    given = os.environ.get("WADM_SEED")
    # All workers of one run must collect the same names.
    chance = random.Random(os.environ.get("PYTEST_XDIST_TESTRUNUID", random.SystemRandom().random()))
    return int(given) if given else chance.randrange(10**6)


def recorded(count: int = 2_500) -> list[tuple[bytes, int]]:
    """Return the first lines of two recordings with their trade ids."""
    lines: list[bytes] = []
    for path in SPOT:
        with gzip.open(path) as file:
            lines += [line for line, _ in zip(file, range(count), strict=False)]
    lines.sort(key=lambda line: int(line.partition(b" ")[0]))
    return [(line, json.loads(line.partition(b" ")[2])["data"]["t"]) for line in lines]


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("drill") / "capture"
    path.write_bytes(b"".join(line for line, _ in recorded()))
    return path


def wadm(*arguments: object, **change: str) -> tuple[list[str], dict[str, str]]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WADM_")}
    return [sys.executable, "-m", "wadm", *map(str, arguments)], kept | change


@pytest.fixture(scope="module")
def clean(capture: Path) -> dict[str, Any]:
    command, environment = wadm("replay", capture, "--exchange", "binance", "--json")
    done = subprocess.run(command, check=True, capture_output=True, timeout=60, env=environment)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


# --- a drill ---


def test_what_suffered_everything_knows_what_the_undisturbed_one_knows(
    capture: Path, clean: dict[str, Any]
) -> None:
    drawn = seed()
    command, environment = wadm(
        "drill", capture, "--exchange", "binance", "--seed", drawn, "--count", 60, "--rate", 15, "--json"
    )
    done = subprocess.run(command, check=False, capture_output=True, timeout=90, env=environment)
    assert done.stderr == b"", f"WADM_SEED={drawn}"
    told = json.loads(done.stdout)
    assert (told["match"], done.returncode) == (True, 0), f"WADM_SEED={drawn}: {told}"
    assert told["seed"] == drawn
    assert told["symbols"] == clean["symbols"]
    assert sorted(told["symbols"]) == KEYS
    assert told["ledger"]["balanced"] is True
    assert told["ledger"]["in_flight"] == 0
    assert (told["gaps"], told["differing"]) == ([], {})
    assert told["faults"].keys() <= set(KINDS)
    assert told["faults"]["sigkill"] == 1
    # A slow machine is through with the recording before all faults found their place.
    assert told["faults_total"] == sum(told["faults"].values()) > 1
    assert told["restarts"] == sum(told["restarts_by_kind"].values()) > 0
    assert told["restarts_by_kind"]["daemon"] == 1
    # Of the connection it is told where it was seen to recover, which on a busy machine may be never.
    assert "daemon" in told["recovery_ms"]
    for times in told["recovery_ms"].values():
        assert 0 <= times["p50"] <= times["p99"] <= times["max"]
    assert told["seconds"] > 0


def test_a_replay_with_chaos_prints_what_a_clean_one_prints(
    capture: Path, clean: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("actors.cli.replay.Drill", partial(Drill, count=30, rate=15.0))
    drawn = seed()
    assert main(["replay", str(capture), "--exchange", "binance", "--chaos", str(drawn), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["symbols"] == clean["symbols"], f"WADM_SEED={drawn}"
    assert told["gaps"] == []
    assert told["ledger"]["balanced"] is True
    assert told["faults_total"] > 0


# --- what a drill makes of it ---

NUMBERS = {"trades": 3, "volume": "1.5", "profile_sha256": "ab"}
OTHERS = NUMBERS | {"profile_sha256": "cd"}
BALANCED, UNBALANCED = {"balanced": True}, {"balanced": False}


def outcome(numbers: dict[str, Any] | None = None, **change: Any) -> dict[str, Any]:
    symbols = {} if numbers is None else {"binance:BTCUSDT": numbers}
    return {"symbols": symbols, "ledger": BALANCED, "gaps": [], "recorded": {}, **change}


@pytest.mark.parametrize(
    ("clean", "memory", "disk", "match", "differing"),
    [
        (outcome(NUMBERS), outcome(NUMBERS), NUMBERS, True, False),
        (outcome(NUMBERS), outcome(OTHERS), NUMBERS, False, True),
        (outcome(NUMBERS), outcome(NUMBERS), OTHERS, False, True),
        (outcome(OTHERS), outcome(NUMBERS), NUMBERS, False, True),
        (outcome(NUMBERS), outcome(None), NUMBERS, False, True),
        (outcome(NUMBERS), outcome(NUMBERS), None, False, True),
        (outcome(NUMBERS), outcome(NUMBERS, ledger=UNBALANCED), NUMBERS, False, False),
        (outcome(NUMBERS, ledger=UNBALANCED), outcome(NUMBERS), NUMBERS, False, False),
        (outcome(NUMBERS), outcome(NUMBERS, gaps=[{"first": 1, "last": 2}]), NUMBERS, False, False),
    ],
    ids=[
        "match", "memory", "disk", "clean", "not in memory", "not on disk", "ledger", "clean ledger", "gap",
    ],
)  # fmt: skip
def test_whatever_differs_is_no_match(
    clean: dict[str, Any],
    memory: dict[str, Any],
    disk: dict[str, Any] | None,
    match: bool,
    differing: bool,
) -> None:
    toll = Toll(result=memory, on_disk={} if disk is None else {"binance:BTCUSDT": disk})
    told = report(Drill([], "binance", 7), toll, clean, 1.26)
    assert told["match"] is match
    assert list(told["differing"]) == (["binance:BTCUSDT"] if differing else [])
    assert told["symbols"] == memory["symbols"]
    assert (told["seed"], told["seconds"]) == (7, 1.3)


@pytest.mark.parametrize("disk", [{"1m": "b"}, None])
def test_stored_windows_that_differ_are_no_match(disk: dict[str, str] | None) -> None:
    clean = outcome(NUMBERS, recorded={"binance:BTCUSDT": {"1m": "a"}})
    toll = Toll(result=outcome(NUMBERS), on_disk={"binance:BTCUSDT": NUMBERS})
    toll.recorded = {} if disk is None else {"binance:BTCUSDT": disk}
    told = report(Drill([], "binance", 7), toll, clean, 1.26)
    assert (told["match"], told["differing"]) == (False, {})
    assert told["differing_records"] == {"binance:BTCUSDT": {"clean": {"1m": "a"}, "disk": disk}}


@pytest.mark.parametrize(("match", "status"), [(True, 0), (False, 1)])
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_the_exit_status_is_the_verdict(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    match: bool,
    status: int,
    form: list[str],
) -> None:
    async def drilled(drill: Drill) -> dict[str, Any]:
        await trio.lowlevel.checkpoint()
        toll = Toll(result=outcome(NUMBERS), on_disk={"binance:BTCUSDT": NUMBERS})
        return report(drill, toll, outcome(NUMBERS if match else OTHERS), 1.0)

    monkeypatch.setattr("actors.cli.drill._drill", drilled)
    assert main(["drill", "--seed", "3", *form]) == status
    said = capsys.readouterr().out
    if form:
        assert json.loads(said)["match"] is match
    else:
        assert said.startswith("match (seed 3, 1.0 s)\n" if match else "NO MATCH (seed 3, 1.0 s)\n")


def test_recoveries_are_told_by_their_ranks() -> None:
    toll = Toll()
    toll.recoveries["writer"] = [float(number) for number in range(200, 0, -1)]
    toll.recoveries["warm"] = [4.0]
    assert toll.recovery_ms() == {
        "warm": {"p50": 4.0, "p99": 4.0, "max": 4.0},
        "writer": {"p50": 100.0, "p99": 198.0, "max": 200.0},
    }


# --- what a person can get wrong ---


@pytest.fixture
def refusal(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def run(*arguments: object) -> str:
        try:
            status = main(["drill", *map(str, arguments)])
        except SystemExit as error:
            status = int(error.code or 0)
        said = capsys.readouterr()
        assert (status, said.out) == (2, "")
        assert "Traceback" not in said.err
        return said.err.splitlines()[-1]

    return run


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "the following arguments are required: --seed"),
        (["--seed", "x"], "argument --seed: invalid int value: 'x'"),
        (["--faults", "kill,flood"], f"faults 'kill,flood': expected some of {', '.join(KINDS)}"),
        (["--faults", ""], "argument --faults: faults '': expected some of kill,"),
        (["--rate", "0"], "argument --rate: '0' is not a number above 0"),
        (["--rate", "nan"], "argument --rate: 'nan' is not a number above 0"),
        (["--rate", "fast"], "argument --rate: 'fast' is not a number above 0"),
        (["--count", "0"], "argument --count: '0' is not a whole number above 0"),
        (["--count", "-5"], "argument --count: '-5' is not a whole number above 0"),
        (["--count", "1.5"], "argument --count: '1.5' is not a whole number above 0"),
        (["--exchange", "kraken"], "argument --exchange: invalid choice: 'kraken'"),
        ([str(SPOT[0])], "wadm drill: --exchange is missing; name the exchange that the captures were"),
        (
            ["absent", "--exchange", "binance"],
            "wadm drill: absent: cannot be read: No such file or directory",
        ),
    ],
)
def test_a_wrong_argument_is_told_in_a_sentence(
    refusal: Callable[..., str], arguments: list[str], sentence: str
) -> None:
    needed = [] if not arguments or "--seed" in arguments else ["--seed", "1"]
    assert sentence in refusal(*needed, *arguments)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", ": no frame in it, expected '<receive time in ns or µs> <frame>' in each line"),
        ("hello\n", ", line 1: 'hello' cannot be read"),
        (
            '1721347020984480942 {"e":"bookTicker","u":1,"s":"BTCUSDT","b":"1","B":"1","a":"2","A":"1"}\n',
            "the capture holds no trades: there would be nothing to compare",
        ),
    ],
)
def test_a_capture_that_is_of_no_use_is_told_in_a_sentence(
    refusal: Callable[..., str], tmp_path: Path, text: str, sentence: str
) -> None:
    path = tmp_path / "capture"
    path.write_text(text)
    said = refusal(path, "--exchange", "binance", "--seed", 1)
    assert said.startswith("wadm drill: ")
    assert sentence in said


def test_in_a_recording_of_one_trade_there_is_nothing_to_disturb(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "capture"
    path.write_bytes(recorded(1)[0][0])
    assert main(["drill", str(path), "--exchange", "binance", "--seed", "1", "--count", "3", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["match"], told["faults"]) == (True, {})
    assert [one["trades"] for one in told["symbols"].values()] == [1]


# --- interrupted ---


def running_for(capture: Path) -> list[str]:
    """Return the command lines of processes that have to do with a capture's directory."""
    listed = subprocess.run(["ps", "-axww", "-o", "command="], check=True, capture_output=True, text=True)
    return [line for line in listed.stdout.splitlines() if str(capture.parent) in line]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A capture, and a directory for what is temporary beside it."""
    (tmp_path / "temporary").mkdir()
    path = tmp_path / "capture"
    path.write_bytes(b"".join(line for line, _ in recorded()))
    return path


@pytest.fixture
def drilling(own: Path) -> Iterator[subprocess.Popen[str]]:
    """A drill of an hour."""
    command, environment = wadm(
        "drill", own, "--exchange", "binance", "--seed", 1, "--count", 36_000, "--json",
        TMPDIR=str(own.parent / "temporary"),
    )  # fmt: skip
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield process
        process.kill()


@pytest.mark.parametrize(
    ("stage", "number"),
    [
        ("wadm-playback-*", signal.SIGINT),
        ("wadm-drill-*/*-wal", signal.SIGINT),
        ("wadm-drill-*/*-wal", signal.SIGTERM),
    ],
    ids=["Ctrl-C while starting", "Ctrl-C", "SIGTERM"],
)
async def test_an_interrupted_drill_ends_at_once_and_leaves_nobody_behind(
    own: Path, drilling: subprocess.Popen[str], stage: str, number: signal.Signals
) -> None:
    temporary = own.parent / "temporary"
    with trio.fail_after(20):
        while not list(temporary.glob(stage)):  # noqa: ASYNC110  # another process makes it
            await trio.sleep(0.01)
    drilling.send_signal(number)
    said, complaint = await trio.to_thread.run_sync(partial(drilling.communicate, timeout=10))
    assert (drilling.returncode, said, complaint) == (130, "", "")
    assert running_for(own) == []
    assert list(temporary.iterdir()) == []


# --- what a recording does not hold ---


@attrs.frozen
class Cuts:
    """A recording out of which runs of trades were cut, of both symbols."""

    path: Path
    gaps: list[tuple[str, int, int, int]]
    after: int  # the index of the first frame behind the longest cut

    @classmethod
    def make(cls, path: Path, count: int) -> "Cuts":
        lines = recorded()
        sizes = [1, 2, 3, 40, 7, 1, 120, 5, 1, 13, 2, 600][:count]
        gone, gaps, longest = set[tuple[str, int]](), [], (0, ("", 0))
        for symbol in ("BTCUSDT", "ETHUSDT"):
            ids = [number for line, number in lines if symbol.encode() in line]
            place = 200
            for size in sizes:
                cut = ids[place : place + size]
                gone |= {(symbol, number) for number in cut}
                gaps.append((symbol, cut[0], cut[-1], size))
                longest = max(longest, (size, (symbol, cut[-1] + 1)))
                place += size + 97
        named = [("BTCUSDT" if b"BTCUSDT" in line else "ETHUSDT", number) for line, number in lines]
        kept = [index for index, name in enumerate(named) if name not in gone]
        path.write_bytes(b"".join(lines[index][0] for index in kept))
        after = next(at for at, index in enumerate(kept) if named[index] == longest[1])
        return cls(path, gaps, after)


def gaps_of(told: dict[str, Any]) -> list[tuple[str, int, int, int]]:
    assert all(gap["state"] == "unfillable" and gap["reason"] for gap in told["gaps"])
    return sorted((gap["symbol"], gap["first"], gap["last"], gap["missing"]) for gap in told["gaps"])


def test_every_cut_of_a_recording_is_a_gap_of_exactly_its_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cuts = Cuts.make(tmp_path / "cut", 12)
    assert main(["replay", str(cuts.path), "--exchange", "binance", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert gaps_of(told) == sorted(cuts.gaps)
    assert len(cuts.gaps) == 24
    kept = len(cuts.path.read_bytes().splitlines())
    assert told["ledger"]["applied"] == told["ledger"]["received"] == kept


@pytest.mark.parametrize("early", [0, 8])
async def test_what_a_disconnect_loses_around_a_cut_comes_back_and_the_cut_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, early: int
) -> None:
    cuts = Cuts.make(tmp_path / "cut", 4)
    fault = Fault(cuts.after - early, "disconnect")
    monkeypatch.setattr(Course, "plan", lambda *_: Course(100.0, (fault,), {}))
    drill = Drill([cuts.path], "binance", 0)
    (tmp_path / "data").mkdir()
    with trio.fail_after(30):
        toll = await suffer(drill, tmp_path / "data")
    assert toll.faults == {"disconnect": 1}
    assert toll.restarts == {"connection": 1}
    assert gaps_of(toll.result) == sorted(cuts.gaps)
    kept = len(cuts.path.read_bytes().splitlines())
    assert toll.result["ledger"]["applied"] == kept
    assert toll.result["symbols"] == toll.on_disk
