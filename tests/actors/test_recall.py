"""Suspected gaps: filled from the exchange's newest trades as far as those reach, and no further."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import httpx2
import pytest

from actors.gaps import recall
from actors.gaps.recall import NO_OLDER, OTHER_IDS, Recall
from actors.gaps.standing import NOT_FOLLOWED
from actors.memory import SymbolMemory
from actors.outbox import Outbox
from actors.plan import Plan, PlannedConnection
from actors.rest import NotNow, Rest
from actors.runtime import Runtime, open_runtime
from wadm.exchanges import registry
from wadm.market import MILLISECOND, IdKind, Instrument, Trades
from wadm.settings import Settings

#: 2024-08-09T00:00:00Z in ms
START = 1_723_161_600_000
LINEAR = Instrument("bybit", "BTCUSDT", Decimal("0.1"), Decimal("0.001"))
CONNECTION = "connection:bybit#1"
WHY = "the connection ended"


def heard(*numbers: int) -> bytes:
    """A frame of trades; trade ``n`` comes ``n`` ms after the start."""
    data = [
        {
            "T": START + n,
            "s": "BTCUSDT",
            "S": "Buy",
            "v": "0.010",
            "p": "60000.5",
            "i": f"id-{n}",
            "BT": False,
        }
        for n in numbers
    ]
    topic = {"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": START, "data": data}
    return json.dumps(topic, separators=(",", ":")).encode()


@attrs.define
class Bybit:
    """A far side with these trades, of which it shows the newest ``limit``."""

    numbers: Sequence[int]
    limit: int = 1_000
    prefix: str = "id-"
    answers: list[httpx2.Response] = attrs.field(factory=list)
    asked: int = 0

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked += 1
        if self.answers:
            return self.answers.pop(0)
        rows: list[dict[str, Any]] = [
            {"execId": f"{self.prefix}{n}", "symbol": "BTCUSDT", "price": "60000.5", "size": "0.010",
             "side": "Buy", "time": str(START + n)}
            for n in reversed(self.numbers[-self.limit :])
        ]  # fmt: skip
        return httpx2.Response(200, json={"retCode": 0, "retMsg": "OK", "result": {"list": rows}})


@attrs.define
class Following:
    """A daemon's part that hears trades of one symbol and asks for those it missed."""

    runtime: Runtime
    recall: Recall

    @property
    def memory(self) -> SymbolMemory:
        return self.runtime.symbols[LINEAR.key]

    def hear(self, *numbers: int) -> None:
        runtime = self.runtime
        codec = registry.find("bybit").codec(
            {"BTCUSDT": LINEAR}, runtime.positions_of("bybit"), runtime.ledger
        )
        for event in codec.receive([heard(*numbers)], START * 1_000):
            assert isinstance(event, Trades)
            runtime.outboxes[CONNECTION].add(event, START * 1_000, 0.0, max(event.times))

    def known(self) -> list[tuple[int, int, str, str]]:
        """The gaps, in ms after the start."""
        return [
            (_later(one.gap.first), _later(one.gap.last), one.state, one.reason)
            for one in self.memory.gaps.known
        ]

    def filled(self, outbox: Outbox) -> list[object]:
        return [trade_id for posting in outbox.postings for trade_id in posting.batch.trades.ids]


def _later(at: int) -> int:
    return at // MILLISECOND - START


@asynccontextmanager
async def following(directory: Path, far: Bybit, *, playback: bool = False) -> AsyncIterator[Following]:
    connection = PlannedConnection(
        CONNECTION, "bybit", "ws://made.up", ("publicTrade.BTCUSDT",), (LINEAR.key,)
    )
    plan = Plan({LINEAR.key: LINEAR}, {LINEAR.key: IdKind.TRADE}, (connection,), playback=playback, rest={})
    async with (
        open_runtime(Settings(), plan, directory) as runtime,
        httpx2.AsyncClient(transport=httpx2.MockTransport(far)) as client,
    ):
        runtime.rest = Rest(client, {"bybit": "http://bybit.test"}, playback)
        runtime.send_as("backfill:bybit")
        outbox = runtime.outboxes["backfill:bybit"]
        outbox.live = False
        outbox.begin(runtime.numbering.incarnation())
        yield Following(runtime, Recall(runtime, "bybit", outbox))


async def interrupted(running: Following, before: Sequence[int], after: Sequence[int]) -> list[object]:
    """Hear trades, miss some, hear more, ask; return the ids of those that were filled."""
    outbox = running.recall.outbox
    running.hear(*before)
    running.memory.note_break(WHY)
    running.hear(*after)
    taken: list[object] = []
    add = Outbox.add

    def noting(box: Outbox, trades: Trades, *rest: Any) -> None:
        if box is outbox:
            taken.extend(trades.ids)
        add(box, trades, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Outbox, "add", noting)
        await running.recall.fill_all()
    return taken


