"""A REST interface without a network: it answers each path as it is told to."""

from collections.abc import Callable
from typing import Any, TypeVar

import attrs
import msgspec
import trio

from wadm.exchanges.base import Query, Request

T = TypeVar("T")


@attrs.define(eq=False)
class RestAnswers:
    """Stands for ``Rest``: ``answers`` are by path; what is raised or returned by one is the answer."""

    answers: dict[str, Callable[[Request], Any]] = attrs.field(factory=dict)
    asked: list[tuple[float, str, Request]] = attrs.field(factory=list)

    async def ask(self, exchange: str, query: Query[T]) -> T:
        await trio.lowlevel.checkpoint()
        self.asked.append((trio.current_time(), exchange, query.request))
        answer = self.answers[query.request.path](query.request)
        return query.read(answer if isinstance(answer, bytes) else msgspec.json.encode(answer))

    def times(self, path: str) -> list[float]:
        """When a path was asked for, on trio's clock."""
        return [at for at, _, request in self.asked if request.path == path]
