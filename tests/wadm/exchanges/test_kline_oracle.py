"""Binance's own sums against ours: a kline grows by the aggregate trades between two of its updates."""

import json
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise

from codec_kit import bench, recorded, rows

FRAMES = [
    (frame, json.loads(frame)["data"]) for frame in recorded("cryptofeed/binance_futures_aggtrade_kline.txt")
]


def comparable_klines(symbol: str, last_fills: set[int]) -> Iterator[tuple[dict, dict]]:
    """Successive updates of one kline, each taken at the end of an aggregate trade and not inside one."""
    klines = [data["k"] for _, data in FRAMES if data["e"] == "kline" and data["s"] == symbol]
    for before, after in pairwise(klines):
        if before["t"] == after["t"] and {before["L"], after["L"]} <= last_fills:
            yield before, after


def test_klines_grow_by_the_aggregate_trades_between_them():
    aggregates = [data for _, data in FRAMES if data["e"] == "aggTrade"]
    last_fill = {(data["s"], data["a"]): data["l"] for data in aggregates}
    compared = 0
    for symbol in sorted({data["s"] for data in aggregates}):
        codec = bench("binance_usdm", [symbol])
        codec.feed(*(frame for frame, data in FRAMES if data["s"] == symbol))
        codec.check_balance()
        assert codec.gaps == []
        trades = [(last_fill[symbol, row[0]], row[3], row[4]) for row in rows(codec.events)]
        for before, after in comparable_klines(symbol, {last for last, _, _ in trades}):
            between = [trade for trade in trades if before["L"] < trade[0] <= after["L"]]
            grown = [Decimal(after[name]) - Decimal(before[name]) for name in "vVn"]
            assert grown == [
                sum(abs(signed) for _, signed, _ in between),
                sum(signed for _, signed, _ in between if signed > 0),
                sum(count for _, _, count in between),
            ]
            compared += 1
    assert compared == 36
