"""What all tests have: how many examples hypothesis tries, the servers, and what keeps the run short.

Hypothesis tries few examples by default; `HYPOTHESIS_PROFILE=thorough` before a release.
"""

import gc
import logging
import os
import sys
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

settings.register_profile("default", max_examples=60, deadline=None)
settings.register_profile(
    "thorough", max_examples=10_000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

#: The fixtures that start real servers, each in a module of its own. A server starts with its first test.
pytest_plugins = (
    "server_postgres",
    "server_mongod",
    "server_redis",
    "server_s3",
)

# Four workers and some hundred daemons would compile everything again where a shell forbids to keep it.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """Let no command that runs inside a test change the logging of those after it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Keep the garbage collector from the tests and libraries, which stay: it would take seconds."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
