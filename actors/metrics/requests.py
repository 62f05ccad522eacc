"""Requests to the front, and calls of tools: how many came to what, and how long they took."""

from collections import Counter

import attrs

from wadm.latency import Latency

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

#: What nobody knows the name of.
OTHER = "other"


@attrs.define(eq=False)
class Requests:
    """Counts by (path template, method, status); ``seconds`` until an answer began, by path template."""

    counts: Counter[tuple[str, str, str]] = attrs.field(factory=Counter, init=False)
    seconds: dict[str, Latency] = attrs.field(factory=dict, init=False)
    in_work: int = attrs.field(default=0, init=False)

    def add(self, path: str, method: str, status: str, seconds: float) -> None:
        """Count a request that was answered."""
        method = method if method in _METHODS else OTHER
        self.counts[path, method, status] += 1
        self.seconds.setdefault(path, Latency()).add(seconds * 1e6)


@attrs.define(eq=False)
class Calls:
    """Calls of tools by (tool, outcome), the outcome being ``ok`` or ``error``; ``seconds`` by tool."""

    counts: Counter[tuple[str, str]] = attrs.field(factory=Counter, init=False)
    seconds: dict[str, Latency] = attrs.field(factory=dict, init=False)

    def add(self, tool: str, outcome: str, seconds: float) -> None:
        """Count a call."""
        self.counts[tool, outcome] += 1
        self.seconds.setdefault(tool, Latency()).add(seconds * 1e6)
