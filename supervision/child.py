"""One child's life: it starts, is watched, is asked to stop, ends; its supervisor decides what follows."""

import math
import traceback
from collections.abc import Callable
from enum import Enum

import attrs
import trio

from supervision.actor import Context
from supervision.breaker import Breaker, BreakerOpen, BreakerState, Permit
from supervision.restart import Restart, Returned, StartTimeout, Stuck, is_disconnect
from supervision.spec import ChildSpec
from supervision.status import ActorStatus, Happening, State

# Seconds that a cancelled actor has to unwind before it is shown as stuck.
STUCK_AFTER = 5.0


class Goal(Enum):
    """What a supervisor wants of a child."""

    UP = "up"
    PAUSE = "pause"  # down, to be started again: its mailbox stays open
    DOWN = "down"  # down for good


@attrs.frozen
class Nested:
    """What a supervisor needs of a child that is a supervisor itself."""

    end: Callable[[Goal], None]
    was_stopped: Callable[[], bool]
    statuses: Callable[[], tuple[ActorStatus, ...]]


@attrs.frozen
class Owner:
    """What a child tells its supervisor."""

    wake: Callable[[], None]
    ended: Callable[["Child", Exception | None], None]
    report: Callable[["Child", Happening, str], None]
    dead_letter: Callable[["Child", object, str], None]


