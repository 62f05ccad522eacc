"""Whether recorded traffic, through the codec and folded, says what the tests' oracle says: file by file.

Takes files of frames named by market and symbol (``usdm_btcusdt_….gz``: a line is ``<receive time>
<frame>``), lists of aggregate trades (``SYMBOL_….csv``: time, price, quantity, side, id; all those of
one symbol are one recording) and recordings of ``<receive time s>: <frame>`` that hold aggregate trades and
klines (``….ws.…``), in which what a kline grew by is held against our own bar as well.
"""

import argparse
import csv
import gzip
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "wadm"))
import agreeing
import oracle
import oracle_windows as windows
from agreeing import How
from agreement import assert_same_path, assert_same_profile, assert_same_volumes
from asked import Market
from oracle import Trade
from recordings import FINEST, folded, frame, instrument_of, runs_of

from wadm.bar import Bar
from wadm.market import Instrument

D = Decimal
SESSIONS = ("00:00@UTC", "17:00@America/Chicago", "09:15@Asia/Kolkata")


def main() -> int:
    """Compare every file; 1 where one does not agree."""
    parser = argparse.ArgumentParser(prog="agreement_captures", description=__doc__)
    parser.add_argument("captures", nargs="+", type=Path, metavar="CAPTURE")
    captures = parser.parse_args().captures
    lists: dict[str, list[Path]] = {}
    for path in captures:
        if path.suffix == ".csv":
            lists.setdefault(path.name.partition("_")[0], []).append(path)
    agreed = [compared(path.name, lambda path=path: of_frames(path)) for path in captures if _named(path)]
    agreed += [
        compared(path.name, lambda path=path: of_klines(path)) for path in captures if ".ws." in path.name
    ]
    agreed += [
        compared(
            f"{len(paths)} lists of {symbol}", lambda symbol=symbol, paths=paths: of_lists(symbol, paths)
        )
        for symbol, paths in lists.items()
    ]
    return 0 if agreed and all(agreed) else 1


def _named(path: Path) -> bool:
    return path.suffix == ".gz" and any(path.name.startswith(name) for name in FINEST)


def compared(name: str, compare: Callable[[], Counter[str]]) -> bool:
    """Print what was compared of a capture and whether it agrees."""
    began = time.perf_counter()
    try:
        counts = compare()
    except AssertionError as error:
        print(f"{name}: DISAGREES: {str(error)[:500]}")
        return False
    said = ", ".join(f"{count} {what}" for what, count in counts.items())
    print(f"{name}: agrees: {said} ({time.perf_counter() - began:.0f} s)")
    return True


