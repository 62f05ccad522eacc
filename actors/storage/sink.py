"""A sink: the actor that carries the journal's entries into a store, from the target's own cursor."""

import math
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import attrs
import structlog
import trio

from actors.notice import Notice
from actors.storage.carrier import Carried, Carrier, Leg
from actors.storage.errors import DiskFull, JournalUnreadable, StorageError
from actors.storage.journal import Journal, wall_clock
from actors.storage.letting_go import Follower
from actors.storage.marks import Marks
from actors.storage.reach import Reach
from actors.storage.store import Target, named
from actors.storage.tier_log import Loss
from actors.storage.worker.worker import ThreadWorker, Worker, WorkerDied
from supervision import Breaker, BreakerOpen, BreakerPolicy, Context

log = structlog.get_logger("sink")

T = TypeVar("T")

#: Entries applied in one transaction of the store at most.
BATCH = 10_000

#: Trades applied in one transaction: at first, and the bounds within which that follows the store's pace. A
#: driver encodes what it is given in one go, and the loop stands still meanwhile: more would be felt there.
TRADES = 2_000
LEAST = 500
MOST = 5_000

#: The seconds one transaction shall take: it grows while it takes fewer, and shrinks where it takes more.
BRIEF = 0.4
LONG = 1.5

#: Waits (s) between attempts while the store fails and the breaker does not know it yet.
FIRST_RETRY = 0.1
LAST_RETRY = 2.0

#: Asked to stop, a sink goes on carrying over for so many seconds.
DRAIN = 5.0

#: Four failures in a row, or as many calls that take ages, and the store is left alone for a while. In so
#: short a window the first call that works again is not held against it.
POLICY = BreakerPolicy(
    window=5, minimum_calls=4, failure_rate=0.8, slow_seconds=5.0, slow_rate=0.8, open_seconds=5.0
)


@attrs.frozen
class Progress:
    """Where a sink stands. ``lag`` counts journal entries; ``last_error`` is None while all is well.

    ``oldest`` is when the oldest entry that waits was committed, ``since`` when it last went wrong (µs).
    """

    cursor: int
    lag: int
    caught_up: bool
    last_error: str | None
    failures: int
    oldest: int | None = None
    since: int | None = None