async def test_what_was_missed_is_filled_and_the_suspicion_ends(tmp_path: Path) -> None:
    async with following(tmp_path, Bybit(range(100))) as running:
        filled = await interrupted(running, range(40), range(60, 99))
        assert filled == [f"id-{n}" for n in range(40, 60)]
        assert running.known() == []
        # The trades at both ends were known: no trade is there twice.
        account = running.runtime.ledger.account(LINEAR.key)
        assert (account.received, account.duplicate) == (99 + 2, 2)
        assert running.runtime.statement()["balanced"]


async def test_a_page_that_does_not_reach_back_leaves_the_rest_unfillable(tmp_path: Path) -> None:
    async with following(tmp_path, Bybit(range(100), limit=50)) as running:
        filled = await interrupted(running, range(40), range(60, 99))
        assert filled == [f"id-{n}" for n in range(50, 60)]
        # Of the oldest millisecond the page may not have all.
        ((first, last, state, reason),) = running.known()
        assert (first, last, state) == (39, 50, "unfillable")
        assert reason == f"{WHY}; {NO_OLDER}"


async def test_a_page_that_begins_with_the_very_trade_before_reaches_back(tmp_path: Path) -> None:
    async with following(tmp_path, Bybit(range(100), limit=61)) as running:
        assert await interrupted(running, range(40), range(60, 99)) == [f"id-{n}" for n in range(40, 60)]
        assert running.known() == []


async def test_a_page_that_begins_behind_the_break_has_nothing(tmp_path: Path) -> None:
    async with following(tmp_path, Bybit(range(100), limit=10)) as running:
        assert await interrupted(running, range(40), range(60, 99)) == []
        assert running.known() == [(39, 60, "unfillable", f"{WHY}; {NO_OLDER}")]


async def test_trades_under_other_ids_are_not_counted_twice(tmp_path: Path) -> None:
    async with following(tmp_path, Bybit(range(100), prefix="other-")) as running:
        assert await interrupted(running, range(40), range(60, 99)) == []
        assert running.known() == [(39, 60, "unfillable", f"{WHY}; {OTHER_IDS}")]
        assert running.runtime.ledger.total().received == 79


async def test_a_break_in_which_nothing_was_traded_is_no_gap(tmp_path: Path) -> None:
    async with following(tmp_path, Bybit([*range(40), *range(60, 100)])) as running:
        assert await interrupted(running, range(40), range(60, 99)) == []
        assert running.known() == []


async def test_an_exchange_that_has_not_come_so_far_is_asked_again_and_not_for_ever(
    tmp_path: Path,
) -> None:
    far = Bybit(range(50))
    async with following(tmp_path, far) as running:
        with pytest.raises(NotNow):
            await interrupted(running, range(40), range(60, 99))
        assert [state for _, _, state, _ in running.known()] == ["open"]
        far.numbers = range(100)
        await running.recall.fill_all()
        assert running.known() == []
        far.numbers = range(110)
        running.memory.note_break(WHY)
        running.hear(120)
        for _ in range(recall.LAST_REFUSAL):
            with pytest.raises(NotNow):
                await running.recall.fill_all()
        await running.recall.fill_all()
        assert running.known() == [(98, 120, "unfillable", f"{WHY}; the exchange does not give them")]


async def test_an_exchange_that_refuses_says_why_in_the_gap(tmp_path: Path) -> None:
    far = Bybit(range(100), answers=[httpx2.Response(404, text="no such thing")])
    async with following(tmp_path, far) as running:
        await interrupted(running, range(40), range(60, 99))
        ((_, _, state, reason),) = running.known()
        assert state == "unfillable"
        assert reason.endswith("answered 404: no such thing")


async def test_after_a_start_trades_are_suspected_to_be_missing_since_the_last_one_kept(
    tmp_path: Path,
) -> None:
    async with following(tmp_path, Bybit(range(100), limit=50)) as running:
        await interrupted(running, range(40), range(60, 99))
        await _journalled(running)
    async with following(tmp_path, Bybit(range(300), limit=1_000)) as again:
        # What was suspected and could not be filled is known again.
        assert [(first, last, state) for first, last, state, _ in again.known()] == [(39, 50, "unfillable")]
        again.hear(98, 200, 201)
        assert again.runtime.ledger.total().duplicate == 1
        assert again.known()[-1] == (98, 200, "open", NOT_FOLLOWED)
        await again.recall.fill_all()
        assert [(first, last) for first, last, _, _ in again.known()] == [(39, 50)]
        assert again.runtime.positions_of("bybit").of("BTCUSDT", IdKind.TRADE).knows("id-150")


async def _journalled(running: Following) -> None:
    """Write what the outboxes and the memory hold into the journal, as the writer would."""
    runtime = running.runtime
    entries = [*running.memory.records]
    for mailbox in (runtime.writer_mailbox,):
        entries += mailbox.pending()
    entries += [posting.batch for outbox in runtime.outboxes.values() for posting in outbox.postings]
    runtime.journal.append(entries)