@attrs.define(eq=False)
class Child:
    """The state of one child, over all its incarnations."""

    spec: ChildSpec
    owner: Owner
    nested: Nested | None = None
    dynamic: bool = False  # added while running: forgotten when it is down for good
    goal: Goal = Goal.UP
    state: State = State.WAITING
    finished: bool = False  # it is down for good
    settled: bool = False  # ready, parked or done: the next child may start
    came_up: bool = False  # it was ready, parked or done in an orderly way at least once
    due: float = -math.inf  # when something is to be done about its state, in trio's seconds
    incarnation: int = 0
    ready: trio.Event = attrs.field(factory=trio.Event)  # set when it came up, or is down for good
    down: trio.Event = attrs.field(factory=trio.Event)  # set when it is down for good, or stuck
    breaker: Breaker | None = None
    _context: Context | None = None
    _scope: trio.CancelScope | None = None
    _permit: Permit | None = None
    _doom: Exception | None = None  # why it was cancelled, where that is a crash
    _attempts: int = 0  # ends since the last stable run
    _not_before: float = -math.inf  # the end of its back-off
    _stop_by: float = math.inf
    _began: float = 0.0
    _ready_at: float | None = None
    _last_crash: str | None = None
    _last_crash_at: float | None = None

    def __attrs_post_init__(self) -> None:
        if self.spec.breaker is not None:
            self.breaker = Breaker(self.spec.breaker, self._breaker_changed)

    @property
    def name(self) -> str:
        """The name in its spec."""
        return self.spec.name

    @property
    def alive(self) -> bool:
        """Whether a task of it exists."""
        return self._scope is not None

    # --- starting ---

    def start(self, nursery: trio.Nursery, now: float) -> None:
        """Begin an incarnation, or park the child where its breaker gives no permit."""
        if self.breaker is not None:
            try:
                self._permit = self.breaker.acquire(now)
            except BreakerOpen as refusal:
                self.park(now, refusal.retry_at, str(refusal))
                return
        self.incarnation += 1
        if self.down.is_set():  # it was stuck
            self.down = trio.Event()
        self.state, self.due = State.STARTING, now + self.spec.start_timeout
        self._scope, self._doom = trio.CancelScope(), None
        self._began, self._ready_at = now, None
        if self.spec.mailbox is not None:
            self.spec.mailbox.resume()
        self._context = Context(
            self.name,
            self.incarnation,
            self.spec.mailbox,
            self.breaker,
            on_started=self._started,
            on_succeeded=self._succeeded,
        )
        nursery.start_soon(self._live, self._context, self._scope, name=self.name)

    async def _live(self, context: Context, scope: trio.CancelScope) -> None:
        error: Exception | None = None
        request: BaseException | None = None
        try:
            with scope:
                await self.spec.start(context)
        except BaseException as raised:
            error, request = _divide(raised)
            if request is not None:
                raise request from None
        finally:
            if request is not None or trio.current_effective_deadline() == -math.inf:
                self.lower(Goal.PAUSE)  # the program ends, or the whole supervisor is being cancelled
            self._end(error)

    def _started(self, context: Context) -> None:
        if context is not self._context or self.state is not State.STARTING:
            return  # an earlier incarnation's late word, or one that is being stopped
        now = trio.current_time()
        self.state, self.due, self._ready_at = State.RUNNING, math.inf, now
        self.settle()
        self.owner.report(self, Happening.STARTED if self.incarnation == 1 else Happening.RESTARTED, "")

    def _succeeded(self, context: Context) -> None:
        if context is self._context and self._permit is not None and not self._permit.settled:
            now = trio.current_time()
            self._permit.succeeded(now, now - self._began)

    def settle(self) -> None:
        """Let the next child start."""
        self.settled = self.came_up = True
        self.ready.set()
        self.owner.wake()

    # --- stopping ---

    def ask_to_stop(self, now: float) -> None:
        """Ask a living child to return: finally where the goal is to be down, else to come back."""
        if self._context is None or self._scope is None:
            return
        self._context.stopping.set()
        self.state, self.due = State.STOPPING, self.stop_by(now)
        if self.nested is not None:
            self.nested.end(self.goal)
        elif self.spec.mailbox is not None and self.goal is Goal.DOWN:
            self.spec.mailbox.close()
        elif self.spec.mailbox is not None:
            self.spec.mailbox.halt()
        if self.due <= now:
            self.cancel(now)

    def stop_by(self, now: float) -> float:
        """Return when a stop that begins now, or has begun earlier, is to be over."""
        self._stop_by = min(self._stop_by, now + self.spec.shutdown_timeout)
        return self._stop_by

    def has_mail_to_drain(self, now: float) -> bool:
        """Whether a child without a task, to go down for good, left messages and time to handle them."""
        mailbox = self.spec.mailbox
        if mailbox is None or self.goal is not Goal.DOWN or self.finished:
            return False
        keeps_trying = self.incarnation > 0 and self.spec.restart is not Restart.TEMPORARY
        return keeps_trying and bool(mailbox.pending()) and now < self.stop_by(now)

    def cancel(self, now: float) -> None:
        """Cancel a living child; a second time changes nothing."""
        if self._scope is not None and not self._scope.cancel_called:
            self._scope.cancel()
            self.state, self.due = State.STOPPING, now + STUCK_AFTER
            self.owner.wake()

    def crash(self, cause: Exception, now: float) -> bool:
        """Cancel a living child as by a crash; return whether there was one not cancelled yet."""
        if self._scope is None or self._scope.cancel_called:
            return False
        self._doom = cause
        self.cancel(now)
        return True

    def expire(self, now: float) -> None:
        """Act on a deadline that has passed."""
        if self._scope is None or now < self.due:
            return
        if self.state is State.STARTING:
            limit = self.spec.start_timeout
            self.crash(StartTimeout(f"{self.name!r} was not ready within {limit:g} s"), now)
        elif not self._scope.cancel_called:
            self.cancel(now)
        else:
            self.mark_stuck(f"{self.name!r} has ignored its cancellation for {STUCK_AFTER:g} s")

    def mark_stuck(self, why: str) -> None:
        """Show a child that cannot be ended, and wait for it no longer."""
        self._doom = self._doom or Stuck(why)
        self.state, self.due = State.STUCK, math.inf
        self.down.set()
        self.owner.report(self, Happening.STUCK, why)
        self.owner.wake()

    def retire(self) -> None:
        """Make sure that a child without a task stays down, for good where that is the goal."""
        if self.state is not State.STOPPED:
            self.state, self.due = State.STOPPED, math.inf
            if self.incarnation:
                self.owner.report(self, Happening.STOPPED, "")
        if self.goal is Goal.DOWN and not self.finished:
            self.finished = True
            self._finish()

    def _finish(self) -> None:
        """Close what nobody will read again."""
        self.down.set()
        if self.nested is not None:
            self.nested.end(Goal.DOWN)
        if self.spec.mailbox is not None:
            self.spec.mailbox.close()
            self.spec.mailbox.refuse_pending(f"{self.name!r} has ended")
        self.settled = True
        self.ready.set()
        self.owner.wake()

    # --- ending ---

    def lower(self, goal: Goal) -> None:
        """Want less of it than before, never more."""
        if self.goal is Goal.UP or goal is Goal.DOWN:
            self.goal = goal

    def _end(self, error: Exception | None) -> None:
        """Clear up after an incarnation, then let the supervisor decide."""
        now = trio.current_time()
        cancelled = self._scope is not None and self._scope.cancel_called
        crash = self._verdict(error)
        if crash is not None:
            self._last_crash, self._last_crash_at = _summary(crash), now
        self._settle_permit(crash, now)
        if self.spec.mailbox is not None:
            # A message is not to blame for a kill, a lost connection or an error in the cleanup.
            guilty = crash is not None and not cancelled and not is_disconnect(crash)
            for message in self.spec.mailbox.give_back(crashed=guilty):
                self.owner.dead_letter(self, message, self._last_crash or "")
        self._scope = self._context = None
        if crash is not None and not is_disconnect(crash):
            self.owner.report(self, Happening.CRASHED, "".join(traceback.format_exception(crash)))
        self.owner.ended(self, crash)

    def _verdict(self, error: Exception | None) -> Exception | None:
        """Return what this end was: None for an orderly one."""
        if self._doom is not None:
            self._doom.__cause__ = error
            return self._doom
        stopped = self.nested is not None and self.nested.was_stopped()
        if error is None and self.goal is Goal.UP and self.spec.restart is Restart.PERMANENT and not stopped:
            return Returned(f"{self.name!r} is permanent and returned without having been asked to")
        return error

    def _settle_permit(self, crash: Exception | None, now: float) -> None:
        if self.breaker is None or self._permit is None:
            return
        if not self._permit.settled:
            if crash is not None and is_disconnect(crash):
                self._permit.failed(now, now - self._began)
            else:
                self._permit.cancelled()
        self._permit = None
        self.breaker.forget_probes(now)

    # --- coming back ---

    def is_done(self, crash: Exception | None) -> bool:
        """Return whether this end was the last one."""
        if self.nested is not None and self.nested.was_stopped():
            return True
        restart = self.spec.restart
        return restart is Restart.TEMPORARY or (restart is Restart.TRANSIENT and crash is None)

    def next_attempt(self, now: float, reset_after: float) -> int:
        """Return how many times it has ended since it last ran for `reset_after` seconds."""
        if self._ready_at is not None and now - self._ready_at >= reset_after:
            self._attempts = 0
        self._attempts += 1
        return self._attempts

    def hold(self, state: State, until: float) -> None:
        """Wait for a restart at `until`."""
        self.state, self.due, self._not_before = state, until, until

    def park(self, now: float, until: float, why: str) -> None:
        """Wait without holding anybody up: for the back-off after a disconnect, or for the breaker."""
        news = self.state is not State.PARKED
        self.state, self.due = State.PARKED, until
        if news:
            self._not_before = self.due if math.isfinite(self.due) else now
            self.owner.report(self, Happening.PARKED, why)
        self.settle()

    def _breaker_changed(self, _: BreakerState) -> None:
        if self.state is State.PARKED:
            self.due = min(self.due, self._not_before)
        self.owner.wake()

    def revive(self) -> None:
        """Make a child that is not down for good wait for its turn to start."""
        self.goal, self._stop_by = Goal.UP, math.inf
        if not self.alive:  # a stuck incarnation has to end first, and nobody waits for that
            self.state, self.settled, self.due = State.WAITING, False, self._not_before

    def status(self, now: float) -> ActorStatus:
        """Return what can be seen of it."""
        running = self.state is State.RUNNING and self._ready_at is not None
        return ActorStatus(
            name=self.name,
            kind=self.spec.kind,
            state=self.state,
            incarnation=self.incarnation,
            restarts=max(self.incarnation - 1, 0),
            last_crash=self._last_crash,
            last_crash_at=self._last_crash_at,
            uptime=now - (self._ready_at or 0.0) if running else None,
            mailbox=self.spec.mailbox.statistics() if self.spec.mailbox is not None else None,
            breaker=self.breaker.statistics() if self.breaker is not None else None,
            children=self.nested.statuses() if self.nested is not None else (),
        )


def _divide(raised: BaseException) -> tuple[Exception | None, BaseException | None]:
    """Part what was raised into the actor's own error and what must go on: a cancellation or an exit."""
    if isinstance(raised, Exception):
        return raised, None
    if not isinstance(raised, BaseExceptionGroup):
        return None, raised
    error, request = raised.split(Exception)
    return error, request


def _summary(error: BaseException) -> str:
    """Return one line about an error; a group of a single error is that error."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
