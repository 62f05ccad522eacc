"""The ledger balances, whatever happens to the trades."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from wadm.ledger import Account, Ledger

KEYS = st.sampled_from(["binance:BTCUSDT", "bybit:BTCUSDT", "binance:ETHUSDT"])
FATES = st.sampled_from(
    ["applied", "duplicate", "rejected not_market", "rejected poison", "shed full", "waiting"]
)


@given(st.lists(st.tuples(KEYS, FATES, st.integers(1, 9))))
def test_received_is_the_sum_of_all_fates_and_what_is_still_in_flight(
    events: list[tuple[str, str, int]],
) -> None:
    ledger, waiting = Ledger(), 0
    for key, fate, count in events:
        account = ledger.account(key)
        account.received += count
        match fate.split():
            case ["applied"]:
                account.applied += count
            case ["duplicate"]:
                account.duplicate += count
            case ["rejected", reason]:
                account.rejected[reason] += count
            case ["shed", policy]:
                account.shed[policy] += count
            case _:
                waiting += count
    assert ledger.statement(waiting)["balanced"] is True
    assert ledger.statement(waiting + 1)["balanced"] is False
    total = ledger.total()
    assert total.received == sum(count for _, _, count in events)
    assert total.settled() + waiting == total.received


def test_a_statement_lists_reasons_in_their_order_and_frames_apart() -> None:
    ledger = Ledger()
    first, second = ledger.account("a:B"), ledger.account("a:C")
    first.received, first.applied, first.rejected = 5, 3, Counter(z=1, a=1)
    second.received, second.duplicate, second.shed = 4, 1, Counter(conflated=2)
    second.rejected["a"] += 1
    ledger.frames, ledger.frames_rejected = 7, Counter(not_json=2)
    statement = ledger.statement(0)
    assert statement == {
        "received": 9,
        "hot": 0,
        "applied": 3,
        "duplicate": 1,
        "rejected": {"a": 2, "z": 1},
        "shed": {"conflated": 2},
        "in_flight": 0,
        "balanced": True,
        "frames": 7,
        "frames_rejected": {"not_json": 2},
    }
    assert list(statement["rejected"]) == ["a", "z"]  # type: ignore[call-overload]


def test_what_the_hot_tier_gave_is_told_apart_and_balances() -> None:
    ledger = Ledger()
    ledger.account("a:B").take_over(10, 3)
    ledger.account("a:B").received += 1
    statement = ledger.statement(1)
    assert [statement[name] for name in ("received", "hot", "applied", "duplicate")] == [11, 10, 7, 3]
    assert statement["balanced"]


def test_an_account_is_opened_once_and_the_total_is_a_copy() -> None:
    ledger = Ledger()
    assert ledger.account("a:B") is ledger.account("a:B")
    assert ledger.account("a:B") is not ledger.account("a:C")
    ledger.account("a:B").rejected["x"] += 1
    ledger.total().rejected["x"] += 5
    assert ledger.account("a:B") == Account(rejected=Counter(x=1))
