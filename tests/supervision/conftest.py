from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
import trio

from supervision import ActorStatus, Context, Event, Supervisor

Running = Callable[[Supervisor], AbstractAsyncContextManager[trio.Nursery]]


@pytest.fixture
def events() -> list[Event]:
    """Give its `append` to a supervisor as `on_event`."""
    return []


@pytest.fixture
def told(events: list[Event]) -> Callable[[], list[str]]:
    """The events as short texts, in their order."""
    return lambda: [f"{event.path} {event.what.value}" for event in events]


@pytest.fixture
def running() -> Running:
    """Run a supervisor while the body lasts: it is ready when that begins, and stopped when it ends."""

    @asynccontextmanager
    async def run(supervisor: Supervisor) -> AsyncIterator[trio.Nursery]:
        async with trio.open_nursery() as nursery:
            await nursery.start(lambda task_status: supervisor.run(task_status=task_status))
            yield nursery
            supervisor.stop()

    return run


@pytest.fixture
def status_of() -> Callable[[Supervisor, str], ActorStatus]:
    """Find one status of a tree by its path."""

    def find(supervisor: Supervisor, path: str) -> ActorStatus:
        status = supervisor.snapshot()
        for step in path.split("/"):
            status = next(child for child in status.children if child.name == step)
        return status

    return find


@pytest.fixture
def idle() -> Callable[[Context], Awaitable[None]]:
    """An actor that is ready at once and does nothing until it is asked to stop."""

    async def actor(context: Context) -> None:
        context.started()
        await context.stopping.wait()

    return actor
