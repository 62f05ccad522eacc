"""Documents hold what they are made of, exactly, and are what the server is told they are."""

from decimal import Decimal

import bson
import pytest
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.decimal128 import Decimal128
from hypothesis import given
from hypothesis import strategies as st
from storage_samples import (
    EXCHANGE,
    START,
    SYMBOL,
    bar_record,
    gap_record,
    levels_record,
    order_flow_record,
    plain,
    profile_record,
    suspected_record,
)

from actors.messages import BookRecord, LevelMark, LevelsRecord, ProfileRecord
from actors.storage.errors import StorageError
from actors.storage.mongo import documents, values
from actors.storage.mongo.trade_documents import trade_document, trade_documents, trade_runs
from wadm.analytics.levels import LiquidityType
from wadm.analytics.profile import Profile, ValueAreaMethod
from wadm.bar import decode
from wadm.market import MINUTE, IdKind, Trades

#: As the store's own client decodes.
OPTIONS = CodecOptions(tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO)
EXPIRES = START + MINUTE
TAIL = {"expires_at": values.date(EXPIRES)}

numbers = st.integers(-(10**40), 10**40)
decimals = st.integers(0, 18)
int64 = st.integers(-(1 << 63), (1 << 63) - 1)
instants = st.integers(-(10**17), 1 << 60)
counts = st.integers(1, 1 << 40)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


def stored(document):
    """Return a document as it comes back from the server."""
    return bson.decode(bson.encode(document), OPTIONS)


# -- numbers and times


@given(st.integers(-(10**34) + 1, 10**34 - 1), decimals)
def test_a_decimal128_is_the_number_and_keeps_its_decimals(scaled, places):
    made = values.decimal128(scaled, places)
    assert str(made) == str(Decimal128(Decimal(f"{scaled}E-{places}")))
    assert values.scaled_of(made) == (scaled, places)


@pytest.mark.parametrize(
    ("scaled", "places", "shown"),
    [
        (10**34 + 5, 0, "1.000000000000000000000000000000000E+34"),  # half goes to the even
        (10**34 + 15, 0, "1.000000000000000000000000000000002E+34"),
        (-(10**35) + 1, 3, "-100000000000000000000000000000000.0"),  # up to one more digit
        (10**34 - 1, 0, "9999999999999999999999999999999999"),
    ],
)
def test_longer_numbers_are_rounded_half_to_even(scaled, places, shown):
    assert str(values.decimal128(scaled, places)) == shown


@pytest.mark.parametrize("text", ["0", "1E+3", "12.50", "-0.001", "1E-18"])
def test_decimals_that_others_stored_can_be_read(text):
    assert values.plain_decimal(Decimal128(text)) == Decimal(text)


