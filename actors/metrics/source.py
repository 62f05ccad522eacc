"""What can be scraped."""

from collections.abc import Callable, Iterable
from typing import Protocol

from prometheus_client.core import Metric

#: Makes metrics of what was read. It runs in a thread and touches nothing that lives on the loop.
Make = Callable[[], Iterable[Metric]]

#: Symbols or actors read between two checkpoints: some 10 µs each.
SLICE = 50

#: With more symbols than these, only their trades are told one by one, everything else of them together.
DETAILED = 200


class Source(Protocol):
    """Something to be scraped."""

    async def read(self) -> Make:
        """Read what there is at this moment, in slices that hold the loop for less than a millisecond."""
        ...
