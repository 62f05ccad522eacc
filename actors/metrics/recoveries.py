"""What went wrong in the supervision tree, and how long it took until the actor served again."""

import re
from collections import Counter, OrderedDict

import attrs

from supervision import Event, Happening
from wadm.latency import Latency

#: Actors that are remembered as down, or as having crashed: those that stay away are forgotten in the end.
MOST = 4_096

#: Different kinds of errors; later ones are counted as "other".
KINDS = 64

_ENDS = (Happening.CRASHED, Happening.PARKED)
_COMES_BACK = (Happening.STARTED, Happening.RESTARTED)
_ERROR = re.compile(r"^\s*(?:\| )?([A-Za-z_][\w.]*)(?::|$)")


@attrs.define(eq=False)
class Recoveries:
    """Hears supervision events. Groups are the tree's first level: storage, aggregators, connections, ….

    ``seconds`` is the time from the first crash to serving again, by group; ``errors`` counts by group and
    kind, which is an exception's class, or what else happened; ``crashes`` counts by actor.
    """

    seconds: dict[str, Latency] = attrs.field(factory=dict, init=False)
    errors: Counter[tuple[str, str]] = attrs.field(factory=Counter, init=False)
    crashes: Counter[str] = attrs.field(factory=Counter, init=False)
    _down: OrderedDict[str, float] = attrs.field(factory=OrderedDict, init=False)

    def hear(self, event: Event) -> None:
        """Take note of an event."""
        group = _group(event.path)
        if event.what in _COMES_BACK:
            since = self._down.pop(event.path, None)
            if since is not None:
                self.seconds.setdefault(group, Latency()).add((event.at - since) * 1e6)
        elif event.what is Happening.STOPPED:
            self._down.pop(event.path, None)
        else:
            self._went_wrong(event, group)

    def _went_wrong(self, event: Event, group: str) -> None:
        kind = _kind(event)
        if (group, kind) not in self.errors and len(self.errors) >= KINDS:
            kind = "other"
        self.errors[group, kind] += 1
        if event.what is Happening.CRASHED and (event.path in self.crashes or len(self.crashes) < MOST):
            self.crashes[event.path] += 1
        if event.what in _ENDS:
            self._down.setdefault(event.path, event.at)
            while len(self._down) > MOST:
                self._down.popitem(last=False)


def _group(path: str) -> str:
    parts = path.split("/")
    return parts[1] if len(parts) > 1 else parts[0]


def _kind(event: Event) -> str:
    """Return a crash's class, from the last line of its traceback that names one."""
    if event.what is not Happening.CRASHED:
        return str(event.what.value)
    for line in reversed(event.detail.splitlines()):
        found = _ERROR.match(line)
        if found is not None and not line.startswith(" "):
            return found[1].rpartition(".")[2]
    return "crashed"
