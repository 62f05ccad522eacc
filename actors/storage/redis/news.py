"""What one run of entries brings to the hot tier, gathered by key."""

import attrs

from actors.messages import BookRecord, Entry, GapRecord, OrderFlowRecord, ProfileRecord, TradeBatch
from actors.storage.redis import keys, shapes


@attrs.define(eq=False)
class News:
    """Trades and gaps, all of them; of books and windows the newest of each key."""

    #: (exchange, symbol) -> minute -> run -> received at
    trades: dict[tuple[str, str], dict[int, dict[bytes, int]]] = attrs.field(factory=dict)
    gaps: dict[tuple[str, str], list[bytes]] = attrs.field(factory=dict)
    #: key -> what, exchange, symbol, and the newest of its kind
    latest: dict[str, tuple[str, str, str, shapes.Latest]] = attrs.field(factory=dict)
    #: (exchange, symbol) -> number of trades, time of the first and of the last
    traded: dict[tuple[str, str], tuple[int, int, int]] = attrs.field(factory=dict)

    def add(self, entry: Entry) -> None:
        """Take one entry."""
        match entry:
            case TradeBatch():
                self._add_trades(entry)
            case GapRecord(gap=gap):
                self.gaps.setdefault((gap.exchange, gap.symbol), []).append(
                    shapes.pack(shapes.gap_shape(entry))
                )
            case BookRecord(exchange=exchange, symbol=symbol):
                self._add_latest("book", keys.book(exchange, symbol), entry, shapes.book_shape(entry))
            case ProfileRecord():
                self._add_window("profile", entry, shapes.profile_shape(entry))
            case OrderFlowRecord():
                self._add_window("order_flow", entry, shapes.order_flow_shape(entry))

    def _add_trades(self, batch: TradeBatch) -> None:
        trades = batch.trades
        if not len(trades):
            return
        name = trades.exchange, trades.symbol
        minutes = self.trades.setdefault(name, {})
        for minute, packed in shapes.runs(batch):
            minutes.setdefault(minute, {})[packed] = batch.received_at
        first, last = min(trades.times), max(trades.times)
        count, earliest, latest = self.traded.get(name, (0, first, last))
        self.traded[name] = count + len(trades), min(earliest, first), max(latest, last)

    def _add_window(self, what: str, record: ProfileRecord | OrderFlowRecord, shape: shapes.Latest) -> None:
        key = keys.window(what, record.exchange, record.symbol, record.timeframe)
        self._add_latest(what, key, record, shape)

    def _add_latest(
        self, what: str, key: str, record: BookRecord | ProfileRecord | OrderFlowRecord, shape: shapes.Latest
    ) -> None:
        known = self.latest.get(key)
        if known is None or shape.rank > known[3].rank:
            self.latest[key] = what, record.exchange, record.symbol, shape

    def symbols(self) -> set[tuple[str, str]]:
        """Return every (exchange, symbol) that something is brought of."""
        return {
            *self.trades,
            *self.gaps,
            *((exchange, symbol) for _, exchange, symbol, _ in self.latest.values()),
        }
