"""How many examples hypothesis tries: few by default, `HYPOTHESIS_PROFILE=thorough` before a release."""

import os

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
