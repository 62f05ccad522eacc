"""What the front asks: the one door behind all of its doors."""

from collections.abc import Mapping
from typing import Protocol


class Door(Protocol):
    """Answers questions read from raw text; raises QuestionError for the asker's mistakes."""

    async def volume_profile(self, parameters: Mapping[str, str]) -> dict[str, object]:
        """Return a profile with every row that traded."""
        ...

    async def order_flow(self, parameters: Mapping[str, str]) -> dict[str, object]:
        """Return order flow."""
        ...

    async def symbols(self) -> dict[str, object]:
        """Return the symbols that can be asked about."""
        ...

    def health(self) -> dict[str, object]:
        """Return the health, ``status`` being ``healthy``, ``degraded`` or ``unhealthy``."""
        ...

    async def status(self) -> dict[str, object]:
        """Return everything that the status page shows."""
        ...

    def actors(self) -> dict[str, object]:
        """Return the supervision tree."""
        ...
