"""Log lines as they leave: their form, whose request they belong to, and what they keep to themselves."""

import json
import logging

import pytest
import structlog

from actors import logs
from wadm.sections import LogSettings

SECRET = "hunter2-hunter2"


def test_every_line_of_a_request_names_it_whoever_wrote_it(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogSettings(level="info", format="json"))
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        structlog.get_logger("ours").info("asked", symbol="BTCUSDT")
        logging.getLogger("a.library").warning("slow %s", "store")
    structlog.get_logger("ours").info("later")
    first, second, third = map(json.loads, capsys.readouterr().err.splitlines())
    assert (first["request_id"], first["event"], first["symbol"]) == ("r1", "asked", "BTCUSDT")
    assert (second["request_id"], second["event"], second["logger"]) == ("r1", "slow store", "a.library")
    assert "request_id" not in third
    assert {one["level"] for one in (first, second)} == {"info", "warning"}


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_secret_leaves_in_a_message_a_value_or_a_traceback(
    capsys: pytest.CaptureFixture[str], form: str
) -> None:
    logs.configure(LogSettings(format=form), (SECRET,))
    log = structlog.get_logger("ours")
    log.warning("failed", reason=f"mongodb://u:{SECRET}@h: refused", password="what")
    log.warning("failed", headers={"authorization": "Bearer abc"}, url="redis://:other@h")
    try:
        int(f"pass={SECRET}")
    except ValueError:
        log.exception("broken")
        logging.getLogger("a.library").exception("broken as well with %s", SECRET)
    text = capsys.readouterr().err
    assert text.count("ValueError") == 2
    for secret in (SECRET, "what", "Bearer abc", "other"):
        assert secret not in text
    assert "h: refused" in text


def test_a_traceback_of_a_terminal_shows_no_variables(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogSettings(format="console"))
    hidden = "-".join(["value", "of", "a", "variable"])
    try:
        {}[len(hidden)]
    except KeyError:
        structlog.get_logger("ours").exception("broken")
    text = capsys.readouterr().err
    assert "KeyError: 19" in text
    assert hidden not in text
