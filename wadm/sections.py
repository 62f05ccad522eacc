"""The sections of the settings: their keys, their defaults, and what each value must be.

A validator refuses a value with WrongValue; ``wadm.settings`` makes the sentence with the key's full path.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

import attrs

from wadm.selection import ChoiceError, Named, read_choice

#: A symbol's name: letters (of any script), digits, ``_`` and ``-``.
_SYMBOL = re.compile(r"[\w-]{1,40}")


def is_symbol(name: str) -> bool:
    """Return whether this may be the name of a symbol."""
    return _SYMBOL.fullmatch(name) is not None


class WrongValue(ValueError):
    """A value that is not what its key expects; ``key`` where only the whole section is known otherwise."""

    def __init__(self, value: object, expected: str, key: str = "") -> None:
        super().__init__(f"{value!r}; expected {expected}")
        self.key = key


def _within(low: int, high: int, unit: str) -> Callable[[Any, Any, int], None]:
    def check(_instance: Any, attribute: Any, value: int) -> None:
        if not low <= value <= high:
            raise WrongValue(value, f"{unit} from {low} to {high}", attribute.name)

    return check


def _one_of(*names: str) -> Callable[[Any, Any, str], None]:
    def check(_instance: Any, attribute: Any, value: str) -> None:
        if value not in names:
            raise WrongValue(value, f"one of {', '.join(names)}", attribute.name)

    return check


def _websocket(_instance: Any, attribute: Any, value: str) -> None:
    if not _is_bare(value, ("wss", "ws")):
        expected = "an address such as wss://host or ws://host:port, without a path"
        raise WrongValue(value, expected, attribute.name)


def _is_bare(value: str, schemes: Sequence[str]) -> bool:
    """Return whether this is an address of one of these schemes, and nothing behind its host and port."""
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return False
    bare = f"{parts.scheme}://{parts.netloc}" == value
    return bare and parts.scheme in schemes and bool(parts.hostname) and port != 0


def _without_slash(url: str) -> str:
    return url if url.endswith("//") else url.removesuffix("/")


def _http(_instance: Any, attribute: Any, value: str | None) -> None:
    if value is not None and not _is_bare(value, ("https", "http")):
        expected = "an address such as https://host or http://host:port, without a path"
        raise WrongValue(value, expected, attribute.name)


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.upper() for name in names))


def _symbols(_instance: Any, attribute: Any, value: tuple[str, ...]) -> None:
    for name in value:
        try:
            sound = not isinstance(choice := read_choice(name), Named) or is_symbol(choice.symbol)
        except ChoiceError:
            sound = False
        if not sound:
            expected = (
                "a symbol (BTCUSDT), a pattern (*USDT), or the first by turnover (top:20, top:20:*USDC)"
            )
            raise WrongValue(name, expected, attribute.name)


def _streams(_instance: Any, attribute: Any, value: tuple[str, ...] | None) -> None:
    if value == ():
        raise WrongValue([], "at least one channel or stream", attribute.name)


def _proxy(_instance: Any, attribute: Any, value: str | None) -> None:
    if value is not None and not _is_proxy(value):
        expected = "an address such as http://host:port, socks5://host:port or socks5h://user:password@host"
        raise WrongValue(_without_password(value), expected, attribute.name)


def _is_proxy(value: str) -> bool:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return False
    bare = parts.path in ("", "/") and not parts.query and not parts.fragment
    return (
        bare and parts.scheme in ("http", "https", "socks5", "socks5h") and bool(parts.hostname) and port != 0
    )


def _without_password(url: str) -> str:
    """Return an address without what may be secret in it: all between scheme and host."""
    head, found, host = url.rpartition("@")
    if not found:
        return url
    scheme, slashes, _ = head.partition("://")
    return f"{scheme}://…@{host}" if slashes else f"…@{host}"


@attrs.frozen
class HttpSettings:
    """Where HTTP and MCP are served, under which names, and with which certificate (two PEM files)."""

    host: str = "127.0.0.1"
    port: int = attrs.field(default=8920, validator=_within(0, 65535, "a port"))
    allowed_hosts: tuple[str, ...] = ()
    tls_certificate: str | None = None
    tls_key: str | None = None

    def __attrs_post_init__(self) -> None:
        for key, other in (("tls_key", "tls_certificate"), ("tls_certificate", "tls_key")):
            if getattr(self, key) is None and getattr(self, other) is not None:
                raise WrongValue(None, f"a file, as {other} is given", key)


def _secret(_instance: Any, attribute: Any, value: str | None) -> None:
    if value is not None and (len(value) < 16 or not value.isascii() or not value.isprintable()):
        raise WrongValue("…", "at least 16 ASCII characters", attribute.name)


@attrs.frozen
class AccessSettings:
    """Who may ask, and how often: requests a minute of one address, and of one key.

    ``api_key`` is a key that does everything; all others are made by ``wadm keys``, and renewed after
    ``key_days``.
    """

    api_key: str | None = attrs.field(default=None, repr=False, validator=_secret)
    key_days: int = attrs.field(default=30, validator=_within(1, 365, "days"))
    requests_per_minute: int = attrs.field(default=6_000, validator=_within(1, 10_000_000, "requests"))
    key_requests_per_minute: int = attrs.field(default=6_000, validator=_within(1, 10_000_000, "requests"))


@attrs.frozen
class ExchangeSettings:
    """One exchange to follow: its addresses (without a path), its symbols, and what is followed of each.

    ``symbols`` are names, and patterns that the exchange's own list decides; see ``wadm.selection``.
    ``streams`` are entries as ``wadm.channels`` has them, None for the usual ones. ``trade_source`` is which
    trades are folded where the exchange sends two kinds.
    """

    url: str = attrs.field(converter=_without_slash, validator=_websocket)
    symbols: tuple[str, ...] = attrs.field(converter=_distinct, validator=_symbols)
    streams: tuple[str, ...] | None = attrs.field(default=None, validator=_streams)
    trade_source: str | None = None
    rest_url: str | None = attrs.field(
        default=None, converter=attrs.converters.optional(_without_slash), validator=_http
    )

    @property
    def names(self) -> tuple[str, ...]:
        """The symbols that are named outright."""
        return tuple(name for name in self.symbols if isinstance(read_choice(name), Named))

    @property
    def patterns(self) -> tuple[str, ...]:
        """The symbols that are not named outright."""
        return tuple(name for name in self.symbols if not isinstance(read_choice(name), Named))


@attrs.frozen
class NetworkSettings:
    """How the exchanges are reached: directly, or through a proxy (http, https, socks5 or socks5h)."""

    proxy: str | None = attrs.field(default=None, validator=_proxy, repr=False)


@attrs.frozen
class StorageSettings:
    """Where data is kept, for how long, and how often the journal commits.

    The warm store is MongoDB where ``mongodb_url`` is given, else the database of ``db_url``, else a file in
    ``data_dir``. ``redis_url`` adds the hot tier. The cold tier is the folder or bucket of ``cold_url``, else
    a folder in ``data_dir``. Lifetimes count from when something was stored. ``quota_mb`` is what the journal
    may take on its disk; beyond it, what lags behind loses entries, visibly.

    ``processes`` are the tiers that are written to by processes of their own: ``none``, those on ``servers``,
    or ``all``, the embedded store as well. Servers are given raw trades, whose encoding holds up the loop: it
    is a third less late without. The embedded store is not, and saves the 43 MB of a process.
    """

    data_dir: str = "data"
    commit_interval_ms: int = attrs.field(default=50, validator=_within(1, 10_000, "milliseconds"))
    raw_retention_minutes: int = attrs.field(default=60, validator=_within(10, 10_080, "minutes"))
    bars_days: int = attrs.field(default=7, validator=_within(1, 3_650, "days"))
    indicators_days: int = attrs.field(default=30, validator=_within(1, 3_650, "days"))
    quota_mb: int = attrs.field(default=20_480, validator=_within(64, 10_000_000, "megabytes"))
    processes: str = attrs.field(default="servers", validator=_one_of("none", "servers", "all"))
    mongodb_url: str | None = attrs.field(default=None, repr=False)
    mongodb_time_series: bool = False
    db_url: str | None = attrs.field(default=None, repr=False)
    redis_url: str | None = attrs.field(default=None, repr=False)
    cold_url: str | None = attrs.field(default=None, repr=False)


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