def of_frames(path: Path) -> Counter[str]:
    one = instrument_of(path)
    with gzip.open(path, "rt") as file:
        lines = file.read().splitlines()
    parts = [line.partition(" ") for line in lines]
    market = folded(
        one,
        oracle.read_trades(lines, one.symbol),
        [(int(at) // 1000, body.encode()) for at, _, body in parts],
    )
    return Counter({"frames": len(lines)}) + of_market(market)


def of_lists(symbol: str, paths: Sequence[Path]) -> Counter[str]:
    one = Instrument("binance", symbol, D("0.01"), D("0.001"))
    found: dict[int, Trade] = {}
    for path in paths:
        with path.open() as file:
            for row in csv.DictReader(file):
                number = int(row["tradeId"])
                at, price, quantity = int(row["timestamp"]), D(row["price"]), D(row["quantity"])
                found[number] = Trade(at, number, price, quantity, row["side"] == "buy")
    trades = [found[number] for number in sorted(found)]
    frames = [(one.at_ms * 1000, frame(one)) for one in trades]
    return of_market(folded(one, trades, frames, merged=True))


def of_market(market: Market) -> Counter[str]:
    """Hold a market's windows and sessions against the oracle."""
    tick = market.instrument.tick
    assert tick is not None
    counts = Counter({"trades": len(market.trades)})
    for length in windows.LENGTHS_MS.values():
        for start, trades in oracle.windows(market.trades, length).items():
            bar = market.series.merged(start * 1000, (start + length) * 1000)
            assert_same_volumes(bar, trades)
            assert_same_path(bar, trades)
            for size in (tick, 7 * tick, 100 * tick):
                assert_same_profile(bar, trades, size, shares=[D("0.7")])
                counts["profiles"] += 2
            counts["windows"] += 1
    for session in SESSIONS:
        counts += of_sessions(market, session, 10 * tick)
    return counts


def of_sessions(market: Market, session: str, size: Decimal) -> Counter[str]:
    spans = windows.sessions_of(market.trades, session)
    for start, end in spans:
        for method in agreeing.METHODS:
            how = How(size, D("0.7"), method)
            agreeing.profile(market, start, end, how)
            agreeing.developing(market, start, end, "1h", how)
        agreeing.flow(market, start, end, session)
        agreeing.nodes(market, start, end, size, smoothing=1, prominence=D("0.1"))
        agreeing.footprint(market, start, end, "1h", size, ratio=D(3), minimum=D(0), least=3)
        agreeing.vwap(market, start, end)
        agreeing.cvd(market, start, end, "1h", session)
        agreeing.candles(market, start, end, "15m")
        agreeing.large_trades(market, start, end, D("0.99"), D(0))
        agreeing.trade_sizes(market, start, end)
    agreeing.composite(market, 3, session, How(size))
    agreeing.pocs(market, 4, session, size, D("0.7"))
    return Counter({"answers about sessions": 12 * len(spans) + 2})


# --- klines ---


def of_klines(path: Path) -> Counter[str]:
    """What a kline grew by between two updates of it, against our bar of the aggregates between them."""
    frames = [line.partition(": ")[2].strip() for line in path.read_text().splitlines() if ": {" in line]
    told = [(body, json.loads(body).get("data", {})) for body in frames]
    told = [(body, data) for body, data in told if data.get("e") in ("aggTrade", "kline")]
    exchange = "binance_usdm" if "FUTURES" in path.name else "binance"
    counts: Counter[str] = Counter({"aggregates": sum(data["e"] == "aggTrade" for _, data in told)})
    counts["klines that grew as our bars"] = 0
    for symbol in sorted({data["s"] for _, data in told if data["e"] == "aggTrade"}):
        one = Instrument(exchange, symbol)
        bodies = [(body, data) for body, data in told if data["s"] == symbol]
        for before, after, fills in _grown([data for _, data in bodies]):
            ours = Bar(0, 1 << 62)
            taken = [(data["T"] * 1000, body.encode()) for body, data in bodies if data.get("l") in fills]
            for run in runs_of(one, [(at, body) for at, body in taken if b'"aggTrade"' in body]):
                ours.fold(run)
            scale = 10**ours.quantity_decimals
            grown = [D(after[name]) - D(before[name]) for name in ("v", "V", "n")]
            found = [
                D(ours.buy_volume + ours.sell_volume) / scale, D(ours.buy_volume) / scale,
                ours.buy_trades + ours.sell_trades,
            ]  # fmt: skip
            assert grown == found, f"{symbol} {before} {after}: {grown} is not {found}"
            counts["klines that grew as our bars"] += 1
    return counts


def _grown(told: Sequence[dict]) -> Iterator[tuple[dict, dict, set[int]]]:
    """Yield two updates of one kline and the last fills of the aggregates between them.

    Only those that end where an aggregate ends: an update within one tells a part of it.
    """
    last_fills = {data["l"] for data in told if data["e"] == "aggTrade"}
    klines = [data["k"] for data in told if data["e"] == "kline"]
    for before, after in pairwise(klines):
        if before["t"] == after["t"] and {before["L"], after["L"]} <= last_fills:
            yield before, after, {last for last in last_fills if before["L"] < last <= after["L"]}


if __name__ == "__main__":
    sys.exit(main())
