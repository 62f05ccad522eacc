"""Settings: their names, their defaults, and what is wrong with the ones given.

They come as nested mappings (a YAML file, then environment variables, then flags) and are read here; a wrong
key or value is refused with the key, the value and what was expected.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

import attrs
import cattrs
from cattrs import (
    AttributeValidationNote,
    ClassValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
    IterableValidationNote,
)

from wadm.mistakes import Mistake

Raw = Mapping[str, Any]


class SettingsError(Mistake):
    """One or more settings that cannot be used; ``str()`` names each, one a line."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


class _WrongError(ValueError):
    """A value that is not what its key expects; ``key`` where only the whole section is known otherwise."""

    def __init__(self, value: object, expected: str, key: str = "") -> None:
        super().__init__(f"{value!r}; expected {expected}")
        self.key = key


def _within(low: int, high: int, unit: str) -> Callable[[Any, Any, int], None]:
    def check(_instance: Any, attribute: Any, value: int) -> None:
        if not low <= value <= high:
            raise _WrongError(value, f"{unit} from {low} to {high}", attribute.name)

    return check


def _one_of(*names: str) -> Callable[[Any, Any, str], None]:
    def check(_instance: Any, attribute: Any, value: str) -> None:
        if value not in names:
            raise _WrongError(value, f"one of {', '.join(names)}", attribute.name)

    return check


def _websocket(_instance: Any, attribute: Any, value: str) -> None:
    if not _is_websocket(value):
        expected = "an address such as wss://host or ws://host:port, without a path"
        raise _WrongError(value, expected, attribute.name)


def _is_websocket(value: str) -> bool:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return False
    bare = f"{parts.scheme}://{parts.netloc}" == value
    return bare and parts.scheme in ("wss", "ws") and bool(parts.hostname) and port != 0


def _without_slash(url: str) -> str:
    return url if url.endswith("//") else url.removesuffix("/")


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.upper() for name in names))


@attrs.frozen
class HttpSettings:
    """Where HTTP and MCP are served."""

    host: str = "127.0.0.1"
    port: int = attrs.field(default=8920, validator=_within(0, 65535, "a port"))


@attrs.frozen
class ExchangeSettings:
    """One exchange to follow: its WebSocket address (without a path) and its symbols."""

    url: str = attrs.field(converter=_without_slash, validator=_websocket)
    symbols: tuple[str, ...] = attrs.field(converter=_distinct)


@attrs.frozen
class StorageSettings:
    """Where data is kept, how often the journal commits, and how long raw trades stay in it."""

    data_dir: str = "data"
    commit_interval_ms: int = attrs.field(default=50, validator=_within(1, 10_000, "milliseconds"))
    raw_retention_minutes: int = attrs.field(default=60, validator=_within(10, 10_080, "minutes"))


@attrs.frozen
class MemorySettings:
    """How much history answers from memory, and how long a bar waits for late trades before it closes."""

    hours: int = attrs.field(default=24, validator=_within(1, 168, "hours"))
    grace_ms: int = attrs.field(default=2_000, validator=_within(0, 60_000, "milliseconds"))


@attrs.frozen
class LogSettings:
    """What is logged to standard error."""

    level: str = attrs.field(default="info", validator=_one_of("debug", "info", "warning", "error"))
    format: str = attrs.field(default="console", validator=_one_of("console", "json"))


@attrs.frozen
class Settings:
    """Everything the daemon can be told."""

    http: HttpSettings = attrs.field(factory=HttpSettings)
    storage: StorageSettings = attrs.field(factory=StorageSettings)
    memory: MemorySettings = attrs.field(factory=MemorySettings)
    log: LogSettings = attrs.field(factory=LogSettings)
    exchanges: dict[str, ExchangeSettings] = attrs.field(factory=dict)


def _whole_number(value: Any, _type: Any) -> int:
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 20:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise _WrongError(value, "a whole number")


def _text(value: Any, _type: Any) -> str:
    if not isinstance(value, str) or not value:
        raise _WrongError(value, "text")
    return value


def _texts(value: Any, _type: Any) -> tuple[str, ...]:
    # A single name would be taken for a list of its letters.
    if not isinstance(value, list | tuple):
        raise _WrongError(value, "a list, such as [BTCUSDT, ETHUSDT]")
    return tuple(_text(one, str) for one in value)


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True)
    converter.register_structure_hook(int, _whole_number)
    converter.register_structure_hook(str, _text)
    converter.register_structure_hook_func(lambda wanted: wanted == tuple[str, ...], _texts)
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
    if problems:
        raise SettingsError(problems)
    return settings


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
    elif isinstance(error, _WrongError):
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
    "WADM_DATA_DIR": ("storage", "data_dir"),
    "WADM_COMMIT_INTERVAL_MS": ("storage", "commit_interval_ms"),
    "WADM_RAW_RETENTION_MINUTES": ("storage", "raw_retention_minutes"),
    "WADM_MEMORY_HOURS": ("memory", "hours"),
    "WADM_GRACE_MS": ("memory", "grace_ms"),
    "WADM_LOG_LEVEL": ("log", "level"),
    "WADM_LOG_FORMAT": ("log", "format"),
}


def from_environment(environment: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the settings that environment variables name. Raises SettingsError for an unknown WADM_… one.

    ``ENVIRONMENT`` (development, testing, production) picks defaults: production logs JSON.
    """
    given: dict[str, dict[str, str]] = {}
    kind = environment.get("ENVIRONMENT", "development")
    if kind not in ("development", "testing", "production"):
        raise SettingsError([f"ENVIRONMENT is {kind!r}; expected one of development, testing, production"])
    if kind == "production":
        given["log"] = {"format": "json"}
    for name, value in sorted(environment.items()):
        if name in ENVIRONMENT:
            section, key = ENVIRONMENT[name]
            given.setdefault(section, {})[key] = value
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
