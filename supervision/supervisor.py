"""A supervisor: it starts its children in order, restarts those that crash, and stops them in reverse."""

import math
from collections.abc import Callable, Iterable
from random import Random

import attrs
import trio

from supervision import checks
from supervision.actor import Context
from supervision.breaker import Breaker
from supervision.child import Child, Goal, Nested, Owner, killed
from supervision.deadletter import DeadLetters
from supervision.restart import (
    Backoff,
    Budget,
    Escalation,
    Intensity,
    NotStarted,
    Strategy,
    Stuck,
    is_disconnect,
)
from supervision.spec import ChildSpec
from supervision.status import ActorStatus, Event, Happening, OnEvent, State, emit, log_event


@attrs.frozen
class _Settings:
    name: str = attrs.field(validator=checks.plain_name)
    strategy: Strategy = attrs.field(validator=checks.member_of(Strategy))
    intensity: Intensity = attrs.field(validator=attrs.validators.instance_of(Intensity))
    backoff: Backoff = attrs.field(validator=attrs.validators.instance_of(Backoff))
    shutdown_timeout: float = attrs.field(validator=checks.at_least(0))


class Supervisor:
    """A set of children, actors or supervisors, that are kept running.

    Whatever happens to a child is decided here, in one place and without waiting: `_advance` looks at the
    state of all children and does everything that can be done now, and `_tend` sleeps until something
    changes or is due. That is why a stop is honoured from any state and one slow child never delays another
    one's restart.

    Limits: a task that ignores its cancellation (it shields itself, or a thread holds it) cannot be ended
    by anybody. It is reported and shown as stuck, the others are stopped as ever, and when nothing else is
    left the supervisor reports itself as stuck. `run` returns only when that task ends, since trio lets no
    task outlive its nursery: a program that cannot wait has to end its process at that event. An actor that
    never awaits stops the whole program, and only something outside of it can tell.
    """

    def __init__(
        self,
        name: str,
        children: "Iterable[ChildSpec | Supervisor]" = (),
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        *,
        intensity: Intensity | None = None,
        backoff: Backoff | None = None,
        random: Random | None = None,
        shutdown_timeout: float = math.inf,
        on_event: OnEvent | None = None,
        dead_letters: DeadLetters | None = None,
    ) -> None:
        """Declare a supervisor; nothing runs before `run`.

        `shutdown_timeout` bounds its whole stop, in seconds: what still runs then is cancelled at once.
        `on_event` and `dead_letters` are its parent's where they are not given; at the root, events are
        logged. Raises ValueError for a duplicate name, a mailbox that two children share, or any wrong
        value.
        """
        self._settings = _Settings(
            name, strategy, intensity or Intensity(), backoff or Backoff(), shutdown_timeout
        )
        self._random = random or Random()
        self._on_event = on_event
        self._dead_letters = dead_letters
        self._parent: Supervisor | None = None
        self._children: list[Child] = []
        self._nested: dict[str, Supervisor] = {}
        self._nursery: trio.Nursery | None = None
        self._changed = trio.Event()
        self._budget = Budget(self._settings.intensity)
        self._ending: Goal | None = None
        self._end_due = math.inf
        self._failure: Escalation | None = None
        self._told_stuck = False
        for child in children:
            self._adopt(child, dynamic=False)

    @property
    def name(self) -> str:
        """Its own name."""
        return self._settings.name

    @property
    def path(self) -> str:
        """Its name after those of the supervisors above it, such as `root/workers`."""
        return self.name if self._parent is None else f"{self._parent.path}/{self.name}"

    @property
    def dead_letters(self) -> DeadLetters:
        """Where poison messages of this tree are kept."""
        if self._dead_letters is None:
            self._dead_letters = DeadLetters() if self._parent is None else self._parent.dead_letters
        return self._dead_letters

    # --- running ---

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run the children until `stop`; `task_status` hears when all of them are ready (or parked).

        Raises Escalation when they crash more often than the intensity allows (they are stopped first, and
        their mailboxes keep what they hold), RuntimeError when it is running already. Cancelled, it cancels
        all its children at once; `stop` is the orderly way.
        """
        await self._run(task_status.started)

    async def _run(self, announce: Callable[[], None]) -> None:
        if self._nursery is not None:
            raise RuntimeError(f"supervisor {self.path!r} is running already")
        self._prepare()
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                await self._tend(announce)
        except BaseExceptionGroup as group:
            raise _exit_request(group) or group from None
        finally:
            self._nursery = None
        if self._failure is not None:
            raise self._failure

    def _prepare(self) -> None:
        self._budget = Budget(self._settings.intensity)
        self._failure, self._told_stuck, self._end_due = None, False, math.inf
        if self._ending is Goal.DOWN:
            return
        self._ending = None
        for child in self._children:
            if child.goal is not Goal.DOWN:
                child.due = -math.inf
                child.revive()

    async def _tend(self, announce: Callable[[], None]) -> None:
        announced = False
        while True:
            self._changed = trio.Event()
            now = trio.current_time()
            self._advance(now)
            over = self._ending is not None and not any(child.alive for child in self._children)
            if not announced and self._failure is None and (over or self._is_ready()):
                announced = True
                announce()
            if over:
                return
            with trio.move_on_at(self._next_due(now)):
                await self._changed.wait()

    def _is_ready(self) -> bool:
        return all(child.settled for child in self._children)

    def _next_due(self, now: float) -> float:
        """Return when to look again. What is overdue and has no task waits for a sibling, not for a time."""
        dues = [child.due for child in self._children if child.alive or child.due > now]
        return min([*dues, self._end_due if self._end_due > now else math.inf])

    def _wake(self) -> None:
        self._changed.set()

    # --- the one place of decisions ---

    def _advance(self, now: float) -> None:
        """Do everything that can be done now."""
        for child in self._children:
            child.expire(now)
            if now >= self._end_due:
                child.cancel(now)
        self._stop_in_reverse(now)
        if self._ending is None and self._nursery is not None:
            self._start_in_order(self._nursery, now)
        self._children = [c for c in self._children if not (c.dynamic and c.down.is_set() and not c.alive)]
        self._tell_if_stuck()

    def _stop_in_reverse(self, now: float) -> None:
        """Ask the last child that is to go down, and the one before it when that one is gone."""
        for child in reversed(self._children):
            if child.goal is Goal.UP:
                continue
            if not child.alive:
                child.retire()
            elif child.state is not State.STUCK:
                if child.state is not State.STOPPING:
                    child.ask_to_stop(now)
                if child.alive:
                    return

    def _start_in_order(self, nursery: trio.Nursery, now: float) -> None:
        """Start what is due; a first start and a group's restart wait for the children before."""
        paused = [child for child in self._children if child.goal is Goal.PAUSE]
        pausing = any(child.alive and child.state is not State.STUCK for child in paused)
        if not pausing:
            for child in paused:
                child.revive()
        blocked = pausing
        for child in self._children:
            waits = child.state is State.WAITING
            held = child.state in (State.BACKING_OFF, State.PARKED) or (waits and not blocked)
            if held and child.due <= now:
                child.start(nursery, now)
            blocked = blocked or not child.settled

    def _child_ended(self, child: Child, crash: Exception | None) -> None:
        self._wake()
        now = trio.current_time()
        if child.goal is Goal.UP and child.is_done(crash):
            child.goal = Goal.DOWN
        if child.goal is not Goal.UP:
            child.retire()
            return
        backoff = self._settings.backoff
        until = now + backoff.delay(child.next_attempt(now, backoff.reset_after), self._random)
        if crash is not None and is_disconnect(crash):
            child.park(now, until, f"{crash}")
        elif self._budget.spend(now):
            self._restart(child, until)
        else:
            self._escalate(child, crash)

    def _restart(self, child: Child, until: float) -> None:
        if self._settings.strategy is Strategy.ONE_FOR_ONE:
            child.hold(State.BACKING_OFF, until)
            return
        child.hold(State.WAITING, until)
        child.settled = False
        first = 0 if self._settings.strategy is Strategy.ONE_FOR_ALL else self._children.index(child)
        for member in self._children[first:]:
            # A parked member has no state that could disagree with the others', and nothing to restart.
            if member is not child and member.goal is Goal.UP and member.state is not State.PARKED:
                member.goal = Goal.PAUSE

    def _escalate(self, child: Child, crash: Exception | None) -> None:
        intensity = self._settings.intensity
        text = (
            f"supervisor {self.path!r} gives up: more than {intensity.restarts} restarts in"
            f" {intensity.period:g} s, the last after a crash of {child.name!r}"
        )
        self._failure = Escalation(text)
        self._failure.__cause__ = crash
        self._emit(Happening.ESCALATED, self.path, 0, text)
        self._end(Goal.PAUSE)

    def _tell_if_stuck(self) -> None:
        alive = [child for child in self._children if child.alive]
        if self._told_stuck or self._ending is None or not alive:
            return
        if any(child.state is not State.STUCK for child in alive):
            return
        self._told_stuck = True
        text = f"only stuck children are left: {', '.join(child.name for child in alive)}"
        if self._parent is None:
            self._emit(Happening.STUCK, self.path, 0, text)
        else:
            self._parent._find(self.name).mark_stuck(text)  # noqa: SLF001

    # --- stopping ---

    def stop(self) -> None:
        """Ask for an orderly stop, for good, from any state: children stop in reverse order. Idempotent."""
        self._end(Goal.DOWN)

    def _end(self, goal: Goal) -> None:
        if self._ending in (goal, Goal.DOWN):
            return
        self._ending = goal
        for child in self._children:
            if child.goal is not Goal.DOWN:
                child.goal = goal
        if self._nursery is not None:
            self._end_due = min(self._end_due, trio.current_time() + self._settings.shutdown_timeout)
        else:
            for child in reversed(self._children):
                child.retire()
        self._wake()

    # --- while it runs ---

    async def start_child(self, spec: "ChildSpec | Supervisor") -> None:
        """Add a child after all others and wait until it is ready or parked.

        Where the supervisor is not running it is started with the others. Raises ValueError for a duplicate
        name, NotStarted when the supervisor is stopping or the child ended for good before it was ready. A
        caller cancelled meanwhile has added the child all the same.
        """
        if self._ending is Goal.DOWN:
            raise NotStarted(f"supervisor {self.path!r} is stopping: it takes no new child")
        child = self._adopt(spec, dynamic=True)
        if self._nursery is None:
            return
        self._wake()
        await child.ready.wait()
        status = child.status(trio.current_time())
        if child.down.is_set() and (status.last_crash is not None or status.incarnation == 0):
            why = status.last_crash or "its supervisor stops"
            raise NotStarted(f"child {child.name!r} of {self.path!r} ended before it was ready: {why}")

    async def stop_child(self, name: str) -> None:
        """Stop a child in an orderly way, for good, wait until it is down, and forget it.

        Raises LookupError for an unknown name, Stuck when the child ignores its cancellation.
        """
        child = self._find(name)
        child.dynamic, child.goal = True, Goal.DOWN
        if self._nursery is None:
            child.retire()
            self._children.remove(child)
            return
        self._wake()
        await child.down.wait()
        if child.alive:
            raise Stuck(f"child {name!r} of {self.path!r} ignores its cancellation")

    def kill(self, name: str) -> bool:
        """Make a child crash now, at whatever it awaits, as by a bug (the cause is Killed).

        `name` is a child's name, or a path to one further down, with or without this supervisor's own path
        before it. Returns False where there is nothing to kill: the child is not running or is being
        cancelled. Raises LookupError for an unknown name.
        """
        owner, child = self._locate(name)
        return child.crash(killed(f"{owner.path}/{child.name}"), trio.current_time())

    def breaker(self, name: str) -> Breaker:
        """Return the circuit breaker of the child of that name or path, to isolate or reset it by hand.

        An isolated child that is running goes on; kill it to park it. Raises LookupError where there is none.
        """
        _, child = self._locate(name)
        if child.breaker is None:
            raise LookupError(f"child {name!r} of {self.path!r} has no circuit breaker")
        return child.breaker

    def snapshot(self) -> ActorStatus:
        """Return the state of the whole tree at this moment. It stops and changes nothing."""
        if self._parent is not None:
            now = trio.current_time()
            return self._parent._find(self.name).status(now)  # noqa: SLF001
        return ActorStatus(self.name, "supervisor", self._state(), children=self._statuses())

    def _state(self) -> State:
        if self._nursery is None:
            return State.STOPPED if self._ending is Goal.DOWN else State.WAITING
        if self._ending is not None:
            return State.STUCK if self._told_stuck else State.STOPPING
        return State.RUNNING if self._is_ready() else State.STARTING

    def _statuses(self) -> tuple[ActorStatus, ...]:
        now = trio.current_time()
        return tuple(child.status(now) for child in self._children)

    # --- the tree ---

    def _adopt(self, given: "ChildSpec | Supervisor", *, dynamic: bool) -> Child:
        if isinstance(given, Supervisor):
            if given._parent is not None or given._nursery is not None:  # noqa: SLF001
                raise ValueError(f"supervisor {given.name!r} has a parent already or is running by itself")
            spec = ChildSpec(
                name=given.name,
                start=given._live,  # noqa: SLF001
                shutdown_timeout=math.inf,  # it keeps its own
                start_timeout=math.inf,
                kind="supervisor",
            )
            nested = Nested(given._live, given._end, given._was_stopped, given._statuses)  # noqa: SLF001
        elif isinstance(given, ChildSpec):
            spec, nested = given, None
        else:
            raise TypeError(f"a child of {self.path!r} must be a ChildSpec or a Supervisor, not {given!r}")
        self._refuse_doubles(spec)
        if isinstance(given, Supervisor):
            given._parent = self  # noqa: SLF001
            self._nested[given.name] = given
        owner = Owner(self._wake, self._child_ended, self._report, self._keep_dead_letter)
        child = Child(spec, owner, nested, dynamic)
        self._children.append(child)
        return child

    def _refuse_doubles(self, spec: ChildSpec) -> None:
        for other in self._children:
            if other.name == spec.name:
                raise ValueError(f"supervisor {self.path!r} has two children named {spec.name!r}")
            if spec.mailbox is not None and other.spec.mailbox is spec.mailbox:
                raise ValueError(
                    f"mailbox {spec.mailbox.name!r} belongs to both {other.name!r} and {spec.name!r}"
                )
        if spec.mailbox is not None and spec.mailbox.closed:
            raise ValueError(
                f"mailbox {spec.mailbox.name!r} of {spec.name!r} is closed: give the child a new one"
            )

    async def _live(self, context: Context) -> None:
        await self._run(context.started)

    def _was_stopped(self) -> bool:
        return self._ending is Goal.DOWN

    def _find(self, name: str) -> Child:
        for child in self._children:
            if child.name == name:
                return child
        raise LookupError(f"supervisor {self.path!r} has no child {name!r}")

    def _locate(self, path: str) -> "tuple[Supervisor, Child]":
        first, _, rest = path.removeprefix(f"{self.path}/").partition("/")
        child = self._find(first)
        if not rest:
            return self, child
        if child.nested is None:
            raise LookupError(f"child {first!r} of {self.path!r} is no supervisor: it has no child {rest!r}")
        return self._nested[first]._locate(rest)  # noqa: SLF001

    def _report(self, child: Child, what: Happening, detail: str) -> None:
        self._emit(what, f"{self.path}/{child.name}", child.incarnation, detail)

    def _keep_dead_letter(self, child: Child, message: object, cause: str) -> None:
        if child.spec.mailbox is not None:
            letter = self.dead_letters.keep(child.spec.mailbox, message, cause, trio.current_time())
            self._report(child, Happening.DEAD_LETTERED, f"letter {letter.id}: {cause}")

    def _emit(self, what: Happening, path: str, incarnation: int, detail: str) -> None:
        emit(self._listener(), Event(what, path, incarnation, trio.current_time(), detail))

    def _listener(self) -> OnEvent:
        if self._on_event is not None or self._parent is None:
            return self._on_event or log_event
        return self._parent._listener()  # noqa: SLF001


def _exit_request(group: BaseExceptionGroup[BaseException]) -> BaseException | None:
    """Return the interrupt or exit inside a group: the interpreter knows those only by themselves."""
    request: BaseException | None = group.subgroup((KeyboardInterrupt, SystemExit))
    while isinstance(request, BaseExceptionGroup):
        request = request.exceptions[0]
    return request
