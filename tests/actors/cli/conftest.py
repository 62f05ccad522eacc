import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import stored_market

from actors.cli import main


@pytest.fixture(autouse=True)
def _undisturbed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let no settings around the tests be read."""
    for name in os.environ:
        if name.startswith("WADM_") or name in ("ENVIRONMENT", "MONGODB_URL", "DB_URL", "REDIS_URL"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory that the tests have copies of."""
    return stored_market.make(tmp_path_factory.mktemp("market") / "stored")


@pytest.fixture
def stored(made: Path, tmp_path: Path) -> Path:
    """A data directory with a little of everything."""
    return shutil.copytree(made, tmp_path / "stored")


class Said(str):
    """What a command printed; ``err`` on standard error, ``status`` its exit status."""

    err: str
    status: int

    @property
    def json(self) -> Any:
        return json.loads(self)


@pytest.fixture
def wadm(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Run a command in this process."""

    def run(*arguments: object, status: int = 0) -> Said:
        try:
            found = main([*map(str, arguments)])
        except SystemExit as error:
            found = int(error.code or 0)
        printed = capsys.readouterr()
        said = Said(printed.out)
        said.err, said.status = printed.err, found
        assert found == status, printed
        assert "Traceback" not in said.err
        return said

    return run


@pytest.fixture
def refused(wadm: Callable[..., Said]) -> Callable[..., str]:
    """Return what a command says that refuses to do what it was asked."""

    def run(*arguments: object) -> str:
        said = wadm(*arguments, status=2)
        assert said == ""
        assert said.err.startswith(f"wadm {arguments[0]}: ")
        assert said.err.count("\n") == 1
        return said.err

    return run
