"""The probe on a clock that jumps, recoveries from events, and what is forgotten after a while."""

import gc
import time

import trio
import trio.testing

from actors.metrics.probe import PERIOD, Probe
from actors.metrics.recent import SPAN, Recent
from actors.metrics.recoveries import KINDS, Recoveries
from supervision import Backoff, ChildSpec, Context, Event, Happening, Supervisor


def test_what_was_long_ago_is_forgotten_and_what_was_lately_is_not() -> None:
    recent = Recent()
    recent.add(2.0, now=10.0)
    recent.add(0.001, now=10.0 + SPAN + 1)
    assert recent.longest(10.0 + SPAN + 1) == 2.0
    assert recent.latency(10.0 + SPAN + 1).total == 2
    assert recent.longest(10.0 + 2 * SPAN + 2) == 0.001
    assert recent.latency(10.0 + 2 * SPAN + 2).total == 1
    assert recent.longest(1_000.0) == 0.0


async def test_the_probe_says_how_late_the_loop_wakes_it() -> None:
    probe = Probe()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(probe.run, Context("probe", 1))
        await trio.testing.wait_all_tasks_blocked()
        time.sleep(3 * PERIOD)  # noqa: ASYNC251  # it holds the loop, as it should not
        while not probe.lag.longest(trio.current_time()):
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert probe.lag.longest(trio.current_time()) >= PERIOD


async def test_collections_are_counted_while_the_probe_is_at_work_and_not_later() -> None:
    probe = Probe()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(probe.run, Context("probe", 1))
        await trio.testing.wait_all_tasks_blocked()
        gc.collect()
        nursery.cancel_scope.cancel()
    counted = probe.generations[2].count
    assert counted >= 1
    assert probe.generations[2].seconds > 0
    gc.collect()
    assert probe.generations[2].count == counted
    assert probe.status()["longest_collection_ms"]


def event(what: Happening, at: float, path: str = "root/aggregators/one", detail: str = "") -> Event:
    return Event(what, path, 1, at, detail)


def test_a_recovery_lasts_from_the_first_crash_until_the_actor_serves_again() -> None:
    recoveries = Recoveries()
    trace = 'Traceback (most recent call last):\n  File "x", line 1\nwadm.bar.BarFormatError: no bar\n'
    recoveries.hear(event(Happening.CRASHED, 1.0, detail=trace))
    recoveries.hear(event(Happening.CRASHED, 1.5, detail=trace))
    recoveries.hear(event(Happening.RESTARTED, 3.0))
    recoveries.hear(event(Happening.RESTARTED, 9.0))
    assert recoveries.errors == {("aggregators", "BarFormatError"): 2}
    assert recoveries.crashes == {"root/aggregators/one": 2}
    assert recoveries.seconds["aggregators"].total == 1
    assert 2.0e6 <= recoveries.seconds["aggregators"].sum() <= 2.13e6


def test_a_lost_connection_recovers_too_and_what_was_stopped_never_does() -> None:
    recoveries = Recoveries()
    recoveries.hear(event(Happening.PARKED, 1.0, "root/connections/c"))
    recoveries.hear(event(Happening.STOPPED, 2.0, "root/connections/c"))
    recoveries.hear(event(Happening.STARTED, 3.0, "root/connections/c"))
    assert recoveries.seconds == {}
    assert recoveries.errors == {("connections", "parked"): 1}


def test_errors_of_ever_new_kinds_take_no_ever_more_room() -> None:
    recoveries = Recoveries()
    for number in range(3 * KINDS):
        recoveries.hear(event(Happening.CRASHED, 1.0, detail=f"Strange{number}: text"))
    assert len(recoveries.errors) <= KINDS + 1
    assert recoveries.errors["aggregators", "other"] == 2 * KINDS


async def test_a_supervised_actor_that_crashed_is_timed_until_it_runs_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    recoveries, lives = Recoveries(), iter((True, False))

    async def run(context: Context) -> None:
        if next(lives):
            raise LookupError("once")
        await trio.sleep(2.0)
        context.started()
        await context.stopping.wait()

    root = Supervisor(
        "root", [Supervisor("workers", [ChildSpec("one", run)], backoff=Backoff(1.0, 1.0, jitter=0.0))],
        on_event=recoveries.hear,
    )  # fmt: skip
    async with trio.open_nursery() as nursery:
        await nursery.start(root.run)
        root.stop()
    assert recoveries.errors == {("workers", "LookupError"): 1}
    assert recoveries.seconds["workers"].total == 1
    assert recoveries.seconds["workers"].sum() >= 2.0e6
