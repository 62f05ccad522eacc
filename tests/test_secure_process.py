"""The whole daemon behind keys and TLS, as people start it: refused, opened, and renewed while it runs."""

import http.client
import json
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
import trustme
from test_daemon_process import WADM, environment, wadm

#: A daemon that looks at its certificate more often than once in 30 s.
WATCHFUL = [
    sys.executable, "-c",
    "import sys, actors.front.tls as tls; tls.PERIOD = 0.1; from actors.cli import main; sys.exit(main())",
]  # fmt: skip


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., Path]:
    """Return what writes settings of a daemon that reaches no exchange."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]

    def write(**more: str) -> Path:
        path = tmp_path / "wadm.yaml"
        lines = "".join(f"  {key}: {value}\n" for key, value in {"port": "0", **more}.items())
        told = f"url: 'ws://127.0.0.1:{port}', rest_url: 'http://127.0.0.1:{port}'"
        exchange = f"  binance: {{{told}, symbols: [BTCUSDT]}}\n"
        path.write_text(f"http:\n{lines}storage: {{data_dir: {tmp_path}/data}}\nexchanges:\n{exchange}")
        return path

    return write


@contextmanager
def running(config: Path, command: list[str] = WADM) -> Iterator[tuple[str, int, IO[str]]]:
    """Run the daemon; yield its scheme, its port and its log. It must end in order."""
    with subprocess.Popen(
        [*command, "run", "--config", str(config)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment(WADM_LOG_FORMAT="json"),
    ) as process:  # fmt: skip
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if found := re.search(r'"url": ?"(https?)://[^"]*:(\d+)"', line):
                    break
            else:
                raise AssertionError("it never said where it serves")
            yield found[1], int(found[2]), process.stderr
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=30)
            assert process.returncode == 0, errors
            assert "Traceback" not in errors
        finally:
            process.kill()


def get(port: int, path: str, key: str | None = None, trust: ssl.SSLContext | None = None) -> tuple[int, Any]:
    if trust is None:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    else:
        client = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=trust)
    try:
        client.request("GET", path, headers={} if key is None else {"X-API-Key": key})
        answer = client.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        client.close()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.5)  # a key that is not known yet is a guess, of which an address has few


def keys(config: Path, *arguments: str) -> Any:
    done = wadm("keys", *arguments, "--config", config, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_public_address_needs_a_key_which_is_made_rotated_and_revoked_while_it_runs(
    config: Callable[..., Path],
) -> None:
    path = config(host="0.0.0.0")
    refused = wadm("run", "--config", path)
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1] == (
        "wadm run: http.host is '0.0.0.0', which other machines reach, and no key works yet: make one with "
        "`wadm keys create NAME`, or set API_KEY, or set http.host to 127.0.0.1"
    )
    assert "Traceback" not in refused.stderr

    first = keys(path, "create", "first")["key"]
    with running(path) as (scheme, port, _):
        assert scheme == "http"
        assert get(port, "/health")[0] == 200
        status, problem = get(port, "/api/v1/symbols")
        assert (status, problem["code"]) == (401, "key_required")
        assert get(port, "/api/v1/symbols", first)[0] == 200

        second = keys(path, "create", "second", "--permission", "admin")["key"]
        until(lambda: get(port, "/api/v1/symbols", second)[0] == 200)
        rotated = keys(path, "rotate", "first")["key"]
        until(lambda: get(port, "/api/v1/symbols", rotated)[0] == 200)
        assert get(port, "/api/v1/symbols", first)[0] == 200
        keys(path, "revoke", "first")
        until(lambda: get(port, "/api/v1/symbols", first)[0] == 401)
        assert get(port, "/api/v1/symbols", rotated)[0] == 401
        listed = get(port, "/api/v1/keys", second)[1]["keys"]
        assert [(key["name"], key["state"]) for key in listed] == [
            ("first", "revoked"), ("first", "revoked"), ("second", "active"),
        ]  # fmt: skip
        actions = [line["action"] for line in get(port, "/api/v1/audit", second)[1]["lines"]]
        assert actions.count("key_created") == 2
        assert {"key_rotated", "key_revoked"} <= {*actions}


def issue(authority: trustme.CA, certificate: Path, key: Path) -> bytes:
    """Write a new certificate and its key; return the certificate as clients see it."""
    made = authority.issue_cert("127.0.0.1", "localhost")
    certificate.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
    key.write_bytes(made.private_key_pem.bytes())
    return ssl.PEM_cert_to_DER_cert(made.cert_chain_pems[0].bytes().decode())


def seen(port: int) -> bytes:
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port)))


def test_a_renewed_certificate_is_served_without_a_restart(
    config: Callable[..., Path], tmp_path: Path
) -> None:
    authority, trust = trustme.CA(), ssl.create_default_context()
    authority.configure_trust(trust)
    certificate, key = tmp_path / "crt.pem", tmp_path / "key.pem"
    first = issue(authority, certificate, key)
    path = config(tls_certificate=str(certificate), tls_key=str(key))
    with running(path, WATCHFUL) as (scheme, port, log):
        assert scheme == "https"
        assert get(port, "/health", trust=trust)[0] == 200
        assert seen(port) == first
        renewed = issue(authority, certificate, key)
        until(lambda: seen(port) == renewed)
        certificate.write_text("half a file")
        assert any("certificate_not_taken_up" in line for line in log)
        assert get(port, "/health", trust=trust)[0] == 200
        assert seen(port) == renewed


def test_a_certificate_that_cannot_be_used_is_one_sentence(
    config: Callable[..., Path], tmp_path: Path
) -> None:
    authority = trustme.CA()
    issue(authority, tmp_path / "crt.pem", tmp_path / "key.pem")
    issue(authority, tmp_path / "crt2.pem", tmp_path / "other.pem")
    path = config(tls_certificate=str(tmp_path / "crt.pem"), tls_key=str(tmp_path / "other.pem"))
    done = wadm("run", "--config", path)
    assert done.returncode == 2
    assert "expected a PEM certificate chain and its unencrypted private key" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