@given(instants)
def test_a_date_is_the_millisecond_of_a_time(at):
    assert values.micros(stored({"at": values.date(at)})["at"]) == at // 1_000 * 1_000
    assert values.micros(stored({"at": values.first_date(at)})["at"]) == -(-at // 1_000) * 1_000


# -- trades


@st.composite
def runs_of_trades(draw):
    some = draw(st.integers(1, 5))

    def column(of):
        return draw(st.lists(of, min_size=some, max_size=some))

    ids = draw(st.sampled_from([int64, texts]))
    unique = draw(st.lists(ids, min_size=some, max_size=some, unique=True))
    return Trades(
        draw(texts), draw(texts), draw(st.sampled_from(IdKind)), draw(decimals), draw(decimals),
        unique, column(instants), column(numbers), column(numbers.filter(bool)), column(counts),
    )  # fmt: skip


def rows(trades):
    return sorted(
        (
            time,
            str(trade_id),
            trade_id,
            Decimal(f"{price}E-{trades.price_decimals}"),
            Decimal(f"{size}E-{trades.quantity_decimals}"),
            count,
        )
        for trade_id, time, price, size, count in zip(
            trades.ids, trades.times, trades.prices, trades.signed_quantities, trades.counts, strict=True
        )
    )


@given(runs_of_trades())
def test_trades_come_back_exactly(trades):
    made = [stored(bson.decode(one.raw, OPTIONS)) for one in trade_documents(trades, TAIL)]
    (back,) = trade_runs(trades.exchange, trades.symbol, made)
    assert (back.exchange, back.symbol, back.id_kind) == (trades.exchange, trades.symbol, trades.id_kind)
    assert rows(back) == rows(trades)


@given(runs_of_trades())
def test_bytes_written_by_hand_are_those_of_the_document(trades):
    for index, made in enumerate(trade_documents(trades, TAIL)):
        assert made.raw == bson.encode(trade_document(trades, index, TAIL))


def test_a_trade_has_the_fields_that_others_look_for():
    trades = Trades(EXCHANGE, SYMBOL, IdKind.AGG_TRADE, 1, 3, [7], [START + 1_234], [610_005], [-250], [2])
    (made,) = trade_documents(trades, TAIL)
    document = bson.decode(made.raw, OPTIONS)
    assert list(document) == [
        "exchange", "symbol", "id_kind", "trade_id", "price", "quantity", "side", "is_buyer_maker",
        "timestamp", "time_us", "trade_count", "expires_at",
    ]  # fmt: skip
    assert (document["price"], document["quantity"]) == (Decimal128("61000.5"), Decimal128("0.250"))
    assert (document["side"], document["is_buyer_maker"]) == ("sell", True)
    assert document["timestamp"].isoformat() == "2024-08-08T23:55:00.001000+00:00"
    assert document["time_us"] == START + 1_234


def test_trades_of_one_millisecond_come_in_the_order_of_their_ids():
    trades = Trades(EXCHANGE, SYMBOL, IdKind.TRADE, 0, 0, [10, 9], [START] * 2, [1, 2], [1, 1], [1, 1])
    (back,) = trade_runs(EXCHANGE, SYMBOL, [bson.decode(one.raw) for one in trade_documents(trades, TAIL)])
    assert list(back.ids) == [9, 10]


def test_ids_that_are_names_stay_in_the_order_given():
    trades = Trades(EXCHANGE, SYMBOL, IdKind.TRADE, 0, 0, ["b", "a"], [START] * 2, [1, 2], [1, 1], [1, 1])
    (back,) = trade_runs(EXCHANGE, SYMBOL, [bson.decode(one.raw) for one in trade_documents(trades, TAIL)])
    assert list(back.ids) == ["b", "a"]


def test_an_id_that_is_too_long_is_refused():
    trades = Trades(EXCHANGE, SYMBOL, IdKind.TRADE, 0, 0, [1 << 63], [START], [1], [1], [1])
    with pytest.raises(StorageError, match="9223372036854775808"):
        trade_documents(trades, TAIL)


# -- records


levels_of_a_side = st.lists(st.tuples(numbers, numbers), max_size=4)


books = st.builds(
    BookRecord, texts, texts, instants, int64, decimals, decimals, levels_of_a_side, levels_of_a_side
)


@given(books)
def test_books_come_back_exactly(record):
    back = documents.book_record(stored(documents.book_document(record, EXPIRES)))
    assert plain(back) == plain(record)


whole_decimals = st.builds(lambda scaled, places: Decimal(f"{scaled}E-{places}"), numbers, decimals)
marks = st.builds(
    LevelMark,
    st.sampled_from(LiquidityType),
    whole_decimals,
    whole_decimals,
    whole_decimals,
    st.integers(0, 1 << 40),
    st.none() | instants,
)


@given(st.lists(marks, max_size=3))
def test_levels_come_back_exactly(found):
    record = LevelsRecord(EXCHANGE, SYMBOL, START, START + MINUTE, 1, tuple(found))
    made = documents.level_documents(record, EXPIRES)
    assert [documents.level_mark(stored(one)) for one in made] == found


@pytest.mark.parametrize("quantity", [5, 10**40 + 1])
def test_windows_come_back_exactly(quantity):
    profile, flow = profile_record(quantity=quantity), order_flow_record(quantity=quantity)
    made = stored(documents.profile_document(profile, EXPIRES))
    assert plain(documents.profile_record(made)) == plain(profile)
    made = stored(documents.order_flow_document(flow, EXPIRES))
    assert plain(documents.order_flow_record(made)) == plain(flow)
    bar = bar_record(quantity=quantity)
    assert decode(stored(documents.bar_document(bar, START))["packed"]) == bar.bar


@pytest.mark.parametrize("record", [gap_record(), suspected_record(state="filled")])
def test_gaps_come_back(record):
    assert documents.gap_record(stored(documents.gap_document(record))) == record


def test_a_profile_has_its_rows_by_price_and_one_by_one():
    made = stored(documents.profile_document(profile_record(), EXPIRES))
    assert made["price_levels"] == {"61000": Decimal128("0.020")}
    (node,) = made["nodes"]
    assert node == {
        "price_level": Decimal128("61000.0"), "volume": Decimal128("0.020"),
        "buy_volume": Decimal128("0.010"), "sell_volume": Decimal128("0.010"), "trade_count": 6,
    }  # fmt: skip
    assert (made["poc_price"], made["total_volume"]) == (Decimal128("61000.0"), Decimal128("0.020"))


def test_an_order_flow_has_the_fields_that_others_look_for():
    made = stored(documents.order_flow_document(order_flow_record(counts=(3, 1)), EXPIRES))
    assert (made["large_trades_count"], made["absorption_events"]) == (3, 1)
    assert (made["delta"], made["cumulative_delta"]) == (Decimal128("0.000"), Decimal128("0.000"))
    assert (made["imbalance_ratio"], made["total_volume"]) == (Decimal128("1"), Decimal128("0.020"))


def test_a_level_has_the_fields_that_others_look_for():
    support, _ = (stored(one) for one in documents.level_documents(levels_record(), EXPIRES))
    assert (support["liquidity_type"], support["price"]) == ("support", Decimal128("60900"))
    assert (support["strength"], support["last_touch"]) == (Decimal128("31.5"), None)


def wide_profile(rows):
    """Return a profile of as many rows, with numbers as long as there are."""
    size = 10**20
    traded = {10**8 + row: (size + row, size, 1 << 30, 1 << 30) for row in range(rows)}
    made = Profile(
        Decimal("0.00000001"), 18, traded, 10**8, 10**8, 10**8, 1, Decimal("0.7"), ValueAreaMethod.PAIR
    )
    return ProfileRecord(EXCHANGE, SYMBOL, "1d", START, START + MINUTE, 0, False, made)


def test_the_longest_profile_that_is_written_out_fits_a_document():
    assert len(bson.encode(documents.profile_document(wide_profile(documents.MOST_ROWS), EXPIRES))) < 15 << 20


def test_a_profile_of_more_rows_is_stored_without_them_and_comes_back_all_the_same(monkeypatch):
    monkeypatch.setattr(documents, "MOST_ROWS", 9)
    record = wide_profile(10)
    made = stored(documents.profile_document(record, EXPIRES))
    assert (made["nodes"], made["price_levels"], made["rows"]) == ([], {}, 10)
    assert plain(documents.profile_record(made)) == plain(record)


def test_a_profile_of_yet_more_rows_keeps_its_figures(monkeypatch):
    monkeypatch.setattr(documents, "MOST_ROWS", 9)
    monkeypatch.setattr(documents, "MOST_PACKED", 100)
    made = stored(documents.profile_document(wide_profile(10), EXPIRES))
    assert "packed" not in made
    assert made["poc_price"] == Decimal128("1.00000000")
