"""A block's exceptions leave as they are, and a task's crash is not lost."""

from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from actors.background import background


async def _crash() -> None:
    raise ZeroDivisionError


async def test_tasks_end_with_the_block() -> None:
    ended = trio.Event()

    async def task() -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.set()

    async with background() as nursery:
        nursery.start_soon(task)
        await trio.testing.wait_all_tasks_blocked()
    assert ended.is_set()


async def _fail(task: Callable[[], Awaitable[None]]) -> None:
    async with background() as nursery:
        nursery.start_soon(task)
        raise KeyError


async def _wait(task: Callable[[], Awaitable[None]], *, then_fail: bool) -> None:
    async with background() as nursery:
        nursery.start_soon(task)
        try:
            await trio.sleep_forever()
        finally:
            if then_fail:
                raise KeyError


async def test_the_blocks_exception_leaves_bare() -> None:
    with pytest.raises(KeyError):
        await _fail(trio.sleep_forever)


async def test_a_crash_behind_the_block_leaves_bare_and_ends_the_block() -> None:
    with pytest.raises(ZeroDivisionError):
        await _wait(_crash, then_fail=False)


async def test_a_block_that_fails_on_its_own_takes_the_crash_along() -> None:
    with pytest.raises(BaseExceptionGroup) as both:
        await _wait(_crash, then_fail=True)
    assert both.group_contains(KeyError, depth=1)
    assert both.group_contains(ZeroDivisionError)


async def test_cancellation_reaches_the_scope_around_it() -> None:
    with trio.CancelScope() as scope:
        async with background() as nursery:
            nursery.start_soon(trio.sleep_forever)
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught


async def test_the_blocks_exception_outlives_a_cancellation() -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        with pytest.raises(KeyError):
            await _fail(trio.sleep_forever)
