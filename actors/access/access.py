"""Everything about who may ask, opened together from a data directory."""

from pathlib import Path

import attrs

from actors.access.audit import Audit
from actors.access.keyring import Keyring, wall_clock
from actors.access.rates import Rates
from actors.access.register import Register
from wadm.mistakes import Mistake
from wadm.sections import AccessSettings


class OpenDoorError(Mistake):
    """The daemon would answer everybody."""


@attrs.frozen(eq=False)
class Access:
    """The register, and what the running daemon keeps of it."""

    register: Register
    keyring: Keyring
    audit: Audit
    rates: Rates

    @classmethod
    def open(cls, directory: Path, settings: AccessSettings) -> "Access":
        """Open the register of a data directory, made anew where there is none. Raises StorageError."""
        register = Register(directory)
        return cls(
            register,
            Keyring(register, settings.api_key, settings.key_days),
            Audit(register),
            Rates(settings.requests_per_minute, settings.key_requests_per_minute),
        )

    def check_bind(self, host: str, *, loopback: bool) -> None:
        """Refuse to serve other machines while no key works. Raises OpenDoorError."""
        if not loopback and not self.keyring.works(wall_clock()):
            raise OpenDoorError(
                f"http.host is {host!r}, which other machines reach, and no key works yet: make one with "
                "`wadm keys create NAME`, or set API_KEY, or set http.host to 127.0.0.1"
            )

    def close(self) -> None:
        """Close the register."""
        self.register.close()
