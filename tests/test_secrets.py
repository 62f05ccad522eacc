"""A daemon whose settings are full of secrets, and none of whose servers is there, says no secret."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

API_KEY = "Adm1nistrators-own-key"
MONGO, REDIS, SQL, PROXY = "m0ngo-s3cret", "r3dis-s3cret", "sq1-s3cret", "pr0xy-s3cret"
SECRETS = (API_KEY, MONGO, REDIS, SQL, PROXY)

#: Everything that tells about the daemon, and what somebody gets who asks with a wrong key.
PATHS = (
    "/health", "/health/ready", "/metrics", "/api/v1/status", "/api/v1/actors", "/api/v1/symbols",
    "/api/v1/keys", "/api/v1/audit", "/openapi.json",
    "/api/v1/volume-profile?exchange=binance&symbol=BTCUSDT&timeframe=1d",
)  # fmt: skip


@pytest.fixture
def closed() -> int:
    """A port on which nobody listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def process(tmp_path: Path, closed: int) -> Iterator[subprocess.Popen[str]]:
    config = tmp_path / "wadm.yaml"
    config.write_text(
        "http: {port: 0}\nlog: {level: debug, format: json}\n"
        f"exchanges:\n  binance: {{url: 'ws://127.0.0.1:{closed}', symbols: [BTCUSDT]}}\n"
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WADM_")}
    environment = kept | {
        "PYTHONUNBUFFERED": "1", "API_KEY": API_KEY, "WADM_DATA_DIR": str(tmp_path / "data"),
        "MONGODB_URL": f"mongodb://user:{MONGO}@127.0.0.1:{closed}/wadm?timeoutMS=300",
        "REDIS_URL": f"redis://:{REDIS}@127.0.0.1:{closed}/0",
        "DB_URL": f"postgresql://user:{SQL}@127.0.0.1:{closed}/wadm",
        "WADM_PROXY": f"http://user:{PROXY}@127.0.0.1:{closed}",
    }  # fmt: skip
    command = [sys.executable, "-m", "wadm", "run", "--config", str(config)]
    with (
        (tmp_path / "said").open("w") as said,
        subprocess.Popen(command, stdout=said, stderr=said, text=True, env=environment) as started,
    ):
        yield started
        started.kill()


def test_no_secret_is_ever_said(process: subprocess.Popen[str], tmp_path: Path) -> None:
    said = tmp_path / "said"
    url = _served(said)
    answers = [
        _get(url + path, key) for path in PATHS for key in (API_KEY, "a-wrong-key-" + API_KEY[::-1], None)
    ]
    deadline = time.monotonic() + 20
    while "Connection refused" not in said.read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    answers += [_get(url + path, API_KEY) for path in PATHS]
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    told = said.read_text()
    assert "Connection refused" in told
    assert any(status == 200 and len(body) > 1_000 for status, body in answers)
    assert any(status == 401 for status, _ in answers)
    everything = told + "".join(body for _, body in answers)
    assert [secret for secret in SECRETS if secret in everything] == []
    asked = [json.loads(line) for line in told.splitlines() if '"request"' in line]
    assert asked
    assert all(one["request_id"] for one in asked)


def _served(said: Path) -> str:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for line in said.read_text().splitlines():
            if line.startswith("{") and json.loads(line).get("event") == "serving":
                return str(json.loads(line)["url"])
        time.sleep(0.05)
    raise AssertionError(f"it never served: {said.read_text()}")


def _get(url: str, key: str | None) -> tuple[int, str]:
    asked = urllib.request.Request(url, headers={} if key is None else {"X-API-Key": key})
    try:
        with urllib.request.urlopen(asked, timeout=20) as answer:
            return int(answer.status), answer.read().decode() + str(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode() + str(error.headers)
