"""Actors that survive: mailboxes, asks, supervisors and circuit breakers on trio."""

from supervision.actor import Actor, Context
from supervision.ask import Ask, AskRefused, AskTimeout, ask
from supervision.breaker import (
    Breaker,
    BreakerOpen,
    BreakerPolicy,
    BreakerState,
    BreakerStatistics,
    Permit,
)
from supervision.buffer import Letter, MailboxClosed, MailboxFull, MailboxStatistics, Overflow
from supervision.deadletter import DeadLetter, DeadLetters
from supervision.mailbox import Mailbox
from supervision.restart import (
    Backoff,
    Disconnected,
    Escalation,
    Intensity,
    Killed,
    NotStarted,
    Restart,
    Returned,
    StartTimeout,
    Strategy,
    Stuck,
)
from supervision.spec import ChildSpec
from supervision.status import ActorStatus, Event, Happening, State
from supervision.supervisor import Supervisor
from supervision.topology import Edge, Topology, TopologyError

__all__ = [
    "Actor",
    "ActorStatus",
    "Ask",
    "AskRefused",
    "AskTimeout",
    "Backoff",
    "Breaker",
    "BreakerOpen",
    "BreakerPolicy",
    "BreakerState",
    "BreakerStatistics",
    "ChildSpec",
    "Context",
    "DeadLetter",
    "DeadLetters",
    "Disconnected",
    "Edge",
    "Escalation",
    "Event",
    "Happening",
    "Intensity",
    "Killed",
    "Letter",
    "Mailbox",
    "MailboxClosed",
    "MailboxFull",
    "MailboxStatistics",
    "NotStarted",
    "Overflow",
    "Permit",
    "Restart",
    "Returned",
    "StartTimeout",
    "State",
    "Strategy",
    "Stuck",
    "Supervisor",
    "Topology",
    "TopologyError",
    "ask",
]
