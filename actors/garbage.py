"""Python's garbage collector and threads, kept from holding up the loop."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

#: Allocations between two collections of the youngest generation. Trades make few cycles, and a collection
#: takes some 0.5 µs for each allocation at once: many short pauses are better than a few long ones.
_YOUNG = 700

#: Collections of a generation before the next older one is collected too. An answer made of raw trades fills
#: the middle one: looked through while it is small, it stops the loop for 4 ms, and after 50 for 40. The
#: oldest is what lives for hours: bars and books, which hold no cycles.
_MIDDLE = 5
_OLD = 1_000

#: Seconds after which a thread that computes lets the loop go on: at Python's own 5 ms an answer made in a
#: thread would hold up trades as long as one made on the loop.
_TURN = 0.0005


def settle() -> None:
    """Take what was made until now, libraries above all, out of the collector's sight; call it once started.

    A full collection would otherwise stop the loop for tens of milliseconds, again and again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
    sys.setswitchinterval(_TURN)


@contextmanager
def put_off() -> Iterator[None]:
    """Collect nothing within the block: imports make much that stays, and looking through it takes 0.5 s."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
