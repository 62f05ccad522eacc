"""What commands on a data directory have in common: where it is."""

import argparse
from pathlib import Path

from actors.configuration import load_settings
from wadm.mistakes import Mistake
from wadm.sections import StorageSettings
from wadm.settings import Settings


class RangeError(Mistake):
    """A range of time that cannot be used; one sentence."""


def add_place(parser: argparse.ArgumentParser) -> None:
    """Declare the flags that say where the data is."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings (default: config/wadm.yaml)")
    parser.add_argument(
        "--data-dir", metavar="DIR", help="the data directory (default: that of the settings)"
    )


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Return the settings that files, environment and flags make. Raises SettingsError."""
    given = {} if arguments.data_dir is None else {"storage": {"data_dir": arguments.data_dir}}
    return load_settings(arguments.config, given)


def storage_of(arguments: argparse.Namespace) -> StorageSettings:
    """Return those of them that are about storage. Raises SettingsError."""
    return settings_of(arguments).storage
