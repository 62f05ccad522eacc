"""Naked (virgin) points of control: those of past windows that no later trade has touched.

A point of control is a row; a trade touches it when its price lies in that row. A price that jumps over the
row without a trade in it does not (Dalton, *Markets in Profile*; the row is ours, named in every answer).
"""

from collections.abc import Sequence

import attrs

from wadm.analytics.profile import Profile

ALGORITHM = "naked-poc/1"


@attrs.frozen
class PastPoc:
    """The POC row of a past window ``[start, end)`` (µs).

    ``touched_in`` is the start of the later window that touched it first, None while it is naked.
    """

    start: int
    end: int
    row: int
    touched_in: int | None

    @property
    def naked(self) -> bool:
        """Whether no later trade has touched it."""
        return self.touched_in is None


def past_pocs(windows: Sequence[tuple[int, int, Profile]]) -> list[PastPoc]:
    """Return the POC of every window but the last, oldest first.

    Windows are ``(start, end, profile)``, ascending, all profiles at one row size; the last one is the
    present window, which touches and has no past POC yet. Linear in the rows of all.
    """
    touched: dict[int, int] = {}
    found: list[PastPoc] = []
    for place, (start, end, made) in reversed(list(enumerate(windows))):
        if place < len(windows) - 1 and made.poc is not None:
            found.append(PastPoc(start, end, made.poc, touched.get(made.poc)))
        touched |= dict.fromkeys(made.rows, start)
    return found[::-1]
