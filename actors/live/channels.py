"""The channels that can be subscribed to, by name. To add one: a module beside this one, and a line here."""

from actors.live.depth import Depth
from actors.live.developing import Ask, Developing
from actors.live.minutes import Minutes
from actors.live.tape import Tape
from actors.live.topic import Channel
from actors.runtime import Runtime
from wadm.answers.parameters import AUTO
from wadm.answers.registry import QUESTIONS

#: Their names, for who describes them.
NAMES = ("trades", "bars", "profile", "flow", "depth")


def channels(runtime: Runtime, ask: Ask) -> dict[str, Channel]:
    """Return the channels of a running daemon, whose questions ``ask`` answers."""
    every: tuple[Channel, ...] = (
        Tape(runtime),
        Minutes(runtime),
        Developing(runtime, ask, "profile", QUESTIONS["profile"], {"row_size": AUTO}),
        Developing(runtime, ask, "flow", QUESTIONS["flow"]),
        Depth(runtime),
    )
    return {one.name: one for one in every}