@attrs.define(eq=False)
class Sink:
    """Follows the journal into ``target``.

    Its place is the target's own, asked for at every start, failure and transaction. A target that fails is
    tried again, with back-off and under a circuit breaker, from the place it says it has; entries and place
    are committed together, so that none is lost or stored twice. One that comes back with less than it had
    gets it again as far as the journal reaches; where ``history`` is to be kept, the rest is noted as lost.
    """

    journal: Journal
    target: Target
    marks: Marks
    batch: int = BATCH
    history: bool = False
    breaker: Breaker = attrs.field(factory=lambda: Breaker(POLICY), repr=False)
    reach: Reach = attrs.field(factory=Reach, repr=False)
    worker: Worker = attrs.field(
        default=attrs.Factory(lambda self: ThreadWorker(Carrier(self.journal, self.target)), takes_self=True),
        repr=False,
    )
    _place: int = attrs.field(default=0, init=False)
    _stored: int = attrs.field(default=0, init=False)  # the place that the store knows; at most ``_place``
    _let_go: int = attrs.field(default=0, init=False)  # the journal has nothing up to here any more
    _trades: int = attrs.field(default=TRADES, init=False)
    _opened: bool = attrs.field(default=False, init=False)
    _met: bool = attrs.field(default=False, init=False)  # it was open before, since the start of the daemon
    _failures: int = attrs.field(default=0, init=False)
    _last_error: str | None = attrs.field(default=None, init=False)
    _since: int | None = attrs.field(default=None, init=False)
    _oldest: int | None = attrs.field(default=None, init=False)
    _moved: Notice = attrs.field(factory=Notice, init=False, repr=False)
    #: The journal is asked in a thread that nobody else holds.
    _threads: trio.CapacityLimiter = attrs.field(
        factory=lambda: trio.CapacityLimiter(1), init=False, repr=False
    )

    def __attrs_post_init__(self) -> None:
        # What the store says itself counts; until it can be asked, this is what it had.
        self._place = self._stored = self.journal.places().get(self.name, 0)

    @property
    def name(self) -> str:
        """What is followed into, and where: ``mongodb at host:port``."""
        return named(self.target.name, self.target.address)

    @property
    def progress(self) -> Progress:
        """Where the sink stands at this moment."""
        lag = max(0, self.marks.last_seq - max(self._place, self._let_go))
        oldest = self._oldest if lag else None
        caught_up = self._opened and not lag
        return Progress(self._place, lag, caught_up, self._last_error, self._failures, oldest, self._since)

    @property
    def follower(self) -> Follower:
        """What the journal needs to know before it lets go of something."""
        return Follower(self.name, self._place, self.target.keeps)

    @property
    def stored(self) -> int:
        """The place that the store knew when it was last asked."""
        return self._stored

    def let_go(self, seq: int) -> None:
        """Note that the journal has let go of everything up to ``seq``."""
        self._let_go = max(self._let_go, seq)

    async def wait_for(self, predicate: Callable[[Progress], bool]) -> None:
        """Return once the predicate holds of the progress."""
        await self._moved.wait_for(lambda: predicate(self.progress))

    async def wait_caught_up(self) -> None:
        """Return once the store has everything that is committed by then."""
        await self.wait_for(lambda progress: progress.caught_up)

    async def run(self, context: Context) -> None:
        """Be the actor. Asked to stop, it carries over what the journal holds and returns.

        It returns early if the store fails or is slow meanwhile: the rest is carried over after the next
        start.
        """
        context.started()
        self._opened = False
        self.breaker.forget_probes(trio.current_time())
        try:
            async with self.worker.at_work():
                await self._follow(context)
        except WorkerDied as error:
            self._failed(str(error))
            raise

    async def _follow(self, context: Context) -> None:
        """Carry over what there is and what comes, until asked to stop."""
        retry, leave_at = FIRST_RETRY, math.inf
        while True:
            now, stopping = trio.current_time(), context.stopping.is_set()
            leave_at = min(leave_at, now + DRAIN) if stopping else leave_at
            if stopping and (self._last_error is not None or now >= leave_at):
                return
            try:
                idle = not await self._attempt(stopping)
            except BreakerOpen as refusal:
                await _rest(context, refusal.retry_at - now)
            except StorageError:
                await _rest(context, retry)
                retry = min(2 * retry, LAST_RETRY)
            else:
                retry = FIRST_RETRY
                if idle and stopping:
                    return
                if idle:
                    await self._wait_for_more(context)

    async def _attempt(self, stopping: bool) -> bool:
        """Carry over one batch as far as the breaker lets it; return whether there may be more."""
        began = trio.current_time()
        with self.breaker.acquire(began) as permit:
            stored = self._stored
            try:
                more = await self._step(stopping)
            except JournalUnreadable as error:
                self._failed(str(error))  # the store has nothing to do with it
                raise
            except WorkerDied:
                permit.failed(trio.current_time(), trio.current_time() - began)
                raise
            except StorageError as error:
                permit.failed(trio.current_time(), trio.current_time() - began)
                with suppress(StorageError):
                    self._oldest = await self._call(self._oldest_waiting)
                # A store that is full can be read all the same.
                self.reach.failed("" if isinstance(error, DiskFull) else str(error))
                self._opened = False
                self._failed(str(error))
                raise
            if self._stored != stored or self._last_error is not None:
                permit.succeeded(trio.current_time(), trio.current_time() - began)
        self.reach.works()
        self._last_error = self._since = None
        self._moved.notify()
        return more

    def _failed(self, reason: str) -> None:
        if self._last_error is None:
            self._since = wall_clock()
            log.warning("sink_fails", target=self.name, reason=reason)
        self._failures, self._last_error = self._failures + 1, reason
        self._moved.notify()

    async def _step(self, stopping: bool) -> bool:
        if not self._opened:
            known = await self.worker.open()
            self._place = self._stored = await self._call(lambda: self._begin(known))
            self._oldest = await self._call(self._oldest_waiting)
            self._opened = True
        before = self._place
        done = await self.worker.carry(Leg(before, self._stored, self.batch, self._trades, stopping))
        await self._went(done)
        return self._place != before

    async def _went(self, done: Carried) -> None:
        if done.stored < self._stored:
            await self._call(lambda: self._note_loss(done.stored))
            self._opened = False  # its tables may be gone as well
        if done.seconds is not None:
            self._pace(done.seconds)
        self._place, self._stored, self._oldest = done.place, done.stored, done.oldest

    async def _call(self, work: Callable[[], T]) -> T:
        return await trio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._threads)

    # --- what the journal has to do with it, in a thread ---

    def _begin(self, known: int) -> int:
        """Return where to go on in a target that has this place."""
        if known < self._stored:
            self._note_loss(known)
        # What has come since the start cannot be in the store before that was met.
        newest, self._met = self.journal.last_seq() if self._met else self.journal.began, True
        if known <= newest:
            return known
        # The journal was put back to an older state: what it numbers anew must not pass for what it was.
        self.journal.leap(known)
        return self.journal.began

    def _note_loss(self, known: int) -> None:
        """Note what the store had before and the journal is rid of: nobody can give it again."""
        log.warning("target_went_back", target=self.name, had=self._stored, has=known)
        first, last = known + 1, min(self._stored, self.journal.first_seq() - 1)
        if self.history and first <= last:
            until = self.journal.written_at(last + 1)
            self.journal.note_loss(Loss(self.name, first, last, None, until, None, None, wall_clock()))

    def _oldest_waiting(self) -> int | None:
        """Return when the oldest entry was committed that is not carried over."""
        return self.journal.written_at(max(self._place, self._let_go) + 1)

    def _pace(self, seconds: float) -> None:
        if seconds < BRIEF:
            self._trades = min(2 * self._trades, MOST)
        elif seconds > LONG:
            self._trades = max(self._trades // 2, LEAST)

    async def _wait_for_more(self, context: Context) -> None:
        """Return when the journal has gone on, or when asked to stop."""
        async with trio.open_nursery() as nursery:

            async def stop() -> None:
                await context.stopping.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(stop)
            await self.marks.wait_past(self._place)
            nursery.cancel_scope.cancel()


async def _rest(context: Context, seconds: float) -> None:
    """Wait so long, or until asked to stop."""
    with trio.move_on_after(seconds):
        await context.stopping.wait()
