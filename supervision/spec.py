"""How one child of a supervisor is to be started, stopped and restarted."""

import attrs

from supervision import checks
from supervision.actor import Actor
from supervision.breaker import BreakerPolicy
from supervision.mailbox import Mailbox
from supervision.restart import Restart


@attrs.frozen
class ChildSpec:
    """One child. Times are in seconds; a wrong value is refused with ValueError.

    `start` must call `Context.started` within `start_timeout`, or that counts as a crash. Asked to stop,
    the actor has `shutdown_timeout` to return, then it is cancelled (0: at once). With a `breaker`, every
    start needs a permit: a Disconnected before `Context.succeeded` counts as a failed call, and while the
    breaker is open the child stays parked.
    """

    name: str = attrs.field(validator=checks.plain_name)
    start: Actor = attrs.field(validator=attrs.validators.is_callable())
    restart: Restart = attrs.field(default=Restart.PERMANENT, validator=checks.member_of(Restart))
    shutdown_timeout: float = attrs.field(default=5.0, validator=checks.at_least(0))
    start_timeout: float = attrs.field(default=30.0, validator=checks.more_than(0))
    mailbox: Mailbox | None = None
    breaker: BreakerPolicy | None = None
    kind: str = "worker"
