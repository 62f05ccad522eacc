"""Which threads give way to the loop's, and which do not."""

import os
import sys
import threading

import pytest
import trio

from actors.threads import NICE, GivingWay

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a priority is the process's")


def niceness(number: int | None) -> int:
    assert number is not None
    return os.getpriority(os.PRIO_PROCESS, number)


async def test_a_worker_gives_way_and_the_loop_does_not() -> None:
    ours = niceness(0)
    numbers: list[int] = []
    wait = threading.Event()

    def work() -> None:
        numbers.append(threading.get_native_id())
        trio.from_thread.run_sync(started.set)
        wait.wait()

    started = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, work)
        await started.wait()
        giving_way = GivingWay()
        giving_way.look()
        assert niceness(numbers[0]) == min(ours + NICE, 19)
        giving_way.look()  # lowered once is enough
        assert niceness(numbers[0]) == min(ours + NICE, 19)
        wait.set()
    assert niceness(threading.get_native_id()) == ours


def test_a_thread_that_is_waited_for_is_left_alone() -> None:
    wait = threading.Event()
    thread = threading.Thread(target=wait.wait)
    thread.start()
    try:
        GivingWay().look()
        assert niceness(thread.native_id) == niceness(0)
    finally:
        wait.set()
        thread.join()
