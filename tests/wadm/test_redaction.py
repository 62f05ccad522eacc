"""No secret stays in a text, and nothing else goes."""

import attrs
import pytest

from wadm.redaction import redact, redact_values, secrets_of
from wadm.sections import AccessSettings, NetworkSettings, StorageSettings
from wadm.settings import Settings

SETTINGS = Settings(
    access=AccessSettings(api_key="an-administrators-key"),
    storage=StorageSettings(
        mongodb_url="mongodb://reader:mongo%2Fpass@a:1,b:2/wadm?replicaSet=rs0",
        db_url="postgresql+psycopg2://me:db@pass@host/base",
        redis_url="redis://:redispass@host:6379/0",
        cold_url="s3://bucket/prefix",
    ),
    network=NetworkSettings(proxy="socks5h://user:proxypass@host:1080"),
)


def test_all_secrets_of_the_settings_are_known_as_written_and_as_meant() -> None:
    found = set(secrets_of(SETTINGS))
    expected = {"an-administrators-key", "mongo%2Fpass", "mongo/pass", "redispass", "proxypass"}
    assert expected <= found
    assert any("pass" in one for one in found - expected)
    assert secrets_of(Settings()) == ()


def test_the_settings_do_not_show_their_secrets() -> None:
    shown = repr(SETTINGS)
    assert not any(secret in shown for secret in secrets_of(SETTINGS))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("mongodb://u:p@h:1/x: refused", "mongodb://…@h:1/x: refused"),
        ("redis://:p@ss@h/0", "redis://…@h/0"),
        ("https://h/p?apiKey=abc&x=1", "https://h/p?apiKey=…&x=1"),
        ("sent Authorization: Bearer abcdefgh1234.x-y", "sent Authorization: Bearer …"),
        (f"key wadm_abcd1234_{'x' * 43} was shown", "key wadm_abcd1234_… was shown"),
        ("binance:BTCUSDT@trade, a@b, wss://host/ws", "binance:BTCUSDT@trade, a@b, wss://host/ws"),
        ("basic arithmetic; a bearer of bad news", "basic …; a bearer of bad news"),
    ],
)
def test_what_looks_like_a_secret_goes_and_nothing_else(text: str, left: str) -> None:
    assert redact(text) == left


def test_a_secret_that_looks_like_nothing_goes_because_it_is_known() -> None:
    assert redact("it said correct horse", ("correct horse",)) == "it said …"


def test_values_are_hidden_by_their_names_at_any_depth() -> None:
    given = {"X-API-Key": "1", "headers": {"Authorization": "2", "accept": "3"}, "key": "abcd1234", "n": 4}
    assert redact_values(given) == {
        "X-API-Key": "…", "headers": {"Authorization": "…", "accept": "3"}, "key": "abcd1234", "n": 4,
    }  # fmt: skip
    assert attrs.asdict(SETTINGS)["access"]["api_key"] == "an-administrators-key"
