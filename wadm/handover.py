"""One order book over two connections, while one takes over from the other: each update passes once.

Update ids belong to the book, not to the connection that carries them: Binance's count up over the whole
stream (https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams), Bybit's begin with a
snapshot on each (https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook).
"""

from collections.abc import Iterable

import attrs
from msgspec.structs import replace

from wadm.market import BestQuote, BookChange, BookRun, BookUpdate

_Step = BookUpdate | BestQuote


@attrs.define
class _Lead:
    """The connection whose updates pass, and the last id that did."""

    link: int
    last: int


@attrs.define(eq=False)
class Handover:
    """Lets through, of what an older and a newer connection bring of the same books, what belongs together.

    Connections are known by a number that rises. The newer one leads once its update continues where the
    older one's stands, or is a snapshot.
    """

    _leads: dict[tuple[str, str], _Lead] = attrs.field(factory=dict, init=False)

    def passed(self, run: BookRun, link: int, *, newest: bool) -> BookRun | None:
        """Return what of a run passes, None where nothing does."""
        steps = [step for step in run.steps if self._passes(run.key, step, link, newest=newest)]
        if len(steps) == len(run.steps):
            return run
        return replace(run, steps=steps) if steps else None

    def forget(self, links: Iterable[int]) -> None:
        """Let others lead where these connections did."""
        ended = set(links)
        self._leads = {book: lead for book, lead in self._leads.items() if lead.link not in ended}

    def _passes(self, key: str, step: _Step, link: int, *, newest: bool) -> bool:
        last = step.update_id if isinstance(step, BestQuote) else step.last
        lead = self._leads.get((key, _kind(step)))
        if lead is None:
            if newest and isinstance(step, BookUpdate) and step.change is BookChange.DIFF:
                return False  # the older one has not shown yet where it stands
            self._leads[key, _kind(step)] = _Lead(link, last)
            return True
        if lead.link != link and not (newest and _continues(step, lead.last)):
            return False
        lead.link, lead.last = link, last
        return True


def _kind(step: _Step) -> str:
    if isinstance(step, BestQuote):
        return "quote"
    return "partial" if step.change is BookChange.PARTIAL else "book"


def _continues(step: _Step, last: int) -> bool:
    """Return whether an update is the next one, or overlaps with it, after id ``last``."""
    if isinstance(step, BestQuote) or step.change is not BookChange.DIFF:
        return True
    if step.previous is not None:
        return step.previous == last
    return step.first <= last + 1 <= step.last
