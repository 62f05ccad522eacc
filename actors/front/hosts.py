"""Which names of this machine, and which origins, a request may come with.

A page of another origin can bring a browser to send requests here, also under a name of its own that it has
resolve to this machine. Host and Origin tell: both have to be this server's.
"""

from collections.abc import Collection
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import attrs


@attrs.frozen
class Hosts:
    """Loopback, the address where a request came in, and the names that the settings list."""

    allowed: Collection[str] = ()

    def knows_host(self, scope: Any, host: str) -> bool:
        """Return whether a request's Host is this server."""
        return self._is_ours(scope, _host_of(f"//{host}"))

    def knows_origin(self, scope: Any, origin: str) -> bool:
        """Return whether a request's Origin is this server."""
        return self._is_ours(scope, _host_of(origin))

    def _is_ours(self, scope: Any, name: str) -> bool:
        server = scope.get("server") or ("", 0)
        return name == str(server[0]).lower() or name in self.allowed or is_loopback(name)


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, as nobody but itself calls it."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _host_of(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""
