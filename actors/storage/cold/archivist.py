"""The archivist: the actor that moves whole days of bars from the warm store into the archive."""

from collections.abc import Callable
from decimal import Decimal

import attrs
import structlog
import trio

from actors.storage.cold.archive import Archive
from actors.storage.cold.held import Held, held
from actors.storage.cold.layout import date_of
from actors.storage.cold.objects import Unreachable
from actors.storage.errors import DiskFull, StorageError
from actors.storage.journal import wall_clock
from actors.storage.store import Store
from supervision import Breaker, BreakerOpen, BreakerPolicy, BreakerState, Context
from wadm.market import DAY, HOUR

log = structlog.get_logger("archivist")

#: Seconds before the first look for days that are to be moved, and between two looks.
DELAY = 60.0
PERIOD = 600.0

#: One failure, and neither store nor archive is troubled for a while.
POLICY = BreakerPolicy(window=1, minimum_calls=1, open_seconds=60.0)

#: Days in a row that fail before the rest is left for the next look.
PATIENCE = 3


@attrs.frozen
class Progress:
    """Where the archivist stands: ``last`` is the day moved last, ``waiting`` how many are still to be moved.

    ``last_error`` is None while all is well; ``failures`` counts days and looks since the start.
    """

    last: str | None
    waiting: int
    last_error: str | None
    failures: int
    breaker: BreakerState


@attrs.define(eq=False)
class Archivist:
    """Moves days all of whose bars were stored more than ``lifetime`` (µs) ago.

    ``clock`` (µs) is that of the store. A bar is forgotten there only at the revision at which it was read
    back from the archive. While the archive cannot be used the store keeps its bars; what cannot be read in
    it is not touched.
    """

    store: Store
    archive: Archive
    lifetime: int
    clock: Callable[[], int] = wall_clock
    breaker: Breaker = attrs.field(factory=lambda: Breaker(POLICY), init=False)
    _last: str | None = attrs.field(default=None, init=False)
    _waiting: int = attrs.field(default=0, init=False)
    _last_error: str | None = attrs.field(default=None, init=False)
    _failures: int = attrs.field(default=0, init=False)

    @property
    def progress(self) -> Progress:
        """Where it stands at this moment."""
        return Progress(self._last, self._waiting, self._last_error, self._failures, self.breaker.state)

    async def run(self, context: Context) -> None:
        """Be the actor: look again and again, sooner where something stood in the way."""
        context.started()
        await trio.sleep(DELAY)
        while True:
            await self.look()
            retry_at = self.breaker.retry_at
            await trio.sleep(PERIOD if retry_at is None else max(0.0, retry_at - trio.current_time()))

    async def look(self) -> None:
        """Move every day whose time has come, one after the other; a day that cannot be moved stays."""
        try:
            permit = self.breaker.acquire(trio.current_time())
        except BreakerOpen:
            return
        with permit:
            began, problem = trio.current_time(), None
            try:
                problem = await self._move_all()
            except StorageError as error:
                problem = self._failed(error)
                permit.failed(trio.current_time(), trio.current_time() - began)
            else:
                permit.succeeded(trio.current_time(), trio.current_time() - began)
            self._last_error = problem

    async def _move_all(self) -> str | None:
        """Return what is wrong with the first day that cannot be moved. Raises where none can."""
        before, problem, in_a_row = self.clock() - self.lifetime, None, 0
        days = await trio.to_thread.run_sync(self.store.ripe_days, before)
        self._waiting = len(days)
        for day in days:
            try:
                await self._move(*day)
            except (Unreachable, DiskFull):
                raise
            except StorageError as error:
                in_a_row += 1
                if in_a_row == PATIENCE:
                    raise
                problem = problem or self._failed(error)
            else:
                in_a_row = 0
                self._waiting -= 1
        return problem

    def _failed(self, error: StorageError) -> str:
        self._failures += 1
        log.warning("not_archived", waiting=self._waiting, reason=str(error))
        return str(error)

    async def _move(self, exchange: str, symbol: str, day: int) -> None:
        fresh, row_size = await trio.to_thread.run_sync(self._gathered, exchange, symbol, day)
        if fresh:
            # A slow server must not hold up the daemon's end: what is written half is written anew.
            await trio.to_thread.run_sync(
                self.archive.keep, exchange, symbol, day, fresh, row_size, abandon_on_cancel=True
            )
            revisions = {start: one.revision for start, one in fresh.items()}
            gone = await trio.to_thread.run_sync(self.store.forget_bars, exchange, symbol, revisions)
            self._last = f"{exchange}:{symbol} {date_of(day)}"
            log.info("archived", day=self._last, bars=len(fresh), forgotten=gone)

    def _gathered(self, exchange: str, symbol: str, day: int) -> tuple[dict[int, Held], Decimal | None]:
        """Return the bars of a day that the store has, and the row size of its profile there."""
        # An hour at a time: a busy day unpacked takes some hundred times its room.
        hours = range(day, day + DAY, HOUR)
        found = (bar for at in hours for bar in self.store.bars(exchange, symbol, at, at + HOUR))
        profiles = self.store.profiles(exchange, symbol, "1d", day, day + DAY)
        return {bar.start: held(bar) for bar in found}, profiles[0].profile.row_size if profiles else None
