"""Order books as they were recorded: their best levels, at most once a second."""

import attrs

from actors.messages import BookRecord
from actors.storage.mongo import schema
from actors.storage.mongo.documents import book_document, book_record
from actors.storage.mongo.repositories.by_symbol import SymbolExchangeRepository
from actors.storage.mongo.values import Document


@attrs.frozen(eq=False)
class OrderBookRepository(SymbolExchangeRepository[BookRecord]):
    """The collection ``orderbooks``."""

    name = schema.ORDERBOOKS
    unread = ("_id", "expires_at")

    def get_latest_book(self, symbol: str, exchange: str | None = None) -> BookRecord | None:
        """Return the newest book of a symbol, None while there is none."""
        return next(iter(self._found(self._names(symbol, exchange), 1, [(self.time, -1)])), None)

    def _document(self, record: BookRecord, expires_at: int) -> Document:
        return book_document(record, expires_at)

    def _record(self, found: Document) -> BookRecord:
        return book_record(found)
