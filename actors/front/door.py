"""What the front asks: the one door behind all of its doors."""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from actors.live.topic import Channel
from wadm.answers.question import Question

#: Says what is wrong, one sentence each.
Concern = Callable[[], Iterable[str]]


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

    @property
    def channels(self) -> Mapping[str, Channel]:
        """What can be subscribed to, by name."""
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

    async def trades(self, given: Mapping[str, str]) -> dict[str, object]:
        """Return a page of single trades in the order in which they came.

        Behind ``cursor`` or from ``start`` on, else the newest: ``trades``, of which each has ``time``,
        ``price``, ``quantity``, ``side`` (the aggressor's) and ``id``, and ``count`` where it stands for
        several; ``next``, the cursor behind them; ``more``, whether there are more already; ``missed``, None
        or the stretch that is not kept any more (``from``, ``to``).
        """
        ...

    async def symbols(self) -> dict[str, object]:
        """Return the symbols that can be asked about."""
        ...

    @property
    def concerns(self) -> list[Concern]:
        """Who else is asked for reasons why the health is degraded."""
        ...

    def ready(self) -> dict[str, object]:
        """Return the readiness: ``status`` ``ready`` or ``not ready``, and the ``reasons`` for the latter."""
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
