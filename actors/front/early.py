"""Imports early what libraries import at the first request: that would hold the loop for 0.2 s.

Importing this module does it, in the thread in which the front is imported. What a library has no more is
left out.
"""

from contextlib import suppress
from importlib import import_module

_LATE = (
    "encodings.idna",
    "fastmcp.server.context",
    "fastmcp.server.providers.prefab_payload",
    "fastmcp.server.sessions",
    "fastmcp.server.transforms.catalog",
    "griffe",
)

for _name in _LATE:
    with suppress(ImportError):
        import_module(_name)
