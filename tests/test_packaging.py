"""What a newcomer and a package index see: names, versions, dependencies, and the README's commands."""

import ast
import re
import runpy
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import actors
import supervision
import wadm
from actors.configuration import defaults
from actors.playback.captures import bundled

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements.lock").read_text()
README = (ROOT / "README.md").read_text()

PACKAGES = [Path(package.__file__).parent for package in (wadm, actors, supervision)]
OURS = {"wadm", "actors", "supervision"}

#: The tests' own modules, which they import from one another.
TESTS_OWN = {path.stem for path in (ROOT / "tests").rglob("*.py")}

#: What readers of ``tests/benchmarks/peers`` import, each in an environment of its own.
PEERS = {"binance", "ccxt", "cryptofeed", "picows", "unicorn_binance_websocket_api", "uvloop"}


def requirements(*extras: str) -> list[Requirement]:
    listed = [*PROJECT["dependencies"]]
    for extra in extras:
        listed += PROJECT["optional-dependencies"][extra]
    return [Requirement(one) for one in listed]


def imported(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.partition(".")[0]


def distributions(modules: set[str]) -> set[str]:
    owners = metadata.packages_distributions()
    foreign = modules - OURS - TESTS_OWN - set(sys.stdlib_module_names)
    return {canonicalize_name(name) for module in foreign for name in owners[module]}


def declared(*extras: str) -> set[str]:
    # fastmcp is a front for fastmcp-slim, which owns the import name.
    names = {canonicalize_name(one.name) for one in requirements(*extras)}
    return names | ({"fastmcp-slim"} if "fastmcp" in names else set())


def test_every_library_that_is_imported_is_declared():
    used = {module for package in PACKAGES for module in imported(package)}
    assert distributions(used) <= declared("postgresql")


def test_every_library_that_the_tests_import_is_in_the_test_extra():
    # The fuzzer is no test: its recipe installs what it needs.
    assert distributions(set(imported(ROOT / "tests")) - PEERS - {"atheris"}) <= declared("test")


def test_the_version_is_said_once():
    assert metadata.version("wadm") == wadm.__version__ == PROJECT["version"]


def test_the_changelog_knows_the_version():
    assert f"## {wadm.__version__}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("requirement", requirements("test", "dev"), ids=str)
def test_the_lock_pins_every_requirement(requirement: Requirement):
    pinned = re.findall(rf"^{canonicalize_name(requirement.name)}==(\S+)", LOCK, re.MULTILINE)
    assert pinned
    assert all(version in requirement.specifier for version in pinned)


def test_every_pin_has_its_hashes_and_nothing_names_a_host():
    for pin in re.split(r"\n(?=\w)", LOCK)[1:]:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", pin), pin
    assert not re.search(r"://|\.(com|org|io)\b|^-|file:| @ ", LOCK, re.MULTILINE)


def test_the_two_commands_stand_at_the_top_of_the_readme():
    assert re.findall(r"^python3 .*$", README, re.MULTILINE)[:2] == [
        "python3 -m venv .venv && .venv/bin/pip install -e . && .venv/bin/wadm demo",
        "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest",
    ]
    assert README.index("python3 -m venv") < README.index("\n## ", README.index("\n## ") + 1)


def test_the_readme_links_to_what_exists():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        if target.partition("/")[0] in OURS | {"config"}:
            home = Path(wadm.__file__).parent.parent
            if not (home / target).exists():
                assert (defaults() / Path(target).name).exists(), target
        else:
            assert (ROOT / target).exists(), target


def test_every_recipe_of_the_readme_is_in_the_justfile():
    recipes = set(re.findall(r"^([\w-]+)(?: [^:=]*)?:(?!=)", (ROOT / "justfile").read_text(), re.MULTILINE))
    assert recipes >= {"run", "demo", "drill", "test", "lint", "types", "bench", "sync", "lock"}
    assert set(re.findall(r"`just ([\w-]+)", README)) <= recipes


def test_the_readme_shows_the_example_of_supervision_as_it_runs(capsys: pytest.CaptureFixture[str]):
    example = ROOT / "tests" / "supervision" / "example.py"
    ((shown, printed),) = re.findall(
        r"^```python\n(.*?)^```\n```\n(.*?)^```$", README, re.DOTALL | re.MULTILINE
    )
    assert shown == example.read_text()
    runpy.run_path(str(example), run_name="__main__")
    assert capsys.readouterr().out == printed


def test_the_default_configuration_is_found():
    for name in ("wadm.yaml", "symbols.yaml"):
        assert isinstance(yaml.safe_load((defaults() / name).read_text()), dict)


def test_the_bundled_recording_is_small_and_has_its_licence_and_source():
    assert bundled().stat().st_size <= 2_000_000
    assert "MIT License" in (bundled().parent / "LICENSE").read_text()
    assert bundled().name in (bundled().parent / "SOURCE.md").read_text()


@pytest.mark.parametrize("package", PACKAGES, ids=lambda folder: folder.name)
def test_every_package_says_that_it_is_typed(package: Path):
    assert (package / "py.typed").is_file()


def test_the_console_script_is_wadm():
    (script,) = metadata.entry_points(group="console_scripts", name="wadm")
    assert script.load().__module__ == "wadm.__main__"
