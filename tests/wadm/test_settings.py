"""Every setting that cannot be used is refused with its key, its value and what was expected."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wadm.sections import ExchangeSettings
from wadm.settings import (
    ENVIRONMENT,
    Settings,
    SettingsError,
    following_only,
    from_environment,
    overlay,
    read_settings,
)

KNOWN = ["binance", "bybit"]
SECTIONS = "one of http, access, storage, memory, log, network, exchanges"
ADDRESS = "an address such as wss://host or ws://host:port, without a path"
MAPPING = "cannot be read; expected a mapping of names to values"
KEYS = "url, symbols, streams, trade_source, rest_url"
REST = "an address such as https://host or http://host:port, without a path"
CHOICE = "a symbol (BTCUSDT), a pattern (*USDT), or the first by turnover (top:20, top:20:*USDC)"
PROXY = "an address such as http://host:port, socks5://host:port or socks5h://user:password@host"
LIST = "a list, such as [BTCUSDT, ETHUSDT]"


def binance(**change: Any) -> dict[str, Any]:
    return {"exchanges": {"binance": {"url": "wss://host", "symbols": ["BTCUSDT"]} | change}}


REFUSED: list[tuple[dict[Any, Any], list[str]]] = [
    # keys
    ({"htp": {}}, [f"htp is not a setting; expected {SECTIONS} (did you mean http?)"]),
    ({"zebra": {}}, [f"zebra is not a setting; expected {SECTIONS}"]),
    ({8920: {}}, [f"8920 is not a setting; expected {SECTIONS}"]),
    (
        {True: 1, "zebra": 2},
        [f"True is not a setting; expected {SECTIONS}", f"zebra is not a setting; expected {SECTIONS}"],
    ),
    (
        {"http": {"prt": 1}},
        [
            "http.prt is not a setting; expected one of host, port, allowed_hosts, tls_certificate, tls_key"
            " (did you mean port?)"
        ],
    ),
    (binance(key=1), ["exchanges.binance.key is not a setting; expected one of " + KEYS]),
    ({"exchanges": {"binanc": binance()["exchanges"]["binance"]}}, [
        "exchanges.binanc is not known; expected one of binance, bybit"
    ]),
    ({"exchanges": {1: binance()["exchanges"]["binance"]}}, ["exchanges.1 is 1; expected text"]),
    # whole numbers
    ({"http": {"port": "eighty"}}, ["http.port is 'eighty'; expected a whole number"]),
    ({"http": {"port": 80.5}}, ["http.port is 80.5; expected a whole number"]),
    ({"http": {"port": True}}, ["http.port is True; expected a whole number"]),
    ({"http": {"port": None}}, ["http.port is None; expected a whole number"]),
    ({"http": {"port": "²"}}, ["http.port is '²'; expected a whole number"]),
    ({"http": {"port": "-1"}}, ["http.port is '-1'; expected a whole number"]),
    ({"http": {"port": "9" * 20}}, [f"http.port is '{'9' * 20}'; expected a whole number"]),
    # ranges
    ({"http": {"port": -1}}, ["http.port is -1; expected a port from 0 to 65535"]),
    ({"http": {"port": "65536"}}, ["http.port is 65536; expected a port from 0 to 65535"]),
    ({"storage": {"commit_interval_ms": 0}}, [
        "storage.commit_interval_ms is 0; expected milliseconds from 1 to 10000"
    ]),
    ({"storage": {"raw_retention_minutes": 9}}, [
        "storage.raw_retention_minutes is 9; expected minutes from 10 to 10080"
    ]),
    ({"memory": {"hours": 169}}, ["memory.hours is 169; expected hours from 1 to 168"]),
    ({"memory": {"grace_ms": 60_001}}, ["memory.grace_ms is 60001; expected milliseconds from 0 to 60000"]),
    # names
    ({"log": {"level": "loud"}}, ["log.level is 'loud'; expected one of debug, info, warning, error"]),
    (
        {"storage": {"processes": "every"}},
        ["storage.processes is 'every'; expected one of none, servers, all"],
    ),
    ({"log": {"format": "xml"}}, ["log.format is 'xml'; expected one of console, json"]),
    # text
    ({"http": {"host": ""}}, ["http.host is ''; expected text"]),
    ({"http": {"host": 5}}, ["http.host is 5; expected text"]),
    ({"storage": {"data_dir": None}}, ["storage.data_dir is None; expected text"]),
    # sections
    ({"http": 5}, [f"http {MAPPING}"]),
    ({"http": [1]}, [f"http {MAPPING}"]),
    ({"exchanges": ["binance"]}, [f"exchanges {MAPPING}"]),
    ({"exchanges": {"binance": None}}, [f"exchanges.binance {MAPPING}"]),
    # addresses
    *(
        (binance(url=url), [f"exchanges.binance.url is {url!r}; expected {ADDRESS}"])
        for url in (
            "http://host", "host", "wss://", "ws://:80", "wss://host:port", "wss://host:65536", "wss://host:0",
            "wss://host/ws", "wss://host?key=1", "wss://[::1",
        )
    ),
    (binance(url=5), ["exchanges.binance.url is 5; expected text"]),
    ({"exchanges": {"binance": {"symbols": ["BTCUSDT"]}}}, [
        "exchanges.binance.url is missing; a value is required"
    ]),
    # lists
    (binance(symbols="BTCUSDT"), [f"exchanges.binance.symbols is 'BTCUSDT'; expected {LIST}"]),
    (binance(symbols=None), [f"exchanges.binance.symbols is None; expected {LIST}"]),
    (binance(symbols=["BTCUSDT", 5]), ["exchanges.binance.symbols is 5; expected text"]),
    (binance(symbols=["BTC/USDT"]), [f"exchanges.binance.symbols is 'BTC/USDT'; expected {CHOICE}"]),
    (binance(symbols=["top:0"]), [f"exchanges.binance.symbols is 'TOP:0'; expected {CHOICE}"]),
    (binance(symbols=["X" * 41]), [f"exchanges.binance.symbols is '{'X' * 41}'; expected {CHOICE}"]),
    # streams
    (binance(streams="trades"), [f"exchanges.binance.streams is 'trades'; expected {LIST}"]),
    (binance(streams=[]), ["exchanges.binance.streams is []; expected at least one channel or stream"]),
    (binance(trade_source="trades"), [
        "exchanges.binance.trade_source is 'trades'; expected one of trade, agg_trade"
    ]),
    # other addresses
    *(
        (binance(rest_url=url), [f"exchanges.binance.rest_url is {url!r}; expected {REST}"])
        for url in ("wss://host", "https://host/api", "host")
    ),
    *(
        ({"network": {"proxy": url}}, [f"network.proxy is {shown!r}; expected {PROXY}"])
        for url, shown in (
            ("host:8080", "host:8080"),
            ("ftp://host", "ftp://host"),
            ("socks4://me:secret@host", "socks4://…@host"),
            ("me:secret@host", "…@host"),
            ("http://me:sec@ret@host:x", "http://…@host:x"),
        )
    ),
    # several at once
    ({"http": {"port": "x"}, "memory": {"hours": 0}}, [
        "http.port is 'x'; expected a whole number",
        "memory.hours is 0; expected hours from 1 to 168",
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "problems"), REFUSED, ids=lambda value: str(value)[:40])
def test_a_setting_that_cannot_be_used_is_refused(raw: dict[str, Any], problems: list[str]) -> None:
    with pytest.raises(SettingsError) as refusal:
        read_settings(raw, KNOWN)
    assert refusal.value.problems == problems
    assert str(refusal.value) == "\n".join(problems)


def test_nothing_given_means_the_defaults() -> None:
    assert read_settings({}, KNOWN) == Settings()


def test_a_section_with_nothing_in_it_means_its_defaults() -> None:
    assert read_settings({"http": None, "exchanges": None}, KNOWN) == Settings()


def test_numbers_may_come_as_text_as_environment_variables_do() -> None:
    settings = read_settings({"http": {"port": " 80 "}, "memory": {"hours": "7"}}, KNOWN)
    assert (settings.http.port, settings.memory.hours) == (80, 7)


def test_every_bound_itself_is_allowed() -> None:
    lowest = {
        "http": {"port": 0},
        "storage": {"commit_interval_ms": 1, "raw_retention_minutes": 10},
        "memory": {"hours": 1, "grace_ms": 0},
    }
    highest = {
        "http": {"port": 65_535},
        "storage": {"commit_interval_ms": 10_000, "raw_retention_minutes": 10_080},
        "memory": {"hours": 168, "grace_ms": 60_000},
    }
    for raw in (lowest, highest):
        settings = read_settings(raw, KNOWN)
        assert settings.http.port == raw["http"]["port"]
        assert settings.storage.raw_retention_minutes == raw["storage"]["raw_retention_minutes"]
        assert settings.memory.grace_ms == raw["memory"]["grace_ms"]


@pytest.mark.parametrize(
    ("exchange", "entry"),
    [
        ("binance", "liquidations"),
        ("binance", "trade"),
        ("bybit", "second_trades"),
        ("bybit", "orderbook.50"),
    ],
)
def test_a_stream_the_exchange_lacks_is_refused_with_what_it_has(exchange: str, entry: str) -> None:
    raw = {"exchanges": {exchange: {"url": "wss://host", "symbols": [], "streams": ["trades", entry]}}}
    with pytest.raises(SettingsError) as refusal:
        read_settings(raw, KNOWN)
    (problem,) = refusal.value.problems
    assert problem.startswith(f"exchanges.{exchange}.streams is {entry!r}; expected one of book, candles, ")
    assert "a stream's name with {symbol} in it" in problem


def test_streams_may_be_channels_and_the_exchanges_own() -> None:
    streams = ["trades", "second_trades", "{symbol}@depth20@100ms"]
    told = read_settings(binance(streams=streams, rest_url="http://rest/"), KNOWN).exchanges["binance"]
    assert (told.streams, told.rest_url) == (tuple(streams), "http://rest")


def test_names_and_patterns_are_told_apart() -> None:
    symbols = ["btcusdt", "*usdt", "top:20", "top:5:*usdc", "BTC[A-F]*"]
    told = read_settings(binance(symbols=symbols), KNOWN).exchanges["binance"]
    assert told.names == ("BTCUSDT",)
    assert told.patterns == ("*USDT", "TOP:20", "TOP:5:*USDC", "BTC[A-F]*")


@pytest.mark.parametrize(
    "url", ["http://host", "https://host:8080/", "socks5://[::1]:1080", "socks5h://me:secret@host:1"]
)
def test_a_proxy_is_an_address_and_its_password_is_never_shown(url: str) -> None:
    settings = read_settings({"network": {"proxy": url}}, KNOWN)
    assert settings.network.proxy == url
    assert "secret" not in repr(settings)


def test_only_symbols_and_streams_are_taken_over_while_it_runs() -> None:
    now = read_settings({**binance(), "http": {"port": 1}}, KNOWN)
    bybit = {"url": "wss://bybit", "symbols": ["ETHUSDT"]}
    changed = binance(url="wss://other", symbols=["ETHUSDT"], streams=["trades"], trade_source="agg_trade")
    wanted = read_settings(
        {"exchanges": {**changed["exchanges"], "bybit": bybit}, "http": {"port": 2}}, KNOWN
    )
    taken, waits = following_only(now, wanted)
    assert taken.http.port == 1
    assert taken.exchanges == {
        "binance": ExchangeSettings("wss://host", ("ETHUSDT",), ("trades",)),
        "bybit": ExchangeSettings("wss://bybit", ("ETHUSDT",)),
    }
    assert waits == ["http.port", "exchanges.binance.url", "exchanges.binance.trade_source"]


def test_symbols_are_put_in_capitals_and_named_once() -> None:
    settings = read_settings(binance(symbols=["btcusdt", "ETHUSDT", "BTCUSDT"]), KNOWN)
    assert settings.exchanges == {"binance": ExchangeSettings("wss://host", ("BTCUSDT", "ETHUSDT"))}


@pytest.mark.parametrize("url", ["wss://host", "ws://127.0.0.1:9", "ws://[::1]:9443"])
def test_an_address_may_be_plain_or_secure_and_end_in_a_slash(url: str) -> None:
    for written in (url, url + "/"):
        assert read_settings(binance(url=written), KNOWN).exchanges["binance"].url == url


# --- the environment ---


def test_every_environment_variable_stands_for_a_setting_there_is() -> None:
    values = {
        "port": "1",
        "hours": "1",
        "commit_interval_ms": "1",
        "raw_retention_minutes": "10",
        "grace_ms": "1",
        "bars_days": "1",
        "indicators_days": "1",
        "quota_mb": "64",
    }
    texts = {"host": "::1", "data_dir": "here", "level": "debug", "format": "json", "proxy": "http://proxy"}
    texts |= {
        "processes": "all",
        "mongodb_time_series": "True",
        "mongodb_url": "m",
        "db_url": "d",
        "redis_url": "r",
        "cold_url": "c",
        "api_key": "0123456789abcdef",
        "tls_certificate": "crt",
        "tls_key": "key",
        "allowed_hosts": "one,other",
    }
    values |= {"key_days": "1", "requests_per_minute": "1", "key_requests_per_minute": "1"}
    environment = {name: (values | texts)[key] for name, (_, key) in ENVIRONMENT.items()}
    settings = read_settings(from_environment(environment), KNOWN)
    for section, key in ENVIRONMENT.values():
        found = getattr(getattr(settings, section), key)
        assert (",".join(found) if isinstance(found, tuple) else str(found)) == (values | texts)[key]


def test_other_programs_variables_are_left_alone() -> None:
    assert from_environment({"PATH": "/bin", "WADMIN": "x", "MONGO_URL": "y"}) == {}


def test_an_unknown_variable_of_ours_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(
        SettingsError, match=r"^WADM_PORT is not a setting; .* \(did you mean WADM_HTTP_PORT\?\)$"
    ):
        from_environment({"WADM_PORT": "80"})


def test_an_unknown_kind_of_environment_is_refused() -> None:
    expected = "^ENVIRONMENT is 'staging'; expected one of development, testing, production$"
    with pytest.raises(SettingsError, match=expected):
        from_environment({"ENVIRONMENT": "staging"})


def test_production_logs_json_unless_told_otherwise() -> None:
    assert from_environment({"ENVIRONMENT": "production"}) == {"log": {"format": "json"}}
    told = {"ENVIRONMENT": "production", "WADM_LOG_FORMAT": "console"}
    assert from_environment(told) == {"log": {"format": "console"}}


# --- layers ---


def test_the_last_layer_wins_key_by_key() -> None:
    file = {"http": {"host": "file", "port": 1}, "log": {"level": "info"}}
    environment = {"http": {"port": "2"}}
    flags = {"http": {"port": "3"}, "storage": {"data_dir": "flag"}}
    assert overlay(file, environment, flags) == {
        "http": {"host": "file", "port": "3"},
        "log": {"level": "info"},
        "storage": {"data_dir": "flag"},
    }


leaves = st.integers(0, 9) | st.text("ab", max_size=2)
trees = st.dictionaries(st.sampled_from("abc"), st.dictionaries(st.sampled_from("xyz"), leaves), max_size=3)


@given(trees, trees, trees)
def test_layers_may_be_laid_in_any_grouping(one: Any, two: Any, three: Any) -> None:
    assert overlay(overlay(one, two), three) == overlay(one, overlay(two, three)) == overlay(one, two, three)


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    keys = st.sampled_from(["port", "host", "binance", "url", "symbols", "level"]) | st.integers()
    return st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3)


leaf = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates()
names = (
    st.sampled_from(["http", "storage", "memory", "log", "exchanges", "x"]) | st.integers() | st.booleans()
)


@given(st.dictionaries(names, st.recursive(leaf, _nested, max_leaves=8), max_size=4))
def test_whatever_a_file_holds_is_read_or_refused_in_sentences(raw: dict[Any, Any]) -> None:
    problems = []
    try:
        read_settings(raw, KNOWN)
    except SettingsError as refusal:
        problems = refusal.problems or ["refused for nothing"]
    assert all("; " in problem for problem in problems)


def test_the_key_of_the_settings_is_never_repeated() -> None:
    with pytest.raises(SettingsError) as raised:
        read_settings({"access": {"api_key": "hunter2"}}, KNOWN)
    assert raised.value.problems == ["access.api_key is '…'; expected at least 16 ASCII characters"]
    assert "correct horse" not in repr(read_settings({"access": {"api_key": "correct horse battery"}}, KNOWN))
