"""The channels between actors, declared in one place and free of cycles in which everybody waits."""

from collections.abc import Iterable
from typing import Literal, get_args

import attrs

from supervision.buffer import Overflow

Via = Literal["mailbox", "ask"]


class TopologyError(ValueError):
    """The declared channels contain a cycle of actors that can all wait for one another."""


@attrs.frozen
class Edge:
    """`source` sends to `target`: messages into its mailbox, or questions whose answers it waits for.

    A mailbox that conflates or sheds makes nobody wait; declare its `overflow` and it may close a cycle.
    """

    source: str
    target: str
    via: Via = attrs.field(default="mailbox")
    overflow: Overflow = attrs.field(default=Overflow.BLOCK)

    def __attrs_post_init__(self) -> None:
        edge = f"the edge {self.source!r} to {self.target!r}"
        if self.via not in get_args(Via):
            raise ValueError(f"{edge} must go via one of {', '.join(get_args(Via))}, not {self.via!r}")
        if self.overflow not in tuple(Overflow):
            raise ValueError(f"the overflow of {edge} must be an Overflow, not {self.overflow!r}")

    @property
    def can_wait(self) -> bool:
        """Whether the source may have to wait for the target: for room or for an answer."""
        return self.via == "ask" or self.overflow is Overflow.BLOCK


class Topology:
    """The graph of all channels."""

    def __init__(self, edges: Iterable[Edge]) -> None:
        """Declare the channels; call `check` before anything starts."""
        self.edges = tuple(edges)

    def check(self) -> None:
        """Raise TopologyError, naming the cycle, if actors can wait for one another in a circle."""
        cycle = self._cycle()
        if cycle:
            steps = "".join(f" -{edge.via}-> {edge.target}" for edge in cycle)
            raise TopologyError(f"the channels form a cycle: {cycle[0].source}{steps}")

    def _cycle(self) -> list[Edge]:
        """Walk depth first; an edge back onto the path walked closes a cycle."""
        out: dict[str, list[Edge]] = {}
        for edge in self.edges:
            if edge.can_wait:
                out.setdefault(edge.source, []).append(edge)
        done: set[str] = set()
        for start, first_edges in out.items():
            path: list[Edge] = []
            branches = [iter(first_edges)]
            while branches:
                step = next(branches[-1], None)
                if step is None:
                    branches.pop()
                    done.add(path.pop().target if path else start)
                    continue
                nodes = [start, *(edge.target for edge in path)]
                if step.target in nodes:
                    return [*path, step][nodes.index(step.target) :]
                if step.target not in done:
                    path.append(step)
                    branches.append(iter(out.get(step.target, ())))
        return []
