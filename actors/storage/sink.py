"""A sink: the actor that carries the journal's entries into a store, from the store's own cursor."""

from collections.abc import Callable, Sequence

import attrs
import trio

from actors.messages import Entry
from actors.notice import Notice
from actors.storage.errors import StorageError
from actors.storage.journal_view import JournalView
from actors.storage.marks import Marks
from actors.storage.store import Store
from supervision import Context

#: Entries applied in one transaction of the store at most.
BATCH = 1_000

#: With nothing to store, the cursor is written only this many entries apart.
STRIDE = 10_000

#: Waits (s) between attempts while the store fails.
FIRST_RETRY = 0.1
LAST_RETRY = 10.0


@attrs.frozen
class Progress:
    """Where a sink stands. ``lag`` counts journal entries; ``last_error`` is None while all is well."""

    cursor: int
    lag: int
    caught_up: bool
    last_error: str | None
    failures: int


@attrs.define(eq=False)
class Sink:
    """Follows the journal into ``store``. Its place is the store's own, asked for at every start and failure.

    A store that fails is tried again, with back-off, from the place it says it has; entries and place are
    committed together, so that none is lost or stored twice.
    """

    journal: JournalView
    store: Store
    marks: Marks
    batch: int = BATCH
    _place: int = attrs.field(default=0, init=False)
    _stored: int = attrs.field(default=0, init=False)  # the place that the store knows; at most ``_place``
    _opened: bool = attrs.field(default=False, init=False)
    _failures: int = attrs.field(default=0, init=False)
    _last_error: str | None = attrs.field(default=None, init=False)
    _moved: Notice = attrs.field(factory=Notice, init=False, repr=False)

    @property
    def progress(self) -> Progress:
        """Where the sink stands at this moment."""
        lag = max(0, self.marks.last_seq - self._place)
        return Progress(self._place, lag, self._opened and not lag, self._last_error, self._failures)

    async def wait_for(self, predicate: Callable[[Progress], bool]) -> None:
        """Return once the predicate holds of the progress."""
        await self._moved.wait_for(lambda: predicate(self.progress))

    async def wait_caught_up(self) -> None:
        """Return once the store has everything that is committed by then."""
        await self.wait_for(lambda progress: progress.caught_up)

    async def run(self, context: Context) -> None:
        """Be the actor. Asked to stop, it carries over what the journal holds and returns.

        It returns early if the store fails meanwhile: the rest is carried over after the next start.
        """
        context.started()
        retry = FIRST_RETRY
        self._opened = False
        while True:
            stopping = context.stopping.is_set()
            try:
                idle = not await self._step(stopping)
            except StorageError as error:
                self._opened, self._failures, self._last_error = False, self._failures + 1, str(error)
                self._moved.notify()
                if stopping:
                    return
                with trio.move_on_after(retry):
                    await context.stopping.wait()
                retry = min(2 * retry, LAST_RETRY)
                continue
            self._last_error, retry = None, FIRST_RETRY
            self._moved.notify()
            if idle and stopping:
                return
            if idle:
                await self._wait_for_more(context)

    async def _step(self, stopping: bool) -> bool:
        """Carry over one batch; return whether there may be more."""
        if not self._opened:
            self._place = self._stored = await trio.to_thread.run_sync(self._open)
            self._opened = True
        before = self._place
        # The thread is waited for even when cancelled, so that these two always say what was committed.
        self._place, self._stored = await trio.to_thread.run_sync(self._carry, stopping)
        return self._place > before

    def _open(self) -> int:
        self.store.initialise()
        return self.store.cursor()

    def _carry(self, settle: bool) -> tuple[int, int]:
        """Apply the next entries; return the place reached and the place stored. Runs in a thread."""
        entries, place = self._next()
        if entries or place - self._stored >= STRIDE or (settle and place > self._stored):
            self.store.apply(entries, place)
            return place, place
        return place, self._stored

    def _next(self) -> tuple[Sequence[Entry], int]:
        if self.store.keeps_trades:
            found = self.journal.read(self._place, self.batch)
            place = found[-1][0] if found else self._place
        else:
            found, place = self.journal.read_records(self._place, self.batch)
        return [entry for _, entry in found], place

    async def _wait_for_more(self, context: Context) -> None:
        """Return when the journal has gone on, or when asked to stop."""
        async with trio.open_nursery() as nursery:

            async def stop() -> None:
                await context.stopping.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(stop)
            await self.marks.wait_past(self._place)
            nursery.cancel_scope.cancel()
