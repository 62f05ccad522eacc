"""Binance's recordings in Bybit's format: the same trades and books, under another exchange's name."""

import json
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trio
from playback_recordings import NS, aggregate, trade, write_capture

from actors.answers.outcome import outcome
from actors.cli import playing
from actors.playback.capture import Capture, CaptureError, Frame, Snapshot, read_capture
from actors.playback.depth import DiffBooks
from actors.playback.names import stream_of
from actors.playback.process import LocalExchangeError, local_exchange
from actors.playback.reframe import DEPTH, reframed

CAPTURES = Path(__file__).parents[2] / "captures"
USDM = CAPTURES / "hftbacktest" / "usdm_btcusdt_20240718.gz"


@pytest.fixture(scope="module")
def recorded() -> Capture:
    return read_capture([USDM])


def capture_of(bodies: Sequence[bytes]) -> Capture:
    frames = [Frame(NS + at, str(stream_of(body)), body) for at, body in enumerate(bodies)]
    return Capture(frames, [], tuple(dict.fromkeys(frame.stream for frame in frames)))


def data_of(frame: Frame) -> Any:
    return json.loads(frame.body)["data"]


def exact(price: str, quantity: str, *, bought: bool, time: int) -> tuple[Decimal, Decimal, bool, int]:
    return Decimal(price), Decimal(quantity), bought, time


@pytest.mark.parametrize("linear", [True, False])
def test_every_trade_of_the_market_is_carried_over(recorded: Capture, *, linear: bool) -> None:
    found = reframed(recorded, linear=linear)
    assert found.reframed_from == "binance"
    assert set(found.streams) == {"orderbook.200.BTCUSDT", "publicTrade.BTCUSDT"}
    before = [
        data_of(frame)
        for frame in recorded.frames
        if frame.stream == "btcusdt@trade" and data_of(frame)["X"] == "MARKET"
    ]
    frames = [frame for frame in found.frames if frame.stream == "publicTrade.BTCUSDT"]
    after = [one for frame in frames for one in data_of(frame)]
    assert [exact(one["p"], one["v"], bought=one["S"] == "Buy", time=one["T"]) for one in after] == [
        exact(one["p"], one["q"], bought=not one["m"], time=one["T"]) for one in before
    ]
    ids = [one["i"] for one in after]
    assert len(set(ids)) == len(ids)
    assert all((len(one) == 36 and one.count("-") == 4) if linear else one.isdigit() for one in ids)


def test_a_trade_as_bybit_writes_it() -> None:
    body = trade("btcusdt", 7, p="61837.60000000", q="0.50000000", m=True, T=5)
    (frame,) = reframed(capture_of([body]), linear=False).frames
    assert (frame.at, frame.stream) == (NS, "publicTrade.BTCUSDT")
    assert json.loads(frame.body) == {
        "topic": "publicTrade.BTCUSDT",
        "type": "snapshot",
        "ts": NS // 1_000_000,
        "data": [
            {
                "T": 5,
                "s": "BTCUSDT",
                "S": "Sell",
                "v": "0.5",
                "p": "61837.6",
                "i": "7",
                "BT": False,
                "RPI": False,
                "seq": 7,
            }
        ],
    }


def test_one_kind_of_trades_is_carried_over() -> None:
    """Those of aggregates only where there are no single ones; trades outside of the market never."""
    bodies = [
        aggregate("a", 1, 1, 2),
        trade("a", 1),
        trade("a", 2, X="INSURANCE_FUND"),
        aggregate("b", 1, 1, 2),
    ]
    bodies.append(b'{"stream":"b@aggTrade","data":{}}')
    found = reframed(capture_of(bodies), linear=False)
    assert Counter(frame.stream for frame in found.frames) == {"publicTrade.A": 1, "publicTrade.B": 1}
    assert data_of(found.frames[0])[0]["v"] == "0.02"


def test_ids_of_different_symbols_differ() -> None:
    found = reframed(capture_of([trade("a", 1), trade("b", 1)]), linear=True)
    assert len({data_of(frame)[0]["i"] for frame in found.frames}) == 2


