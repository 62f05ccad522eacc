"""A one-minute bar counted again from its raw trades."""

from actors.storage.journal_view import JournalView
from actors.storage.runs import distinct, ordered
from wadm.bar import Bar
from wadm.market import MINUTE


def recounted(journal: JournalView, exchange: str, symbol: str, start: int) -> Bar:
    """Return the bar of all trades of a minute that the journal keeps, each once and in their order."""
    bar = Bar(start, start + MINUTE)
    run = ordered(distinct(journal.trades(exchange, symbol, start, start + MINUTE)))
    if run is not None:
        bar.fold(run)
    bar.settle()
    return bar
