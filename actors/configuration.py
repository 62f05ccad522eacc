"""Loads settings and the list of instruments: files first, then the environment, then flags."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

import wadm
from wadm.exchanges.registry import EXCHANGES
from wadm.listing import read_listing
from wadm.market import Instrument
from wadm.settings import Raw, Settings, SettingsError, from_environment, overlay, read_settings


def defaults() -> Path:
    """Return the folder of the default configuration: inside the wheel, or at the top of a checkout."""
    package = Path(wadm.__file__).parent
    shipped = package / "_config"
    return shipped if shipped.is_dir() else package.parent / "config"


def load_settings(path: Path | None, flags: Raw, environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings of a file (else ``config/wadm.yaml``, else the defaults), environment and flags.

    Raises SettingsError with one line for each problem.
    """
    if path is None:
        local = Path("config/wadm.yaml")
        path = local if local.is_file() else defaults() / "wadm.yaml"
    layers = overlay(_yaml(path), from_environment(environment), flags)
    try:
        return read_settings(layers, sorted(EXCHANGES))
    except SettingsError as error:
        where = f"[{path}, environment or flags]"
        raise SettingsError([f"{problem}  {where}" for problem in error.problems]) from error


def load_listing(beside: Path | None = None) -> dict[str, Instrument]:
    """Return the instruments of ``symbols.yaml``: that beside the settings file, if any, else the default."""
    candidates = [Path("config/symbols.yaml"), defaults() / "symbols.yaml"]
    if beside is not None:
        candidates.insert(0, beside.parent / "symbols.yaml")
    path = next(candidate for candidate in candidates if candidate.is_file())
    try:
        return read_listing(_yaml(path))
    except SettingsError as error:
        raise SettingsError([f"{path}: {problem}" for problem in error.problems]) from error


def _yaml(path: Path) -> dict[str, Any]:
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError([f"{path} cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise SettingsError([f"{path} is not UTF-8 text"]) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise SettingsError([f"{path}{where} is not YAML: {getattr(error, 'problem', error)}"]) from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise SettingsError([f"{path} holds {type(loaded).__name__}; expected names with values"])
    return loaded
