"""Thousands of generated requests against the API of a whole daemon, those it describes and others.

    python tests/fuzz/api.py [--examples N] [--seed N] [--workers N]

The daemon plays the bundled recording and needs a key, so that what is generated may also make and revoke
keys. The stream, which never ends, is left out. schemathesis checks every answer: no server error, only
statuses and shapes that are described. Exits 1 where it found something, or where the daemon does not answer
afterwards.
"""

import argparse
import os
import secrets
import shutil
import sys
import tempfile
from importlib import resources
from pathlib import Path

import httpx
import trio

from actors import garbage, logs, plan
from actors.background import background
from actors.configuration import load_listing
from actors.daemon import open_daemon
from actors.playback.process import local_exchange
from wadm.sections import AccessSettings, HttpSettings, LogSettings
from wadm.settings import Settings

CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance",
    "response_headers_conformance", "response_schema_conformance", "allow_header_conformance",
    "unsupported_method",
)  # fmt: skip

#: More than any generated load: what is looked for here is not the rate limit.
ENDLESS = 10_000_000


async def main(arguments: argparse.Namespace) -> int:
    key = secrets.token_urlsafe(32)
    settings = Settings(
        http=HttpSettings(port=0),
        access=AccessSettings(api_key=key, requests_per_minute=ENDLESS, key_requests_per_minute=ENDLESS),
    )
    capture = Path(str(resources.files("actors.playback") / "captures" / "binance_spot_20240808.gz"))
    with tempfile.TemporaryDirectory() as directory:
        async with local_exchange([capture], exchange="binance", speed=float("inf")) as server:
            what = plan.recorded("binance", server.url, server.rest_url, server.streams, load_listing())
            async with (
                open_daemon(settings, what, Path(directory)) as daemon,
                background() as tasks,
            ):
                await tasks.start(daemon.run)
                await daemon.runtime.complete()
                garbage.settle()
                status = await attack(str(daemon.runtime.url), key, arguments)
                async with httpx.AsyncClient() as client:
                    health = await client.get(f"{daemon.runtime.url}/health")
                print(f"afterwards: {health.status_code} {health.json()['status']}")
                daemon.stop()
                await daemon.ended.wait()
    return status or health.status_code != 200


async def attack(url: str, key: str, arguments: argparse.Namespace) -> int:
    """Run schemathesis in a directory of its own; return its exit status."""
    program = shutil.which("st", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if program is None:
        sys.exit("schemathesis is not installed: pip install wadm[test]")
    command = [
        program, "run", f"{url}/openapi.json", "-H", f"X-API-Key: {key}", "--checks", ",".join(CHECKS),
        "--max-examples", str(arguments.examples), "--workers", str(arguments.workers),
        "--phases", "examples,coverage,fuzzing", "--continue-on-failure", "--warnings", "off",
        "--request-timeout", "20", "--exclude-path", "/api/v1/stream",
    ]  # fmt: skip
    if arguments.seed is not None:
        command += ["--seed", str(arguments.seed)]
    with tempfile.TemporaryDirectory() as empty:
        done = await trio.run_process(command, check=False, cwd=empty)
    return done.returncode


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--examples", type=int, default=300, help="generated requests for each operation")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--workers", type=int, default=2)
    logs.configure(LogSettings(level="error"))
    sys.exit(trio.run(main, parser.parse_args()))
