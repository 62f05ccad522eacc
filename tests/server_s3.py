"""A private S3 server for tests: moto's, in a process of its own."""

import sys
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from urllib.error import URLError

import attrs
import pytest
from server_process import Server, free_port

_numbers = count(1)


@attrs.define(eq=False)
class S3:
    """A server that takes any key and secret, unless told to refuse those it does not know: all."""

    port: int
    log: Path
    server: Server = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self.server = Server(command, self._is_up, self.log)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def new_bucket(self) -> str:
        """Make a bucket; return its name."""
        name = f"bucket-{next(_numbers)}"
        self.make(name)
        return name

    def make(self, bucket: str) -> None:
        self._ask("PUT", f"/{bucket}")

    def url(self, bucket: str, prefix: str = "cold") -> str:
        """Return the address of a prefix in a bucket, with what it takes to use it."""
        options = f"endpoint={self.endpoint}&region=us-east-1&access_key_id=someone&secret_access_key=hidden"
        return f"s3://{bucket}/{prefix}?{options}"

    def refuse(self, *, refused: bool) -> None:
        """Have every key refused from now on, or none."""
        self._ask("POST", "/moto-api/reset-auth", b"0" if refused else b"1000000000")

    def _ask(self, method: str, path: str, body: bytes | None = None) -> None:
        # Bodies are text here: moto takes what it believes to be a form apart.
        headers = {"Content-Type": "text/plain"}
        asked = urllib.request.Request(self.endpoint + path, data=body, method=method, headers=headers)
        with urllib.request.urlopen(asked, timeout=10):
            pass

    def _is_up(self) -> bool:
        try:
            self._ask("GET", "/moto-api/")
        except (URLError, OSError):
            return False
        return True


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """Run an S3 server; its buckets are each test's own."""
    if find_spec("moto") is None or find_spec("flask_cors") is None:
        pytest.skip("moto's server is not installed: pip install 'moto[s3]' flask flask-cors")
    made = S3(free_port(), tmp_path_factory.mktemp("s3") / "server.log")
    with made.server.running():
        yield made
