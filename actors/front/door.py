"""What the front asks: the one door behind all of its doors."""

from collections.abc import Mapping
from typing import Protocol

from wadm.answers.question import Question


class Choosing(Protocol):
    """Changes what is followed; raises QuestionError for the asker's mistakes."""

    async def add(self, given: Mapping[str, object]) -> tuple[dict[str, object], bool]:
        """Follow a symbol of an exchange; return the answer, and whether it was not followed before."""
        ...

    async def remove(self, given: Mapping[str, object]) -> dict[str, object]:
        """Follow a symbol of an exchange no longer."""
        ...


class Door(Protocol):
    """Answers questions read from raw text; raises QuestionError for the asker's mistakes."""

    @property
    def choosing(self) -> Choosing:
        """The door for changes."""
        ...

    async def ask(self, question: Question, given: Mapping[str, str]) -> dict[str, object]:
        """Answer a question about the market."""
        ...

    async def compare(self, given: Mapping[str, str]) -> dict[str, object]:
        """Compare one symbol on all exchanges that follow it."""
        ...

    async def depth(self, parameters: Mapping[str, str]) -> dict[str, object]:
        """Return the best levels of an order book."""
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
