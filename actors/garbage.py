"""Python's garbage collector, kept from walking through what never becomes garbage."""

import gc

#: Allocations between two collections of the youngest generation; trades make few cycles.
_YOUNG = 20_000


def settle() -> None:
    """Take what was made until now, libraries above all, out of the collector's sight; call it once started.

    A full collection would otherwise stop the loop for tens of milliseconds, again and again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 50)
