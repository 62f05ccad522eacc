"""Metrics of the machinery: actors, their mailboxes and circuit breakers, and requests to exchanges."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby

import attrs
import trio
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

import wadm
from actors.metrics.source import DETAILED, Make
from actors.runtime import Runtime
from supervision import ActorStatus, BreakerState, MailboxStatistics, State

#: Kinds of actors of which there is one for each symbol.
_OF_SYMBOLS = ("aggregator", "book")

_ACTOR = ("actor", "kind")


@attrs.frozen(eq=False)
class _Actor:
    """What was read of one actor, or of all of a kind: then its name is empty."""

    name: str
    kind: str
    running: int
    restarts: int
    crashes: int
    depth: int = 0
    high_water: int = 0
    capacity: int = 0
    shed: int = 0
    redelivered: int = 0


@attrs.define(eq=False)
class Machinery:
    """A source."""

    runtime: Runtime

    async def read(self) -> Make:
        """Read everything; the tree is looked at in one go."""
        runtime = self.runtime
        root, crashes = runtime.root, runtime.meters.recoveries.crashes
        statuses = [] if root is None else list(_flat(root.snapshot(), ""))
        await trio.lowlevel.checkpoint()
        crashed = {path: crashes[path] for path, _ in statuses if path in crashes}
        breakers = {status.name: status.breaker.state for _, status in statuses if status.breaker}
        breakers |= {name: sink.breaker.statistics().state for name, sink in runtime.sinks.items()}
        breakers["archivist"] = runtime.archivist.progress.breaker
        dead = 0 if root is None else len(root.dead_letters.list())
        rest, epoch = runtime.rest.status(), runtime.epoch

        def make() -> Iterator[Metric]:
            actors = [_actor(path, status, crashed.get(path, 0)) for path, status in statuses]
            yield _build(epoch)
            yield from _actors(actors)
            yield from _mailboxes([one for one in actors if one.capacity])
            yield GaugeMetricFamily("wadm_dead_letters", "Messages that no actor survived.", dead)
            yield _breakers(breakers)
            yield from _rest(rest)

        return make


def _flat(status: ActorStatus, above: str) -> Iterator[tuple[str, ActorStatus]]:
    path = f"{above}/{status.name}" if above else status.name
    yield path, status
    for child in status.children:
        yield from _flat(child, path)


def _actor(path: str, status: ActorStatus, crashes: int) -> _Actor:
    running = int(status.state is State.RUNNING)
    box: MailboxStatistics | None = status.mailbox
    if box is None:
        return _Actor(status.name, status.kind, running, status.restarts, crashes)
    return _Actor(
        status.name, status.kind, running, status.restarts, crashes,
        box.depth, box.high_water, box.capacity, box.shed, box.redelivered,
    )  # fmt: skip


# --- in the thread ---


def _build(epoch: int) -> Metric:
    info = GaugeMetricFamily(
        "wadm_build_info", "Always 1: the version, and how often the data directory was started on.",
        labels=("version", "epoch"),
    )  # fmt: skip
    info.add_metric([wadm.__version__, str(epoch)], 1)
    return info


def _told(actors: Iterable[_Actor]) -> list[_Actor]:
    """Return the actors, those of symbols together where there are many."""
    found = sorted(actors, key=lambda one: one.kind)
    told: list[_Actor] = []
    for kind, group in groupby(found, key=lambda one: one.kind):
        members = list(group)
        together = kind in _OF_SYMBOLS and len(members) > DETAILED
        told += [_together(members)] if together else members
    return told


def _together(members: list[_Actor]) -> _Actor:
    def total(name: str) -> int:
        return sum(getattr(one, name) for one in members)

    return _Actor(
        "", members[0].kind, total("running"), total("restarts"), total("crashes"), total("depth"),
        max(one.high_water for one in members), total("capacity"), total("shed"), total("redelivered"),
    )  # fmt: skip


_MANY = f"Where a kind has more than {DETAILED} actors, actor is empty and stands for all of them."


def _actors(actors: Iterable[_Actor]) -> Iterator[Metric]:
    running = GaugeMetricFamily("wadm_actor_running", f"Actors that are at work. {_MANY}", labels=_ACTOR)
    restarts = CounterMetricFamily(
        "wadm_actor_restarts", f"Times that the actor was started again. {_MANY}", labels=_ACTOR
    )
    crashes = CounterMetricFamily(
        "wadm_actor_crashes", f"Times that the actor crashed. {_MANY}", labels=_ACTOR
    )
    for one in _told(actors):
        labels = (one.name, one.kind)
        running.add_metric(labels, one.running)
        restarts.add_metric(labels, one.restarts)
        crashes.add_metric(labels, one.crashes)
    yield from (running, restarts, crashes)


def _mailboxes(actors: Iterable[_Actor]) -> Iterator[Metric]:
    depth = GaugeMetricFamily("wadm_mailbox_depth", f"Messages that wait. {_MANY}", labels=_ACTOR)
    high = GaugeMetricFamily("wadm_mailbox_high_water", "Most messages that ever waited.", labels=_ACTOR)
    capacity = GaugeMetricFamily("wadm_mailbox_capacity", "Messages that may wait.", labels=_ACTOR)
    shed = CounterMetricFamily("wadm_mailbox_shed", "Messages that were dropped.", labels=_ACTOR)
    again = CounterMetricFamily(
        "wadm_mailbox_redelivered", "Messages handed out again after a crash.", labels=_ACTOR
    )
    for one in _told(actors):
        labels = (one.name, one.kind)
        depth.add_metric(labels, one.depth)
        high.add_metric(labels, one.high_water)
        capacity.add_metric(labels, one.capacity)
        shed.add_metric(labels, one.shed)
        again.add_metric(labels, one.redelivered)
    yield from (depth, high, capacity, shed, again)


def _breakers(breakers: Mapping[str, BreakerState]) -> Metric:
    family = GaugeMetricFamily(
        "wadm_breaker_state", "1 for the state that the circuit breaker is in.", labels=("breaker", "state")
    )
    for name, state in breakers.items():
        for each in BreakerState:
            family.add_metric([name, each.value], state is each)
    return family


def _rest(rest: Mapping[str, Mapping[str, object]]) -> Iterator[Metric]:
    labels = ("exchange",)
    requests = CounterMetricFamily(
        "wadm_rest_requests", "Requests to the exchange's REST interface.", labels=labels
    )
    refused = CounterMetricFamily("wadm_rest_refused", "Requests that the exchange refused.", labels=labels)
    weight = GaugeMetricFamily("wadm_rest_weight", "Weight used within the last minute.", labels=labels)
    allowed = GaugeMetricFamily(
        "wadm_rest_weight_allowed", "Weight that is used a minute at most.", labels=labels
    )
    for exchange, one in rest.items():
        requests.add_metric([exchange], _number(one["requests"]))
        refused.add_metric([exchange], _number(one["refused"]))
        weight.add_metric([exchange], _number(one["weight"]))
        if one["weight_allowed"] is not None:
            allowed.add_metric([exchange], _number(one["weight_allowed"]))
    yield from (requests, refused, weight, allowed)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
