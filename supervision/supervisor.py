"""A supervisor: it starts its children in order, restarts those that crash, and stops them in reverse."""

import math
from collections.abc import Callable, Iterable
from random import Random

import trio

from supervision.actor import Context
from supervision.breaker import Breaker
from supervision.child import Child, Goal, Nested, Owner
from supervision.crew import Crew, Policy
from supervision.deadletter import DeadLetters
from supervision.restart import Backoff, Intensity, Killed, NotStarted, Strategy, Stuck
from supervision.spec import ChildSpec
from supervision.status import ActorStatus, Event, Happening, OnEvent, State, emit, log_event


class Supervisor:
    """A set of children, actors or supervisors, that are kept running.

    Limits: a task that ignores its cancellation (it shields itself, or a thread holds it) cannot be ended by
    anybody. It is reported and shown as stuck, the others are stopped as ever, and when nothing else is left
    the supervisor reports itself as stuck. `run` returns only when that task ends, since trio lets no task
    outlive its nursery: a program that cannot wait has to end its process at that event. An actor that never
    awaits stops the whole program, and only something outside of it can tell.
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
        policy = Policy(name, strategy, intensity or Intensity(), backoff or Backoff(), shutdown_timeout)
        self._crew = Crew(policy, random or Random(), self._wake, self._escalated)
        self._on_event = on_event
        self._dead_letters = dead_letters
        self._parent: Supervisor | None = None
        self._nested: dict[str, Supervisor] = {}
        self._nursery: trio.Nursery | None = None
        self._changed = trio.Event()
        self._told_stuck = False
        self._runs = 0
        self._ready_at: float | None = None
        for child in children:
            self._adopt(child, dynamic=False)

    @property
    def name(self) -> str:
        """Its own name."""
        return self._crew.policy.name

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
        self._crew.prepare()
        self._told_stuck = False
        self._runs += 1
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                await self._tend(nursery, announce)
        except BaseExceptionGroup as group:
            raise _exit_request(group) or group from None
        finally:
            self._nursery = self._ready_at = None
            self._crew.retire()
        if self._crew.failure is not None:
            raise self._crew.failure

    async def _tend(self, nursery: trio.Nursery, announce: Callable[[], None]) -> None:
        """Look after the children whenever something changed or is due, until all of them are down."""
        crew, announced = self._crew, False
        while True:
            self._changed = trio.Event()
            now = trio.current_time()
            crew.advance(nursery, now)
            self._tell_if_stuck()
            if not announced and crew.failure is None and (crew.over or crew.ready):
                announced, self._ready_at = True, now
                announce()
            if crew.over:
                return
            with trio.move_on_at(crew.next_due(now)):
                await self._changed.wait()

    def _wake(self) -> None:
        self._changed.set()

    def _escalated(self, text: str) -> None:
        self._emit(Happening.ESCALATED, self.path, 0, text)

    def _tell_if_stuck(self) -> None:
        stuck = self._crew.stuck
        if self._told_stuck or not stuck:
            return
        self._told_stuck = True
        text = f"only stuck children are left: {', '.join(stuck)}"
        if self._parent is None:
            self._emit(Happening.STUCK, self.path, 0, text)
        else:
            self._parent._find(self.name).mark_stuck(text)  # noqa: SLF001

    # --- stopping ---

    def stop(self) -> None:
        """Ask for an orderly stop, for good, from any state: children stop in reverse order. Idempotent."""
        self._end(Goal.DOWN)

    def _end(self, goal: Goal) -> None:
        if self._nursery is None:
            self._crew.end(goal, math.inf)
            self._crew.retire()
        else:
            self._crew.end(goal, trio.current_time())
        self._wake()

    # --- while it runs ---

    async def start_child(self, spec: "ChildSpec | Supervisor") -> None:
        """Add a child after all others and wait until it is ready or parked.

        Where the supervisor is not running, the child is started with the others, later. Raises ValueError
        for a duplicate name, NotStarted when the supervisor is stopping or the child ended for good before
        it was ready. A caller cancelled meanwhile has added the child all the same.
        """
        if self._crew.ending is Goal.DOWN:
            raise NotStarted(f"supervisor {self.path!r} is stopping: it takes no new child")
        child = self._adopt(spec, dynamic=True)
        if self._nursery is None:
            return
        self._wake()
        await child.ready.wait()
        if not child.came_up:
            why = child.status(trio.current_time()).last_crash or "it was stopped"
            raise NotStarted(f"child {child.name!r} of {self.path!r} ended before it was ready: {why}")

    async def stop_child(self, name: str) -> None:
        """Stop a child in an orderly way, for good, wait until it is down, and forget it.

        Raises LookupError for an unknown name, Stuck when the child ignores its cancellation.
        """
        child = self._find(name)
        child.dynamic, child.goal = True, Goal.DOWN
        if self._nursery is None:
            child.retire()
        self._wake()
        await child.down.wait()
        if child.alive:
            raise Stuck(f"child {name!r} of {self.path!r} ignores its cancellation")
        if child in self._crew.children:  # its name is free at once
            self._crew.children.remove(child)

    def kill(self, name: str) -> bool:
        """Make a child crash now, at whatever it awaits, as by a bug (the cause is Killed).

        It spends restart budget as a bug does, but no message is blamed for it.

        `name` is a child's name, or a path to one further down, with or without this supervisor's own path
        before it. Returns False where there is nothing to kill: the child is not running or is being
        cancelled. Raises LookupError for an unknown name.
        """
        owner, child = self._locate(name)
        return child.crash(Killed(f"{owner.path}/{child.name} was killed on purpose"), trio.current_time())

    def breaker(self, name: str) -> Breaker:
        """Return the circuit breaker of the child of that name or path, to isolate or reset it by hand.

        An isolated child that is running goes on; kill it to park it. Raises LookupError where there is none.
        """
        _, child = self._locate(name)
        if child.breaker is None:
            raise LookupError(f"child {name!r} of {self.path!r} has no circuit breaker")
        return child.breaker

    def snapshot(self) -> ActorStatus:
        """Return the state of this supervisor and all below it at this moment; nothing is stopped for it."""
        now = trio.current_time()
        if self._parent is not None:
            return self._parent._find(self.name).status(now)  # noqa: SLF001
        return ActorStatus(
            name=self.name,
            kind="supervisor",
            state=self._state(),
            incarnation=self._runs,
            restarts=max(self._runs - 1, 0),
            uptime=None if self._ready_at is None else now - self._ready_at,
            children=self._statuses(),
        )

    def _state(self) -> State:
        if self._nursery is None:
            return State.STOPPED if self._crew.ending is Goal.DOWN else State.WAITING
        if self._crew.ending is not None:
            return State.STUCK if self._told_stuck else State.STOPPING
        return State.RUNNING if self._crew.ready else State.STARTING

    def _statuses(self) -> tuple[ActorStatus, ...]:
        now = trio.current_time()
        return tuple(child.status(now) for child in self._crew.children)

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
            nested = Nested(given._end, given._was_stopped, given._statuses)  # noqa: SLF001
        elif isinstance(given, ChildSpec):
            spec, nested = given, None
        else:
            raise TypeError(f"a child of {self.path!r} must be a ChildSpec or a Supervisor, not {given!r}")
        self._refuse_doubles(spec)
        if isinstance(given, Supervisor):
            given._parent = self  # noqa: SLF001
            self._nested[given.name] = given
        owner = Owner(self._wake, self._crew.child_ended, self._report, self._keep_dead_letter)
        child = Child(spec, owner, nested, dynamic)
        self._crew.children.append(child)
        return child

    def _refuse_doubles(self, spec: ChildSpec) -> None:
        self._crew.forget()
        for other in self._crew.children:
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
        return self._crew.ending is Goal.DOWN

    def _find(self, name: str) -> Child:
        for child in self._crew.children:
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
