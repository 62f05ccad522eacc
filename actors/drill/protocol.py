"""What the drill and the daemon under test say to one another: one JSON object a line."""

from typing import Any

import msgspec


class Order(msgspec.Struct, tag_field="order", tag=str.lower):
    """Something the daemon under test is to do."""


class Kill(Order):
    """Kill the actor at ``target``, a path in the supervision tree."""

    target: str


class Slow(Order):
    """Hold up the actor at ``target`` for ``seconds``."""

    target: str
    seconds: float


class Fill(Order):
    """Let the disk be full for ``seconds``."""

    seconds: float


class Told(msgspec.Struct, tag_field="event", tag=str.lower):
    """Something the daemon under test tells."""


class Ready(Told):
    """Every actor is up."""


class Suffered(Told):
    """A fault was injected; ``hit`` is False where there was nothing to hit."""

    kind: str
    hit: bool


class Restarted(Told):
    """An actor came back."""

    kind: str


class Recovered(Told):
    """An actor of a kind served again, so many milliseconds after it went down."""

    kind: str
    ms: float


class Complete(Told):
    """The capture is at its end, applied and stored: this is what came of it."""

    result: dict[str, Any]


Orders = Kill | Slow | Fill
Tellings = Ready | Suffered | Restarted | Recovered | Complete

read_order = msgspec.json.Decoder(Orders).decode
read_told = msgspec.json.Decoder(Tellings).decode


def line(message: Orders | Tellings) -> bytes:
    """Return a message as a line."""
    return msgspec.json.encode(message) + b"\n"
