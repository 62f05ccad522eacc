"""Symbols are chosen by name, pattern or turnover, and followed and left as an exchange's list changes."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wadm.exchanges.base import Listed
from wadm.market import Instrument
from wadm.selection import (
    Choice,
    ChoiceError,
    Decision,
    Followed,
    Matching,
    Named,
    Top,
    Wanted,
    decide,
    read_choice,
)

QUOTES = ("USDT", "USDC", "BTC")


def listing(*symbols: str, halted: Sequence[str] = ()) -> dict[str, Listed]:
    found = {}
    for symbol in (*symbols, *halted):
        quote = next((quote for quote in QUOTES if symbol.endswith(quote)), "USDT")
        base = symbol.removesuffix(quote)
        found[symbol] = Listed(Instrument("binance", symbol), base, quote, symbol not in halted)
    return found


def turnovers(**millions: int) -> dict[str, Decimal]:
    return {symbol: Decimal(value) * 1_000_000 for symbol, value in millions.items()}


def decided(
    texts: str,
    listed: Mapping[str, Listed],
    followed: Followed | str = "",
    turnover: Mapping[str, Decimal] | None = None,
    removed: Sequence[str] = (),
) -> Decision:
    if isinstance(followed, str):
        followed = Followed(followed.split(), seen=followed.split())
    asked = Wanted([read_choice(text) for text in texts.split()], removed)
    return decide(asked, listed, turnover or {}, followed)


# --- how choices are written ---


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("BTCUSDT", Named("BTCUSDT")),
        ("btcusdt", Named("BTCUSDT")),
        ("BTC-27MAR26", Named("BTC-27MAR26")),
        ("BTCUSDT_260327", Named("BTCUSDT_260327")),
        ("TOPUSDT", Named("TOPUSDT")),
        ("*USDT", Matching("*USDT")),
        ("*", Matching("*")),
        ("?TCUSDT", Matching("?TCUSDT")),
        ("[be]t?usdt", Matching("[BE]T?USDT")),
        ("top:20", Top(20)),
        ("TOP:20", Top(20)),
        ("top:5:*usdc", Top(5, "*USDC")),
    ],
)
def test_a_choice_is_a_name_a_pattern_or_the_first_by_turnover(text: str, choice: Choice) -> None:
    assert read_choice(text) == choice


@pytest.mark.parametrize(
    "text",
    ["", " ", "BTC USDT", "top:", "top:0", "top:-1", "top:x", "top:20:", "top:99999", "best:3", "A" * 41,
     "*" * 41, "top:20:" + "*" * 41, "BTCUSDT\n", "top:٣"],
)  # fmt: skip
def test_what_chooses_nothing_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(ChoiceError, match=r"expected a name \(BTCUSDT\), a pattern"):
        read_choice(text)


@given(st.text(max_size=80))
def test_any_text_is_a_choice_or_refused(text: str) -> None:
    with suppress(ChoiceError):
        read_choice(text)


def test_only_the_first_by_turnover_need_turnover() -> None:
    assert Wanted([Named("A"), Top(3)]).ranked
    assert not Wanted([Named("A"), Matching("*")]).ranked


# --- what is followed ---


@pytest.mark.parametrize(
    ("texts", "follow"),
    [
        ("BTCUSDT ETHUSDT", ("BTCUSDT", "ETHUSDT")),
        ("ETHUSDT BTCUSDT ETHUSDT", ("ETHUSDT", "BTCUSDT")),
        ("*USDT", ("BTCUSDT", "ETHUSDT", "LTCUSDT")),
        ("LTCUSDT *USDT", ("LTCUSDT", "BTCUSDT", "ETHUSDT")),
        ("*BTC", ("ETHBTC",)),
        ("*EUR", ()),
        ("OLDUSDT", ()),  # listed, but not trading
        ("top:2", ("ETHUSDT", "BTCUSDT")),
        ("top:9", ("ETHUSDT", "BTCUSDT", "LTCUSDT")),
        ("top:1:*BTC", ("ETHBTC",)),
        ("top:3:ETH*", ("ETHBTC",)),  # as many quotes in BTC as in USDT: one of them
        ("BTCUSDT top:1", ("BTCUSDT", "ETHUSDT")),
        ("", ()),
    ],
)
def test_choices_are_followed_in_their_order_each_symbol_once(texts: str, follow: tuple[str, ...]) -> None:
    listed = listing("LTCUSDT", "BTCUSDT", "ETHBTC", "ETHUSDT", halted=["OLDUSDT"])
    turnover = turnovers(BTCUSDT=90, ETHUSDT=100, LTCUSDT=5, ETHBTC=7, OLDUSDT=999)
    found = decided(texts, listed, turnover=turnover)
    assert found == Decision(follow, {}, (), ())


def test_turnovers_in_different_quotes_are_not_compared() -> None:
    listed = listing("AUSDT", "BUSDT", "CBTC")
    found = decided("top:1:*", listed, turnover=turnovers(AUSDT=5, BUSDT=9, CBTC=1_000))
    assert found.follow == ("BUSDT",)


def test_equal_turnovers_are_ranked_by_name_and_a_symbol_without_one_not_at_all() -> None:
    found = decided("top:2", listing("CUSDT", "BUSDT", "AUSDT"), turnover=turnovers(CUSDT=1, BUSDT=1))
    assert found.follow == ("BUSDT", "CUSDT")


def test_a_new_listing_that_matches_is_followed() -> None:
    found = decided("*USDT", listing("BTCUSDT", "NEWUSDT"), "BTCUSDT")
    assert found == Decision(("NEWUSDT",), {}, (), ())


def test_a_name_that_was_never_listed_is_followed_and_reported() -> None:
    found = decided("NONEUSDT BTCUSDT", listing("BTCUSDT"))
    assert found == Decision(("BTCUSDT", "NONEUSDT"), {}, ("NONEUSDT",), ())
    again = decided("NONEUSDT", listing("BTCUSDT"), Followed(["NONEUSDT"], missed=["NONEUSDT"]))
    assert again == Decision((), {}, ("NONEUSDT",), ())


# --- what is left ---


@pytest.mark.parametrize("texts", ["BTCUSDT OLDUSDT", "*USDT"])
def test_what_does_not_trade_is_left_at_once_and_followed_again_when_it_does(texts: str) -> None:
    halted = decided(texts, listing("BTCUSDT", halted=["OLDUSDT"]), "BTCUSDT OLDUSDT")
    assert halted == Decision((), {"OLDUSDT": "it does not trade now"}, (), ())
    again = decided(texts, listing("BTCUSDT", "OLDUSDT"), Followed(["BTCUSDT"], seen=["BTCUSDT", "OLDUSDT"]))
    assert again.follow == ("OLDUSDT",)


@pytest.mark.parametrize("texts", ["BTCUSDT OLDUSDT", "*USDT"])
def test_what_is_gone_from_the_list_is_left_the_second_time(texts: str) -> None:
    listed, symbols = listing("BTCUSDT"), ["BTCUSDT", "OLDUSDT"]
    first = decided(texts, listed, Followed(symbols, seen=symbols))
    assert first == Decision((), {}, (), ("OLDUSDT",))
    second = decided(texts, listed, Followed(symbols, seen=symbols, missed=first.missed))
    assert second == Decision((), {"OLDUSDT": "the exchange no longer lists it"}, (), ())


def test_what_no_choice_asks_for_any_more_is_left() -> None:
    found = decided("BTCUSDT", listing("BTCUSDT", "ETHUSDT"), "BTCUSDT ETHUSDT")
    assert found.leave == {"ETHUSDT": "no setting asks for it"}


def test_what_was_removed_by_hand_is_left_and_no_choice_brings_it_back() -> None:
    listed = listing("BTCUSDT", "ETHUSDT")
    found = decided("*USDT ETHUSDT", listed, "BTCUSDT ETHUSDT", removed=["ETHUSDT"])
    assert found == Decision((), {"ETHUSDT": "it was removed by hand"}, (), ())
    again = decided("*USDT ETHUSDT top:2", listed, "BTCUSDT", turnovers(ETHUSDT=5), removed=["ETHUSDT"])
    assert again == Decision((), {}, (), ())


@pytest.mark.parametrize(
    ("order", "followed", "follow", "leave"),
    [
        ("ABCDEFG", "", "ABCD", ""),
        ("ABCDEFG", "ABCD", "", ""),
        ("ABCEDFG", "ABCD", "E", ""),  # D is fifth now
        ("ABCEFDG", "ABCDE", "", ""),  # sixth
        ("ABCEFGD", "ABCDE", "", "D"),  # seventh
        ("ABCEDFG", "ABCE", "", ""),  # D is fifth, but was left
        ("GFEDCBA", "ABCDG", "EF", "A"),
    ],
)
def test_one_of_the_first_four_is_left_only_when_it_is_not_among_the_first_six(
    order: str, followed: str, follow: str, leave: str
) -> None:
    symbols = [f"{letter}USDT" for letter in order]
    turnover = {symbol: Decimal(100 - rank) for rank, symbol in enumerate(symbols)}
    found = decided("top:4", listing(*symbols), " ".join(f"{one}USDT" for one in followed), turnover)
    assert set(found.follow) == {f"{one}USDT" for one in follow}
    why = "it is no longer among the first 6 by turnover"
    assert found.leave == {f"{one}USDT": why for one in leave}


names = st.sampled_from([f"{base}{quote}" for base in "ABCDE" for quote in ("USDT", "BTC")])
choices = st.lists(
    st.one_of(
        names,
        st.sampled_from(["*USDT", "A*", "*", "?BTC"]),
        st.integers(1, 5).map(lambda count: f"top:{count}"),
        st.integers(1, 5).map(lambda count: f"top:{count}:*"),
    ),
    max_size=4,
)


@given(choices, st.sets(names), st.sets(names), st.dictionaries(names, st.integers(0, 9)), st.sets(names))
def test_what_was_decided_is_done_with_the_same_list_and_nothing_more_is_to_do(
    texts: list[str], trading: set[str], halted: set[str], volumes: dict[str, int], current: set[str]
) -> None:
    listed = listing(*sorted(trading - halted), halted=sorted(halted))
    turnover = {symbol: Decimal(volume) for symbol, volume in volumes.items()}
    asked = Wanted([read_choice(text) for text in texts])
    seen: set[str] = current | set(listed)
    symbols, missed = set(current), tuple[str, ...]()
    for _ in range(2):
        found = decide(asked, listed, turnover, Followed(sorted(symbols), seen, missed))
        assert not set(found.follow) & symbols
        assert set(found.leave) <= symbols
        assert not set(found.follow) & set(found.leave)
        assert not set(found.follow) & halted
        symbols = symbols - set(found.leave) | set(found.follow)
        missed = found.missed
    still = decide(asked, listed, turnover, Followed(sorted(symbols), seen, missed))
    assert (still.follow, still.leave) == ((), {})
    assert symbols <= (set(listed) - halted) | set(still.unknown)
