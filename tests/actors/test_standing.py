"""Where a daemon stands after a start: which ids it has, which it knows to be missing, and why."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest

from actors.gaps.standing import stand
from actors.memory import SymbolMemory
from actors.messages import Entry, GapRecord, TradeBatch
from actors.storage.engines import embedded_url
from actors.storage.errors import StorageError
from actors.storage.journal import Journal
from actors.storage.payload import KeptIds
from actors.storage.reader import DataReader
from actors.storage.sql import SqlStore
from wadm.exchanges.base import Gap
from wadm.exchanges.contiguity import Missing, Positions, Verdict
from wadm.exchanges.registry import find
from wadm.market import MINUTE, IdKind, Instrument, TradeId, Trades
from wadm.series import ClosedBars

#: 2024-08-09T00:00:00Z
START = 1_723_161_600_000_000
SPOT = Instrument("binance", "BTCUSDT")
LINEAR = Instrument("bybit", "BTCUSDT")


def batch(
    number: int, ids: Sequence[TradeId], one: Instrument = SPOT, kind: IdKind = IdKind.TRADE
) -> TradeBatch:
    count = len(ids)
    times = [START + (trade_id if isinstance(trade_id, int) else 0) * 1_000 for trade_id in ids]
    trades = Trades(
        one.exchange, one.symbol, kind, 0, 0, list(ids), times, [100] * count, [1] * count, [1] * count
    )
    return TradeBatch(trades, 1_000_001, number, START, 0.0, max(times))


def gap(first: int, last: int) -> Gap:
    return Gap("binance", "BTCUSDT", IdKind.TRADE, first, last, START)


class Standing:
    """What a daemon that starts on this journal knows of a symbol."""

    def __init__(
        self, reader: DataReader, one: Instrument, source: IdKind, ids: Sequence[KeptIds] | None = None
    ) -> None:
        self.memory = SymbolMemory(one, ClosedBars(), source)
        self.positions: Positions = find(one.exchange).positions()
        stand(self.memory, self.positions, reader, ids)
        self.position = self.positions.of(one.symbol, source)

    def all(self) -> list[object]:
        gaps = sorted((str(one.gap), one.state, one.reason) for one in self.memory.gaps.known)
        ids = self.position.expected, list(self.position.missing), self.memory.received_to
        return [gaps, self.records(), self.memory.poisoned, ids]

    def known(self) -> list[tuple[int, int, str, str]]:
        found = ((one.gap.first, one.gap.last, one.state, one.reason) for one in self.memory.gaps.known)
        return sorted(found)

    def records(self) -> list[tuple[str, int, int]]:
        """Return what it has to journal."""
        found = [record for record in self.memory.records if isinstance(record, GapRecord)]
        return [(record.state, record.gap.first, record.gap.last) for record in found]


@contextmanager
def reading(directory: Path, entries: Sequence[Entry]) -> Iterator[DataReader]:
    journal = Journal(directory)
    store = SqlStore(embedded_url(directory), journal.identity())
    store.initialise()
    try:
        if entries:
            journal.append(entries)
        yield DataReader(journal, store)
    finally:
        store.close()
        journal.close()


def standing(
    directory: Path, *entries: Entry, one: Instrument = SPOT, source: IdKind = IdKind.TRADE
) -> Standing:
    with reading(directory, entries) as reader:
        found = Standing(reader, one, source)
        # However the ids are read: batch by batch, or those of all symbols at once.
        joined = reader.journal.joined_ids().get((one.exchange, one.symbol))
        assert Standing(reader, one, source, joined).all() == found.all()
        return found


def test_an_empty_journal_says_nothing(tmp_path: Path) -> None:
    found = standing(tmp_path)
    assert found.position.expected == -1
    assert found.known() == []
    assert found.position.check(500) is Verdict.FRESH


def test_it_goes_on_behind_the_last_trade(tmp_path: Path) -> None:
    found = standing(tmp_path, batch(1, range(5, 9)), batch(2, range(9, 12)))
    assert found.position.expected == 12
    assert found.position.check(11) is Verdict.DUPLICATE
    assert found.position.check(4) is Verdict.DUPLICATE
    assert found.position.check(15) == Missing(12, 14)
    assert found.known() == []


def test_a_hole_in_the_journal_is_a_gap_though_no_record_tells_of_it(tmp_path: Path) -> None:
    found = standing(tmp_path, batch(1, range(5, 9)), batch(2, [20, 21, 25]))
    assert found.known() == [(9, 19, "open", ""), (22, 24, "open", "")]
    assert found.records() == [("open", 9, 19), ("open", 22, 24)]
    assert list(found.position.missing) == [(9, 19), (22, 24)]
    # It lies where the trade after it lies.
    assert [one.gap.at for one in found.memory.gaps.known] == [START + 20_000, START + 25_000]


def test_what_was_trimmed_is_no_gap_though_a_late_batch_of_its_time_is_left(tmp_path: Path) -> None:
    late = attrs.evolve(batch(1, range(5, 9)), market_time=START + 2 * MINUTE)
    found = standing(tmp_path, late, batch(2, range(9_000, 9_003)), batch(3, [9_010]))
    assert found.known() == [(9_003, 9_009, "open", "")]
    assert list(found.position.missing) == [(9_003, 9_009)]


def test_a_gap_on_record_is_known_again_and_not_told_twice(tmp_path: Path) -> None:
    found = standing(tmp_path, batch(1, range(5, 9)), GapRecord(gap(9, 19), "open"), batch(2, [20]))
    assert found.known() == [(9, 19, "open", "")]
    assert found.records() == []
    assert list(found.position.missing) == [(9, 19)]


def test_a_gap_whose_trades_came_before_the_record_that_they_did_is_filled(tmp_path: Path) -> None:
    found = standing(
        tmp_path,
        batch(1, range(5, 9)), GapRecord(gap(9, 19), "open"), batch(2, [20]), batch(3, range(12, 20)),
    )  # fmt: skip
    assert found.known() == [(9, 11, "open", "")]
    assert found.records() == [("filled", 12, 19)]
    assert list(found.position.missing) == [(9, 11)]


def test_what_was_given_up_is_not_asked_for_again(tmp_path: Path) -> None:
    found = standing(
        tmp_path,
        batch(1, range(5, 9)), GapRecord(gap(9, 19), "open"), batch(2, [20]),
        GapRecord(gap(9, 12), "unfillable", "the exchange does not give them"),
    )  # fmt: skip
    assert found.known() == [
        (9, 12, "unfillable", "the exchange does not give them"), (13, 19, "open", "")
    ]  # fmt: skip
    assert list(found.position.missing) == [(13, 19)]
    assert found.records() == []


def test_what_was_filled_without_a_trade_is_asked_for_once_more(tmp_path: Path) -> None:
    """The record alone proves nothing: a kill may have come between it and the trades."""
    found = standing(
        tmp_path,
        batch(1, range(5, 9)), GapRecord(gap(9, 19), "open"), batch(2, [20]), GapRecord(gap(9, 19), "filled"),
    )  # fmt: skip
    assert found.known() == [(9, 19, "open", "")]
    assert list(found.position.missing) == [(9, 19)]


def test_trades_of_another_source_say_nothing_of_this_one(tmp_path: Path) -> None:
    entries = batch(1, range(5, 9)), batch(2, range(1_000, 1_003), kind=IdKind.AGG_TRADE)
    found = standing(tmp_path, *entries)
    assert found.position.expected == 9
    assert found.known() == []
    other = standing(tmp_path, source=IdKind.AGG_TRADE)
    assert other.position.expected == 1_003


def test_ids_that_are_names_are_known_again_but_show_no_gap(tmp_path: Path) -> None:
    found = standing(tmp_path, batch(1, ["a", "b"], LINEAR), batch(2, ["x"], LINEAR), one=LINEAR)
    assert [found.position.check(name) for name in "abxc"] == [Verdict.DUPLICATE] * 3 + [Verdict.FRESH]
    assert found.known() == []


@pytest.mark.parametrize("reason", ["poison", "the exchange does not give them"])
def test_poison_in_the_journal_stays_a_gap_and_other_trades_that_came_late_do_not(
    tmp_path: Path, reason: str
) -> None:
    found = standing(
        tmp_path,
        batch(1, range(5, 9)), batch(2, range(9, 12)), batch(3, range(12, 14)),
        GapRecord(gap(9, 11), "open"), GapRecord(gap(9, 11), "unfillable", reason),
    )  # fmt: skip
    if reason == "poison":
        assert found.known() == [(9, 11, "unfillable", "poison")]
        assert found.memory.poisoned == {(1_000_001, 2)}
        assert found.records() == []
    else:
        assert found.known() == []
        assert found.memory.poisoned == set()
        assert found.records() == [("filled", 9, 11)]
    assert found.position.check(10) is Verdict.DUPLICATE


def test_a_store_that_cannot_be_read_does_not_hold_up_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StorageError("the store is away")

    monkeypatch.setattr(DataReader, "gaps", fail)
    found = standing(tmp_path, batch(1, range(5, 9)), batch(2, [20]))
    assert found.known() == [(9, 19, "open", "")]
    assert found.position.expected == 21