def test_the_book_is_the_recorded_one_at_every_change(recorded: Capture) -> None:
    """Each told book, put together by Bybit's rules, is the best of Binance's book at that moment."""
    found = reframed(recorded, linear=True)
    told = iter(frame for frame in found.frames if frame.stream == "orderbook.200.BTCUSDT")
    books, sides, number = DiffBooks(recorded), ({}, {}), 0  # type: ignore[var-annotated]
    expected: tuple[list[Any], list[Any]] | None = None
    for frame in recorded.frames:
        books.read([frame])
        book = books.find("BTCUSDT")
        if book is None or book.book is None:
            continue
        best = [
            [(Decimal(price), Decimal(size)) for price, size in side.best(DEPTH)]
            for side in (book.book.bids, book.book.asks)
        ]
        if best == expected:
            continue
        expected = best  # type: ignore[assignment]
        change = next(told)
        body = json.loads(change.body)
        number += 1
        assert (body["type"], body["data"]["u"]) == ("snapshot" if number == 1 else "delta", number)
        assert change.at == frame.at
        for side, levels in zip(sides, (body["data"]["b"], body["data"]["a"]), strict=True):
            for price, size in levels:
                if size == "0":
                    del side[Decimal(price)]
                else:
                    side[Decimal(price)] = Decimal(size)
        assert [sorted(sides[0].items(), reverse=True), sorted(sides[1].items())] == best
    assert next(told, None) is None
    assert number > 3000


def test_without_a_snapshot_no_book_is_told(recorded: Capture) -> None:
    found = reframed(Capture(recorded.frames, [], recorded.streams), linear=True)
    assert found.streams == ("publicTrade.BTCUSDT",)


def test_what_bybit_recorded_stays_as_it_is() -> None:
    capture = read_capture([CAPTURES / "fastmm" / "bybit_spot_btcusdt_20260913.gz"])
    assert reframed(capture, linear=False) is capture


def test_nothing_to_carry_over() -> None:
    capture = Capture([Frame(NS, "a@bookTicker", b"{}")], [Snapshot(NS, None, b"{}")], ("a@bookTicker",))
    with pytest.raises(CaptureError, match=r"^the capture has a@bookTicker: expected trades, or a book"):
        reframed(capture, linear=True)


async def test_the_server_says_so(tmp_path: Path) -> None:
    path = write_capture(tmp_path / "capture", [trade("btcusdt", 1)])
    async with local_exchange([path], exchange="bybit") as exchange:
        assert exchange.reframed_from == "binance"
        assert exchange.streams == ("publicTrade.BTCUSDT",)
    async with local_exchange([path], exchange="binance", start_after=0) as exchange:
        assert exchange.reframed_from is None
    path = write_capture(tmp_path / "quotes", [b'{"stream":"a@bookTicker","data":{}}'])
    with pytest.raises(LocalExchangeError, match=r"^the capture has a@bookTicker: expected trades"):
        async with local_exchange([path], exchange="bybit"):
            pytest.fail("it runs")


async def test_the_daemon_makes_the_same_of_it() -> None:
    """The same trades, profile and book, whichever exchange's language they were told in."""
    came: dict[str, dict[str, Any]] = {}
    for exchange in ("binance_usdm", "bybit", "bybit_spot"):
        with trio.CancelScope() as starting:
            async with playing.playing([USDM], exchange, "max", starting) as played:
                assert await played.complete()
                came[exchange] = await outcome(played.daemon, "0.1")
    binance = came.pop("binance_usdm")
    for exchange, other in came.items():
        assert other["ledger"]["balanced"]
        expected = dict(binance["symbols"]["binance_usdm:BTCUSDT"])
        found = dict(other["symbols"][f"{exchange}:BTCUSDT"])
        for key in ("first_trade_id", "last_trade_id"):
            del expected[key], found[key]
        assert found == expected
        book, model = other["books"][f"{exchange}:BTCUSDT"], binance["books"]["binance_usdm:BTCUSDT"]
        assert {key: book[key] for key in ("synced", "bid", "ask", "gaps")} == {
            key: model[key] for key in ("synced", "bid", "ask", "gaps")
        }
