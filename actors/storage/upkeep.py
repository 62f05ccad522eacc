"""What the janitor found at its last look at the journal and the warm store."""

import attrs

from actors.storage.tier_log import Loss


@attrs.define(eq=False)
class Upkeep:
    """The journal's room: ``taken`` bytes, of which ``over`` are more than the quota allows.

    ``first`` is the oldest entry's number and ``kept_since`` (µs) when it was committed. ``shed`` entries
    went for want of room since the daemon started, the last at ``shed_at`` (µs). ``losses`` are what those
    who follow the journal have lost since it began. ``failing`` says what the janitor could not do, and why.
    """

    taken: int = 0
    over: int = 0
    first: int = 1
    kept_since: int | None = None
    shed: int = 0
    shed_at: int | None = None
    losses: list[Loss] = attrs.field(factory=list)
    failing: dict[str, str] = attrs.field(factory=dict)
