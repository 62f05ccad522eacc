"""The meters of one daemon: what is counted beside the memories of its actors."""

import attrs

from actors.metrics.probe import Probe
from actors.metrics.recoveries import Recoveries
from actors.metrics.requests import Calls, Requests


@attrs.define(eq=False)
class Meters:
    """What is counted, by who counts it."""

    requests: Requests = attrs.field(factory=Requests)
    calls: Calls = attrs.field(factory=Calls)
    recoveries: Recoveries = attrs.field(factory=Recoveries)
    probe: Probe = attrs.field(factory=Probe)
