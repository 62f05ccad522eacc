"""Imports early what libraries import at the first request: that would hold the loop for 0.5 s.

Importing this module does it, in the thread in which the front is imported. What a library has no more is
left out.
"""

import os
from contextlib import suppress
from importlib import import_module

# FastMCP's store of sessions has its own code checked by beartype, which takes 0.1 s to set up.
os.environ.setdefault("PY_KEY_VALUE_DISABLE_BEARTYPE", "true")

_LATE = (
    "encodings.idna",
    "fastmcp.apps.app",
    "fastmcp.server.context",
    "fastmcp.server.providers.prefab_payload",
    "fastmcp.server.providers.prefab_synthesis",
    "fastmcp.server.sessions",
    "fastmcp.server.transforms.catalog",
    "griffe",
    "key_value.aio.adapters.pydantic",
    "key_value.aio.stores.memory",
)

for _name in _LATE:
    with suppress(ImportError):
        import_module(_name)
