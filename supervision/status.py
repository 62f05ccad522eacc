"""What can be seen of a supervised tree: its state at a moment, and what happens in it."""

import logging
from collections.abc import Callable
from enum import Enum

import attrs

from supervision.breaker import BreakerStatistics
from supervision.buffer import MailboxStatistics

_log = logging.getLogger("supervision")


class State(Enum):
    """Where a child is in its life."""

    WAITING = "waiting"  # for the children before it to be ready
    STARTING = "starting"  # it runs and has not called `Context.started`
    RUNNING = "running"
    STOPPING = "stopping"  # it was asked to return, or was cancelled
    STUCK = "stuck"  # it ignores its cancellation
    BACKING_OFF = "backing_off"  # it crashed and waits for its restart
    PARKED = "parked"  # it disconnected and waits for its back-off or its breaker
    STOPPED = "stopped"  # it is not coming back by itself


@attrs.frozen
class ActorStatus:
    """One child, or one supervisor with its children. Times are in seconds on trio's clock."""

    name: str
    kind: str
    state: State
    incarnation: int = 0  # 0: not started yet
    restarts: int = 0
    last_crash: str | None = None  # the last crash or disconnect
    last_crash_at: float | None = None
    uptime: float | None = None  # since it was ready; None while it is not running
    mailbox: MailboxStatistics | None = None
    breaker: BreakerStatistics | None = None
    children: tuple["ActorStatus", ...] = ()


class Happening(Enum):
    """What an event is about."""

    STARTED = "started"
    RESTARTED = "restarted"
    CRASHED = "crashed"  # also an error raised while stopping
    PARKED = "parked"
    STOPPED = "stopped"
    DEAD_LETTERED = "dead_lettered"
    ESCALATED = "escalated"  # the supervisor named gives up
    STUCK = "stuck"


@attrs.frozen
class Event:
    """Something that happened to one child or supervisor."""

    what: Happening
    path: str  # such as "root/workers/one"
    incarnation: int
    at: float  # on trio's clock
    detail: str = ""  # for a crash its traceback, else one sentence or nothing


OnEvent = Callable[[Event], None]

_LEVELS = {
    Happening.CRASHED: logging.ERROR,
    Happening.PARKED: logging.WARNING,
    Happening.DEAD_LETTERED: logging.ERROR,
    Happening.ESCALATED: logging.CRITICAL,
    Happening.STUCK: logging.CRITICAL,
}


def log_event(event: Event) -> None:
    """Log an event with the standard library, under the name `supervision`."""
    level = _LEVELS.get(event.what, logging.INFO)
    _log.log(
        level, "%s %s (incarnation %d) %s", event.path, event.what.value, event.incarnation, event.detail
    )


def emit(on_event: OnEvent, event: Event) -> None:
    """Hand an event over; a listener that raises is logged and harms nobody."""
    try:
        on_event(event)
    except Exception:
        _log.exception("the listener to supervision events raised on %r", event)
