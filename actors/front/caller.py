"""Who asks: what the gate found out about a request before it let it pass."""

from typing import Any

import attrs

from wadm.keys import Permission
from wadm.questions import QuestionError


class Forbidden(QuestionError):
    """The key that was shown does not allow this."""

    status = 403
    code = "forbidden"

    def __init__(self, permission: Permission, wanted: Permission) -> None:
        super().__init__("the key's permission", str(permission), f"{wanted}: use a key that allows it")


@attrs.frozen
class Caller:
    """One who asks. ``key`` is the id of the key that was shown, None where none was needed."""

    address: str
    key: str | None
    permission: Permission

    @property
    def name(self) -> str:
        """Who it is, for the audit log."""
        return f"key {self.key}" if self.key else self.address

    def check(self, wanted: Permission) -> None:
        """Raise Forbidden unless the caller may do what needs this permission."""
        if not self.permission.covers(wanted):
            raise Forbidden(self.permission, wanted)


def caller_of(scope: Any) -> Caller:
    """Return who sent an ASGI request; behind the gate there always is one."""
    caller: Caller = scope["state"]["caller"]
    return caller
