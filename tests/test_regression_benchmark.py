"""The check of the hot path's instructions, as far as it is arithmetic: what is worse is found."""

import json
import sys
from importlib import import_module
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent / "benchmarks"

#: Instructions of children: 1,000 to begin with, the reference takes 200.
COUNTS = {"prepare": 1_000, "reference": 1_200, "decode": 1_300, "fold": 1_400, "encode": 1_450}
RATIOS = {"decode": 1.5, "fold": 0.5, "encode": 0.25, "all": 2.25}


@pytest.fixture
def regression(monkeypatch):
    """The script; it finds valgrind."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield import_module("regression")
    for name in ("load", "regression", "regression_work"):
        sys.modules.pop(name, None)


@pytest.fixture
def check(regression, monkeypatch, tmp_path):
    """Run the command against a file of baselines; return its exit code."""
    monkeypatch.setattr(regression.shutil, "which", lambda _: "/usr/bin/valgrind")

    def run(*arguments, found):
        monkeypatch.setattr(sys, "argv", ["regression", *arguments])
        return regression.main(lambda: found, tmp_path / "baseline")

    return run


def test_a_step_takes_what_its_child_takes_more_than_the_one_before(regression):
    assert regression.ratios(COUNTS) == {"decode": 1.5, "fold": 0.5, "encode": 0.25, "all": 2.25}


def test_what_took_no_more_than_before_passes(check):
    assert check("--renew", found={"a case": RATIOS}) == 0
    assert check(found={"a case": {**RATIOS, "decode": 1.5 * 1.09}}) == 0


def test_a_small_step_has_slack_of_the_whole(check):
    check("--renew", found={"a case": RATIOS})
    assert check(found={"a case": {**RATIOS, "encode": 0.25 + 0.029 * 2.25}}) == 0
    assert check(found={"a case": {**RATIOS, "encode": 0.25 + 0.031 * 2.25}}) == 1


@pytest.mark.parametrize("step", ["decode", "all"])
def test_a_step_that_takes_more_fails_and_says_what_to_do(check, capsys, step):
    check("--renew", found={"a case": RATIOS})
    capsys.readouterr()
    assert check(found={"a case": {**RATIOS, step: RATIOS[step] * 1.11}}) == 1
    printed = capsys.readouterr().out
    (line,) = [line for line in printed.splitlines() if line.endswith("worse")]
    assert f"a case: {step}" in line
    assert "+11.0%" in line
    assert "just regression --renew" in printed


def test_what_is_better_or_new_is_named_and_passes(check, capsys):
    check("--renew", found={"a case": RATIOS})
    assert check(found={"a case": {**RATIOS, "fold": 0.3}, "another": RATIOS}) == 0
    printed = capsys.readouterr().out
    assert "-40.0%  better" in printed
    assert "another: all" in printed


def test_renewing_leaves_the_other_versions_alone(check, regression, tmp_path):
    (tmp_path / "baseline").write_text(json.dumps({"3.0": {"a case": RATIOS}}))
    assert check("--renew", found={"a case": RATIOS}) == 0
    kept = json.loads((tmp_path / "baseline").read_text())
    assert kept == {"3.0": {"a case": RATIOS}, f"3.{sys.version_info.minor}": {"a case": RATIOS}}


def test_without_a_baseline_of_its_version_it_passes_and_says_so(check, capsys):
    assert check(found={"a case": RATIOS}) == 0
    assert "SKIPPED: there is no baseline for Python 3." in capsys.readouterr().out


def test_without_valgrind_it_passes_and_says_so(check, regression, monkeypatch, capsys):
    monkeypatch.setattr(regression.shutil, "which", lambda _: None)
    assert check(found={}) == 0
    assert capsys.readouterr().out.startswith("SKIPPED: ")


def test_the_baselines_name_every_case_and_step(regression):
    kept = json.loads(regression.BASELINE.read_text())
    assert kept
    for cases in kept.values():
        assert cases.keys() == regression.CASES.keys()
        assert all(steps.keys() == RATIOS.keys() for steps in cases.values())


def test_the_work_that_is_counted_comes_to_every_trade(regression, tmp_path):
    load, work = import_module("load"), import_module("regression_work")
    for case, (exchange, _) in regression.CASES.items():
        frames = list(load.texts(exchange, 400))
        runs = [frames[first : first + 7] for first in range(0, len(frames), 7)]
        for step in (*regression.STEPS[1:], regression.REFERENCE):
            assert work.STEPS[step](work.CASES[case][0], runs) == 400, (case, step)
