"""The children of one supervisor, and what is to be done about them now. It waits for nothing."""

import math
from collections.abc import Callable
from random import Random

import attrs
import trio

from supervision import checks
from supervision.child import Child, Goal
from supervision.restart import Backoff, Budget, Escalation, Intensity, Strategy, is_disconnect
from supervision.status import State


@attrs.frozen
class Policy:
    """How a supervisor restarts and stops its children, all of them within `shutdown_timeout` seconds."""

    name: str = attrs.field(validator=checks.plain_name)
    strategy: Strategy = attrs.field(validator=checks.member_of(Strategy))
    intensity: Intensity = attrs.field(validator=attrs.validators.instance_of(Intensity))
    backoff: Backoff = attrs.field(validator=attrs.validators.instance_of(Backoff))
    shutdown_timeout: float = attrs.field(validator=checks.at_least(0))


@attrs.define(eq=False)
class Crew:
    """The children in the order of their start, and the decisions about them.

    Every decision is made here: `advance` looks at the state of all children and does whatever can be done
    at this moment. That is why a stop is honoured from any state, and why a slow child delays no other
    child's restart.
    """

    policy: Policy
    draw: Random
    wake: Callable[[], None]
    escalated: Callable[[str], None]
    children: list[Child] = attrs.field(factory=list)
    ending: Goal | None = None  # PAUSE or DOWN, once all of them are to go down
    failure: Escalation | None = None
    _budget: Budget = attrs.field(init=False)
    _end_due: float = math.inf

    def __attrs_post_init__(self) -> None:
        self._budget = Budget(self.policy.intensity)

    def prepare(self) -> None:
        """Make all children wait for their start, unless they are down for good."""
        self._budget = Budget(self.policy.intensity)
        self.failure, self._end_due = None, math.inf
        if self.ending is Goal.DOWN:
            return
        self.ending = None
        for child in self.children:
            if child.goal is not Goal.DOWN:
                child.revive()
                child.due = -math.inf

    @property
    def ready(self) -> bool:
        """Whether every child is ready, parked or done."""
        return all(child.settled for child in self.children)

    @property
    def over(self) -> bool:
        """Whether all were to go down and are."""
        return self.ending is not None and not any(c.alive or c.goal is Goal.UP for c in self.children)

    @property
    def stuck(self) -> tuple[str, ...]:
        """The names of the children that keep the end waiting, when nothing but stuck ones does."""
        alive = [child for child in self.children if child.alive]
        if self.ending is None or any(child.state is not State.STUCK for child in alive):
            return ()
        return tuple(child.name for child in alive)

    def next_due(self, now: float) -> float:
        """Return when to look again. What is overdue even now waits for a sibling, not for a time."""
        dues = [child.due for child in self.children if child.due > now]
        return min([*dues, self._end_due if self._end_due > now else math.inf])

    def advance(self, nursery: trio.Nursery, now: float) -> None:
        """Do everything that can be done now."""
        # There may be a thousand children, and this is done for each that starts: what is seldom comes first.
        for child in self.children:
            if child.due <= now:
                child.expire(now)
        if self.ending is not None and now >= self._end_due:
            self._cut_short(self.ending, now)
        if self.ending is not None or any(child.goal is not Goal.UP for child in self.children):
            self._stop_in_reverse(nursery, now)
        if self.ending is not Goal.PAUSE:
            self._start_in_order(nursery, now)
        self.forget()

    def forget(self) -> None:
        """Drop the children that were added while running and are down for good."""
        self.children = [child for child in self.children if not (child.dynamic and child.finished)]

    def end(self, goal: Goal, now: float) -> None:
        """Let all children go down, to come back or for good; `retire` does it where none is running.

        For good, each that has come up is wanted until its turn comes: if it crashes before, it is restarted
        as ever, since those that stop earlier may need it to drain.
        """
        if self.ending in (goal, Goal.DOWN):
            return
        self.ending = goal
        self._end_due = min(self._end_due, now + self.policy.shutdown_timeout)
        for child in self.children:
            if goal is Goal.PAUSE or not child.came_up:
                child.lower(goal)

    def retire(self) -> None:
        """See that all stay down that are to, none of which is running."""
        for child in reversed(self.children):
            child.lower(self.ending or child.goal)
            if child.goal is not Goal.UP:
                child.retire()

    def _cut_short(self, ending: Goal, now: float) -> None:
        """Cancel whatever still runs: the time for the whole stop is over."""
        for child in self.children:
            child.lower(ending)
            child.cancel(now)

    def _stop_in_reverse(self, nursery: trio.Nursery, now: float) -> None:
        """Ask the last child that is to go down, and the one before it when that one is gone.

        A child that the stop found crashed, or that crashes while it drains its mailbox, is started to
        drain it, as long as its time and the budget of restarts last.
        """
        for child in reversed(self.children):
            child.lower(self.ending or child.goal)
            if child.goal is Goal.UP:
                continue
            if not child.alive and child.has_mail_to_drain(now) and self._budget.spend(now):
                child.start(nursery, now)
            if not child.alive:
                child.retire()
            elif child.state is not State.STUCK:
                if child.state is not State.STOPPING:
                    child.ask_to_stop(now)
                if child.alive:
                    return

    def _start_in_order(self, nursery: trio.Nursery, now: float) -> None:
        """Start what is due; a first start and a group's restart wait for the children before."""
        paused = [child for child in self.children if child.goal is Goal.PAUSE]
        pausing = any(child.alive and child.state is not State.STUCK for child in paused)
        if not pausing:
            for child in paused:
                child.revive()
        blocked = pausing
        for child in self.children:
            if child.due > now:  # nothing is to be done about it
                blocked = blocked or not child.settled
                continue
            waits = child.state is State.WAITING
            held = child.state in (State.BACKING_OFF, State.PARKED) or (waits and not blocked)
            if held and child.goal is Goal.UP and child.due <= now:
                child.start(nursery, now)
            blocked = blocked or not child.settled

    def child_ended(self, child: Child, crash: Exception | None) -> None:
        """Decide what follows the end of an incarnation."""
        self.wake()
        now = trio.current_time()
        if child.goal is Goal.UP and child.is_done(crash):
            child.goal = Goal.DOWN
            if crash is None:
                child.settle()
        lost_contact = crash is not None and is_disconnect(crash)
        if child.goal is not Goal.UP:
            if crash is None or lost_contact or not child.has_mail_to_drain(now):
                child.retire()
            return
        backoff = self.policy.backoff
        until = now + backoff.delay(child.next_attempt(now, backoff.reset_after), self.draw)
        if lost_contact:
            child.park(now, until, f"{crash}")
        elif self._budget.spend(now):
            self._restart(child, until)
        elif self.ending is not None:  # too late to give up: the stop goes on without it
            child.lower(self.ending)
            child.retire()
        else:
            self._escalate(child, crash)

    def _restart(self, child: Child, until: float) -> None:
        if self.policy.strategy is Strategy.ONE_FOR_ONE:
            child.hold(State.BACKING_OFF, until)
            return
        child.hold(State.WAITING, until)
        child.settled = False
        first = 0 if self.policy.strategy is Strategy.ONE_FOR_ALL else self.children.index(child)
        for member in self.children[first:]:
            # A parked member has no state that could disagree with the others', and nothing to restart.
            if member is not child and member.goal is Goal.UP and member.state is not State.PARKED:
                member.goal = Goal.PAUSE

    def _escalate(self, child: Child, crash: Exception | None) -> None:
        allowed = self.policy.intensity
        self.failure = Escalation(
            f"supervisor {self.policy.name!r} gives up: more than {allowed.restarts} restarts in"
            f" {allowed.period:g} s, the last after a crash of {child.name!r}"
        )
        self.failure.__cause__ = crash
        self.escalated(str(self.failure))
        self.end(Goal.PAUSE, trio.current_time())
