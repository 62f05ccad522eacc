"""Settings: their names, their defaults, and what is wrong with the ones given.

They come as nested mappings (a YAML file, then environment variables, then flags) and are read here; a wrong
key or value is refused with the key, the value and what was expected.
"""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import attrs
import cattrs
from cattrs import (
    AttributeValidationNote,
    ClassValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
    IterableValidationNote,
)

from wadm import channels
from wadm.exchanges.base import Exchange
from wadm.exchanges.registry import EXCHANGES
from wadm.mistakes import Mistake
from wadm.sections import (
    AccessSettings,
    ExchangeSettings,
    HttpSettings,
    LogSettings,
    MemorySettings,
    NetworkSettings,
    StorageSettings,
    WrongValue,
)

Raw = Mapping[str, Any]


class SettingsError(Mistake):
    """One or more settings that cannot be used; ``str()`` names each, one a line."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


@attrs.frozen
class Settings:
    """Everything the daemon can be told."""

    http: HttpSettings = attrs.field(factory=HttpSettings)
    access: AccessSettings = attrs.field(factory=AccessSettings)
    storage: StorageSettings = attrs.field(factory=StorageSettings)
    memory: MemorySettings = attrs.field(factory=MemorySettings)
    log: LogSettings = attrs.field(factory=LogSettings)
    network: NetworkSettings = attrs.field(factory=NetworkSettings)
    exchanges: dict[str, ExchangeSettings] = attrs.field(factory=dict)


def _whole_number(value: Any, _type: Any) -> int:
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 20:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise WrongValue(value, "a whole number")


def _switch(value: Any, _type: Any) -> bool:
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    if isinstance(value, bool):
        return value
    raise WrongValue(value, "true or false")


def _text(value: Any, _type: Any) -> str:
    if not isinstance(value, str) or not value:
        raise WrongValue(value, "text")
    return value


def _texts(value: Any, _type: Any) -> tuple[str, ...]:
    # A single name would be taken for a list of its letters.
    if not isinstance(value, list | tuple):
        raise WrongValue(value, "a list, such as [BTCUSDT, ETHUSDT]")
    return tuple(_text(one, str) for one in value)


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True)
    converter.register_structure_hook(int, _whole_number)
    converter.register_structure_hook(bool, _switch)
    converter.register_structure_hook(str, _text)
    converter.register_structure_hook_func(lambda wanted: wanted == tuple[str, ...], _texts)
    converter.register_structure_hook_func(
        lambda wanted: wanted == (str | None), lambda value, _: None if value is None else _text(value, str)
    )
    converter.register_structure_hook_func(
        lambda wanted: wanted == (tuple[str, ...] | None),
        lambda value, _: None if value is None else _texts(value, str),
    )
    return converter


def read_settings(raw: Raw, exchanges: Sequence[str]) -> Settings:
    """Return the settings that ``raw`` describes. Raises SettingsError naming everything that is wrong.

    A section without anything in it (``http:`` and nothing below) is as good as none.
    """
    given = {name: section for name, section in raw.items() if section is not None}
    try:
        settings = _converter().structure(given, Settings)
    except ClassValidationError as error:
        raise SettingsError(list(_problems(error, ""))) from error
    problems = [
        f"exchanges.{name} is not known; expected one of {', '.join(exchanges)}"
        for name in settings.exchanges
        if name not in exchanges
    ]
    for name, exchange in settings.exchanges.items():
        if name in EXCHANGES:
            problems += _exchange_problems(f"exchanges.{name}", exchange, EXCHANGES[name])
    if problems:
        raise SettingsError(problems)
    return settings


def _exchange_problems(path: str, given: ExchangeSettings, exchange: Exchange) -> Iterator[str]:
    """Yield what the exchange itself has to say against its settings."""
    for entry in given.streams or ():
        expected = channels.problem(exchange, entry)
        if expected is not None:
            yield f"{path}.streams is {entry!r}; expected {expected}"
    sources = [str(kind) for kind in exchange.trade_streams]
    if given.trade_source is not None and given.trade_source not in sources:
        yield f"{path}.trade_source is {given.trade_source!r}; expected one of {', '.join(sources)}"


def _problems(error: BaseException, path: str) -> Iterator[str]:
    """Yield one sentence for each leaf of a validation error, with the key's full path."""
    if isinstance(error, ClassValidationError | IterableValidationError):
        for inner in error.exceptions:
            yield from _problems(inner, _step(inner, path))
    elif isinstance(error, ForbiddenExtraKeysError):
        known = [field.name for field in attrs.fields(error.cl)]
        for key in sorted(map(str, error.extra_fields)):
            near = get_close_matches(key, known, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            yield f"{_join(path, key)} is not a setting; expected one of {', '.join(known)}{hint}"
    elif isinstance(error, WrongValue):
        where = _join(path, error.key) if error.key else path
        yield f"{where or 'the settings'} is {error}"
    elif isinstance(error, KeyError):
        yield f"{path or 'the settings'} is missing; a value is required"
    else:
        yield f"{path or 'the settings'} cannot be read; expected a mapping of names to values"


def _step(error: BaseException, path: str) -> str:
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            return _join(path, note.name)
        if isinstance(note, IterableValidationNote):
            return _join(path, str(note.index))
    return path


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


#: Environment variables and the settings they stand for.
ENVIRONMENT = {
    "WADM_HTTP_HOST": ("http", "host"),
    "WADM_HTTP_PORT": ("http", "port"),
    "WADM_ALLOWED_HOSTS": ("http", "allowed_hosts"),
    "WADM_TLS_CERTIFICATE": ("http", "tls_certificate"),
    "WADM_TLS_KEY": ("http", "tls_key"),
    "API_KEY": ("access", "api_key"),
    "WADM_KEY_DAYS": ("access", "key_days"),
    "WADM_REQUESTS_PER_MINUTE": ("access", "requests_per_minute"),
    "WADM_KEY_REQUESTS_PER_MINUTE": ("access", "key_requests_per_minute"),
    "WADM_DATA_DIR": ("storage", "data_dir"),
    "WADM_COMMIT_INTERVAL_MS": ("storage", "commit_interval_ms"),
    "WADM_RAW_RETENTION_MINUTES": ("storage", "raw_retention_minutes"),
    "WADM_BARS_DAYS": ("storage", "bars_days"),
    "WADM_INDICATORS_DAYS": ("storage", "indicators_days"),
    "WADM_QUOTA_MB": ("storage", "quota_mb"),
    "WADM_STORAGE_PROCESSES": ("storage", "processes"),
    "WADM_MONGODB_TIME_SERIES": ("storage", "mongodb_time_series"),
    "WADM_COLD_URL": ("storage", "cold_url"),
    "MONGODB_URL": ("storage", "mongodb_url"),
    "DB_URL": ("storage", "db_url"),
    "REDIS_URL": ("storage", "redis_url"),
    "WADM_MEMORY_HOURS": ("memory", "hours"),
    "WADM_GRACE_MS": ("memory", "grace_ms"),
    "WADM_LOG_LEVEL": ("log", "level"),
    "WADM_LOG_FORMAT": ("log", "format"),
    "WADM_PROXY": ("network", "proxy"),
}


#: Of these, those that name several things, parted by commas.
LISTS = frozenset({"WADM_ALLOWED_HOSTS"})


def from_environment(environment: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return the settings that environment variables name. Raises SettingsError for an unknown WADM_… one.

    ``ENVIRONMENT`` (development, testing, production) picks defaults: production logs JSON.
    """
    given: dict[str, dict[str, Any]] = {}
    kind = environment.get("ENVIRONMENT", "development")
    if kind not in ("development", "testing", "production"):
        raise SettingsError([f"ENVIRONMENT is {kind!r}; expected one of development, testing, production"])
    if kind == "production":
        given["log"] = {"format": "json"}
    for name, value in sorted(environment.items()):
        if name in ENVIRONMENT:
            section, key = ENVIRONMENT[name]
            given.setdefault(section, {})[key] = value.split(",") if name in LISTS else value
        elif name.startswith("WADM_"):
            near = get_close_matches(name, ENVIRONMENT, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise SettingsError([f"{name} is not a setting; expected one of {', '.join(ENVIRONMENT)}{hint}"])
    return given


def overlay(*layers: Raw) -> dict[str, Any]:
    """Return nested mappings laid over one another, the last one winning key by key."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            below = merged.get(key)
            if isinstance(below, Mapping) and isinstance(value, Mapping):
                merged[key] = overlay(below, value)
            else:
                merged[key] = value
    return merged


def following_only(now: Settings, wanted: Settings) -> tuple[Settings, list[str]]:
    """Return ``now`` with the symbols and streams of ``wanted``, and the keys that differ otherwise.

    Those take a restart, as a daemon that runs has its addresses and files open. An exchange that is new
    comes with all it has.
    """
    waits = [
        f"{section.name}.{key.name}"
        for section in attrs.fields(Settings)
        if section.name != "exchanges"
        for key in attrs.fields(type(getattr(now, section.name)))
        if getattr(getattr(now, section.name), key.name) != getattr(getattr(wanted, section.name), key.name)
    ]
    exchanges = dict(wanted.exchanges)
    for name, given in wanted.exchanges.items():
        if (known := now.exchanges.get(name)) is None:
            continue
        fixed = {key: getattr(known, key) for key in ("url", "rest_url", "trade_source")}
        waits += [f"exchanges.{name}.{key}" for key, value in fixed.items() if getattr(given, key) != value]
        exchanges[name] = attrs.evolve(given, **fixed)
    return attrs.evolve(now, exchanges=exchanges), waits
