"""Trades that come in a row are read together; what comes of it is what each by itself would have given."""

import json
from collections.abc import Iterator

import pytest
from codec_kit import AT, apart, bench, changed, check_alike, row_of_trades
from hypothesis import given, settings
from hypothesis import strategies as st

from wadm.exchanges.contiguity import LONGEST_ID, RECENT_IDS, CountedIds, RecentIds, Verdict
from wadm.exchanges.registry import EXCHANGES
from wadm.exchanges.run import SEVERAL
from wadm.market import Trades

#: by exchange: the names of a trade's id, time, price, quantity, symbol, and what tells its side
NAMES = {
    "binance": ("t", "T", "p", "q", "s", "m"),
    "binance_usdm": ("a", "T", "p", "q", "s", "m"),
    "bybit": ("i", "T", "p", "v", "s", "S"),
    "bybit_spot": ("i", "T", "p", "v", "s", "S"),
}
NUMBERS = ["0", "-1", "1e5", "", "x", "1.23456789", "61837.60000", "9" * 17, "9" * 19, "0." + "0" * 17 + "1"]
MILLISECONDS = [0, 1, 2**63, AT // 1_000 + 2 * 86_400_000, AT // 1_000]


def odd_fields(exchange: str, frame: bytes) -> list[dict[str, object]]:
    """What may be unusual about a frame's trade."""
    trade_id, time, price, quantity, symbol, side = NAMES[exchange]
    known = json.loads(frame)["data"]
    known = known[0] if isinstance(known, list) else known
    number, kind = int(known[trade_id]), type(known[trade_id])
    return [
        *({trade_id: kind(number + step)} for step in (-3, -1, 1, 2)),
        *({time: ms} for ms in MILLISECONDS),
        *({price: text} for text in NUMBERS),
        *({quantity: text} for text in NUMBERS),
        *({symbol: name} for name in ("ETHUSDT", "UNKNOWN")),
        *({side: value} for value in (None, "Hold", True)),
        *({"X": value} for value in ("MARKET", "ADL", None)),
        *({"l": last} for last in (0, 10**12)),
    ]


@st.composite
def nearly_ordinary(draw: st.DrawFn, exchange: str) -> list[bytes]:
    """Trades in a row, some of which are odd, come twice or not at all, or are no frames."""
    frames = row_of_trades(exchange, draw(st.integers(1, 2 * SEVERAL)))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(frames) - 1))
        frame = frames[place]
        match draw(st.sampled_from(["odd", "odd", "odd", "again", "without", "two in one", "cut", "bare"])):
            case "odd" if frame.startswith(b"{") and frame.endswith(b"}") and frame.count(b'"data"') == 1:
                frames[place] = changed(frame, **draw(st.sampled_from(odd_fields(exchange, frame))))
            case "again":
                frames.insert(draw(st.integers(0, len(frames))), frame)
            case "without" if len(frames) > 1:
                del frames[place]
            case "two in one":
                frames[place] = frame + b"," + frame
            case "cut":
                frames[place] = b"x" + frame[: draw(st.integers(0, len(frame)))]
            case _:
                frames.insert(place, b'{"result":null,"id":1}')
    return frames


@pytest.mark.parametrize("exchange", EXCHANGES)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_row_gives_what_its_frames_give_one_by_one(exchange: str, data: st.DataObject) -> None:
    together, alone = bench(exchange, tick="0.01"), apart(exchange, tick="0.01")
    warm = data.draw(st.booleans())
    frames = [*row_of_trades(exchange)[:1], *data.draw(nearly_ordinary(exchange))]
    for part in [frames[:1], frames[1:]] if warm else [frames]:
        together.feed(*part)
        alone.feed(*part)
    check_alike(together, alone)
    together.check_balance()


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_one_odd_trade_of_a_row_is_taken_as_by_itself(exchange: str) -> None:
    frames = row_of_trades(exchange)
    for fields in odd_fields(exchange, frames[9]):
        together, alone = bench(exchange, tick="0.01"), apart(exchange, tick="0.01")
        for codec in (together, alone):
            codec.feed(frames[0])
            codec.feed(*frames[1:9], changed(frames[9], **fields), *frames[10:])
        check_alike(together, alone)
        together.check_balance()


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_an_ordinary_row_is_collected_at_once(exchange, monkeypatch):
    frames = row_of_trades(exchange)
    codec = bench(exchange)
    codec.feed(frames[0])
    monkeypatch.setattr("wadm.exchanges.run.Run.offer", None)
    (trades,) = codec.feed(*frames[1:])
    assert isinstance(trades, Trades)
    assert len(trades) == len(frames) - 1


def test_two_trades_in_one_frame_do_not_pass_for_two_frames():
    frames = row_of_trades("binance")
    codec = bench("binance")
    codec.feed(frames[0])
    codec.feed(*frames[1:10], b",".join(frames[10:12]), *frames[12:])
    assert codec.ledger.frames_rejected == {"not_json": 1}
    assert codec.gaps == [(388_520, 388_521)]


def test_no_first_id_is_below_zero():
    codec = bench("binance")
    codec.feed(*(changed(row_of_trades("binance")[0], t=number) for number in (-1, 0, 1)))
    assert codec.rejected() == {"id_out_of_range": 1}
    assert [trade[0] for trade in codec.trades] == [0, 1]


def one_by_one(place: CountedIds | RecentIds, ids: list) -> Iterator[bool]:
    for trade_id in ids:
        counted = trade_id == place.expected >= 0
        yield place.check(trade_id) is Verdict.FRESH and (counted or isinstance(place, RecentIds))


COUNTED = st.integers(-2, 12).flatmap(
    lambda first: st.integers(0, 9).map(lambda n: [*range(first, first + n)])
)
NAMED = st.lists(st.sampled_from(["", *"abcdefgh", "x" * LONGEST_ID, "x" * (LONGEST_ID + 1)]), max_size=6)


@given(batches=st.lists(COUNTED, max_size=6))
def test_counted_ids_advance_where_each_is_the_next(batches):
    place, other = CountedIds(), CountedIds()
    for ids in batches:
        standing = other.expected
        row = standing >= 0 and ids == list(range(standing, standing + len(ids)))
        assert place.advance(ids) == row
        if not row:
            list(one_by_one(place, ids))
        found = list(one_by_one(other, ids))
        assert all(found) or not row
        assert (place.expected, place.missing) == (other.expected, other.missing)


@given(batches=st.lists(NAMED, max_size=6))
def test_names_advance_where_each_is_new(batches):
    place, other = RecentIds(), RecentIds()
    for ids in batches:
        found = list(one_by_one(other, ids))
        assert place.advance(ids) == all(found)
        if not all(found):
            list(one_by_one(place, ids))
        assert (place._recent, place._earlier) == (other._recent, other._earlier)


def test_names_are_forgotten_at_the_same_place_however_they_came():
    ids = [str(number) for number in range(2 * RECENT_IDS + 5)]
    place, other = RecentIds(), RecentIds()
    for start in range(0, len(ids), 100):
        part = ids[start : start + 100]
        if not place.advance(part):
            list(one_by_one(place, part))
        list(one_by_one(other, part))
        assert (place._recent, place._earlier) == (other._recent, other._earlier)
