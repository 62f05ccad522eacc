"""Answers held against the oracle: one function a question. Times in ms, windows `[start, end)`."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import oracle
import oracle_measures as measures
import oracle_windows as windows
from asked import Market, ms
from oracle import Trade, plain, within

D = Decimal
METHODS = ("pair", "single_row")


class How(NamedTuple):
    """How a profile is looked at."""

    row_size: Decimal
    share: Decimal = D("0.7")
    method: str = "pair"

    @property
    def given(self) -> dict[str, object]:
        return {"row_size": self.row_size, "value_area": self.share, "method": self.method}


def text(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)


def share_of(part: Decimal, whole: Decimal) -> str | None:
    """A ratio, to 8 decimals, half to even."""
    return plain(measures.rounded(Fraction(part) / Fraction(whole), 8)) if whole else None


def levels_of(answer: dict[str, Any]) -> tuple[object, object, object]:
    return answer["poc"], answer["vah"], answer["val"]


def expected_levels(trades: Sequence[Trade], how: How) -> tuple[Any, ...]:
    return tuple(map(text, oracle.levels(trades, *how)))


def expected_rows(trades: Sequence[Trade], row_size: Decimal) -> list[dict[str, object]]:
    return [
        {
            "price": plain(price), "volume": plain(oracle.WIDE.add(buy, sell)), "buy": plain(buy),
            "sell": plain(sell), "delta": plain(oracle.WIDE.subtract(buy, sell)), "count": count,
        }
        for price, buy, sell, count in oracle.traded_rows(trades, row_size)
    ]  # fmt: skip


def expected_candle(trades: Sequence[Trade]) -> dict[str, object]:
    flow = oracle.flow(trades)
    return {
        "trades": flow.trades, "volume": plain(flow.volume), "buy_volume": plain(flow.buy),
        "sell_volume": plain(flow.sell), "delta": plain(flow.delta), "open": text(flow.open),
        "high": text(flow.high), "low": text(flow.low), "close": text(flow.close),
    }  # fmt: skip


def holds(answer: dict[str, Any], expected: dict[str, object]) -> None:
    assert {name: answer[name] for name in expected} == expected


def profile(market: Market, start: int, end: int, how: How, **window: object) -> None:
    """A window given by start and end, or as `window` says that it is to be asked for."""
    trades = within(market.trades, start, end)
    answer = market.ask("profile", **how.given, **(window or {"start": start, "end": end}))
    assert (ms(answer["start"]), ms(answer["end"])) == (start, end)
    holds(answer, expected_candle(trades))
    assert levels_of(answer) == expected_levels(trades, how)
    assert answer["rows"] == expected_rows(trades, how.row_size)
    assert answer["profile_sha256"] == oracle.fingerprint(trades, how.row_size)


def flow(market: Market, start: int, end: int, session: str = "00:00@UTC") -> None:
    answer = market.ask("flow", start=start, end=end, session=session)
    found = oracle.flow(within(market.trades, start, end))
    since, _ = windows.session_window(session, end - 1)
    cvd = measures.cvd(market.trades, since, end)
    holds(
        answer,
        {
            "volume": plain(found.volume), "buy_volume": plain(found.buy), "sell_volume": plain(found.sell),
            "delta": plain(found.delta), "delta_high": plain(found.delta_high),
            "delta_low": plain(found.delta_low), "cvd": plain(cvd.delta), "cvd_high": plain(cvd.delta_high),
            "cvd_low": plain(cvd.delta_low), "imbalance_ratio": share_of(found.buy, found.sell),
            "trades": found.trades,
        },
    )  # fmt: skip
    assert ms(answer["cvd_since"]) == since


def composite(market: Market, days: int, session: str, how: How) -> None:
    spans = windows.last_sessions(session, days, market.now_ms - 1)
    trades = within(market.trades, spans[0][0], spans[-1][1])
    answer = market.ask("composite", days=days, session=session, **how.given)
    assert (ms(answer["composite_start"]), ms(answer["composite_end"])) == (spans[0][0], spans[-1][1])
    assert levels_of(answer) == expected_levels(trades, how)
    assert answer["rows"] == expected_rows(trades, how.row_size)


def developing(market: Market, start: int, end: int, step: str, how: How) -> None:
    answer = market.ask("developing", start=start, end=end, step=step, **how.given)
    found = measures.developing(market.trades, start, end, windows.LENGTHS_MS[step], *how)
    assert [(ms(one["at"]), *levels_of(one)) for one in answer["steps"]] == [
        (at, *map(text, levels)) for at, levels in found
    ]


def pocs(market: Market, days: int, session: str, row_size: Decimal, share: Decimal) -> None:
    spans = windows.last_sessions(session, days, market.now_ms - 1)
    asked = {"days": days, "session": session, "row_size": row_size, "value_area": share}
    answer = market.ask("naked-pocs", **asked)
    found = measures.past_pocs(market.trades, spans, row_size, share)
    assert [(one["poc"], ms(one["session_start"]), ms(one["session_end"])) for one in answer["naked"]] == [
        (plain(one.poc), one.start_ms, one.end_ms) for one in found if one.touched_in is None
    ]
    assert [
        (one["poc"], ms(one["session_start"]), ms(one["touched_in_session"])) for one in answer["touched"]
    ] == [(plain(one.poc), one.start_ms, one.touched_in) for one in found if one.touched_in is not None]
    for method in METHODS:
        history = market.ask("poc-history", method=method, **asked)["sessions"]
        assert [(ms(one["start"]), ms(one["end"])) for one in history] == spans
        for one, span in zip(history, spans, strict=True):
            held = within(market.trades, *span)
            assert levels_of(one) == expected_levels(held, How(row_size, share, method))
            assert one["volume"] == plain(oracle.flow(held).volume)


def nodes(
    market: Market, start: int, end: int, row_size: Decimal, *, smoothing: int, prominence: Decimal
) -> None:
    answer = market.ask(
        "nodes", start=start, end=end, row_size=row_size, smoothing=smoothing, prominence=prominence
    )
    lowest, rows = oracle.dense_rows(within(market.trades, start, end), row_size)
    high, low = measures.nodes(rows, smoothing, prominence)
    for name, found in (("high_volume_nodes", high), ("low_volume_nodes", low)):
        expected = [(plain(oracle.edge(lowest + at, row_size)), plain(rows[at].volume)) for at in found]
        assert [(one["price"], one["volume"]) for one in answer[name]] == expected


def footprint(
    market: Market, start: int, end: int, bar: str, row_size: Decimal, *, ratio: Decimal, minimum: Decimal,
    least: int,
) -> None:  # fmt: skip
    answer = market.ask(
        "footprint", start=start, end=end, bar=bar, row_size=row_size, ratio=ratio, minimum=minimum,
        stacked=least,
    )  # fmt: skip
    cut = oracle.windows(within(market.trades, start, end), windows.LENGTHS_MS[bar])
    held = {max(at, start): trades for at, trades in cut.items()}  # a bar cut by the window says so
    assert [ms(one["start"]) for one in answer["bars"]] == sorted(held)
    for one in answer["bars"]:
        trades = held[ms(one["start"])]
        lowest, rows = oracle.dense_rows(trades, row_size)

        def price(at: int, lowest: int = lowest) -> str:
            return plain(oracle.edge(lowest + at, row_size))

        holds(one, expected_candle(trades))
        assert one["rows"] == expected_rows(trades, row_size)
        buying, selling = measures.imbalances(rows, ratio, minimum)
        assert one["buy_imbalances"] == [price(at) for at in buying]
        assert one["sell_imbalances"] == [price(at) for at in selling]
        assert one["stacked"] == [
            {"side": side, "low": price(low), "high": price(high), "rows": high - low + 1}
            for side, found in (("buy", buying), ("sell", selling))
            for low, high in measures.stacked(found, least)
        ]


def vwap(market: Market, start: int, end: int) -> None:
    answer = market.ask("vwap", start=start, end=end, bands="1,2.5")
    bar = market.series.merged(start * 1000, end * 1000)
    found = measures.vwap(within(market.trades, start, end), bar.price_decimals + 4)
    if found is None:
        assert (answer["vwap"], answer["standard_deviation"], answer["bands"]) == (None, None, [])
        return
    mean, deviation = found
    assert (answer["vwap"], answer["standard_deviation"]) == (plain(mean), plain(deviation))
    assert answer["bands"] == [
        {"deviations": plain(away), "lower": plain(mean - away * deviation),
         "upper": plain(mean + away * deviation)}
        for away in (D(1), D("2.5"))
    ]  # fmt: skip


def candles(market: Market, start: int, end: int, bar: str) -> None:
    answer = market.ask("candles", start=start, end=end, bar=bar)
    cut = oracle.windows(within(market.trades, start, end), windows.LENGTHS_MS[bar])
    held = {max(at, start): trades for at, trades in cut.items()}  # a bar cut by the window says so
    assert [ms(one["start"]) for one in answer["candles"]] == sorted(held)
    for one in answer["candles"]:
        holds(one, expected_candle(held[ms(one["start"])]))


def large_trades(market: Market, start: int, end: int, quantile: Decimal, least: Decimal) -> None:
    answer = market.ask("large-trades", start=start, end=end, quantile=quantile, least=least)
    prior = measures.orders(within(market.trades, start - measures.DAY_MS, start), merged=market.merged)
    threshold = max(measures.quantile(prior, quantile) or D(0), least)
    orders = measures.orders(within(market.trades, start, end), merged=market.merged)
    large = [one for one in orders if threshold and one.notional >= threshold]
    assert answer["threshold"] == (plain(threshold) if threshold else None)
    assert (answer["prior_orders"], answer["volume_without_orders"]) == (len(prior), "0")
    kept = sorted(large, key=lambda one: (-one.notional, one.at_ms))[:50]
    assert sorted((ms(one["time"]), D(one["notional"]), one["fills"]) for one in answer["trades"]) == sorted(
        (one.at_ms, one.notional, one.fills) for one in kept
    )
    counted = large if threshold in measures.EDGES else kept
    if not threshold:
        assert (answer["buy_count"], answer["sell_volume"]) == (None, None)
        return
    bought = [one for one in counted if one.signed > 0]
    sold = [one for one in counted if one.signed < 0]
    assert (answer["buy_count"], answer["sell_count"]) == (len(bought), len(sold))
    assert D(answer["buy_volume"]) == oracle.total(one.signed for one in bought)
    assert D(answer["sell_volume"]) == oracle.total(-one.signed for one in sold)


def trade_sizes(market: Market, start: int, end: int) -> None:
    answer = market.ask("trade-sizes", start=start, end=end)
    orders = measures.orders(within(market.trades, start, end), merged=market.merged)
    found = measures.by_decade(orders)
    assert [D(one["from"]) for one in answer["sizes"]] == sorted(found)
    for one in answer["sizes"]:
        held = found[D(one["from"])]
        assert one["to"] is None or all(order.notional < D(one["to"]) for order in held)
        assert one["buy_orders"] == sum(order.signed > 0 for order in held)
        assert one["sell_orders"] == sum(order.signed < 0 for order in held)
        assert D(one["buy_volume"]) == oracle.total(order.signed for order in held if order.signed > 0)
        assert D(one["sell_volume"]) == oracle.total(-order.signed for order in held if order.signed < 0)


def vpin(market: Market, start: int, end: int, bucket: Decimal, count: int) -> None:
    """By trades where the window is no longer than an hour, else by minutes."""
    answer = market.ask("vpin", start=start, end=end, bucket_volume=bucket, count=count)
    trades = within(market.trades, start, end)
    if end - start <= 3_600_000:
        held = [[trade] for trade in sorted(trades, key=lambda trade: (trade.at_ms, trade.id))]
    else:
        by_minute = oracle.windows(trades, windows.MINUTE_MS)
        held = [by_minute[at] for at in sorted(by_minute)]
    flows = [oracle.flow(some) for some in held]
    volumes = [(Fraction(one.buy), Fraction(one.sell)) for one in flows]
    value, full = measures.vpin(volumes, Fraction(bucket), count)
    assert answer["resolution"] == ("trades" if end - start <= 3_600_000 else "one-minute bars")
    assert answer["buckets_full"] == full
    assert answer["vpin"] == (None if value is None else plain(measures.rounded(value, 8)))


def cvd(market: Market, start: int, end: int, bar: str, session: str) -> None:
    answer = market.ask("cvd", start=start, end=end, bar=bar, session=session)
    length = windows.LENGTHS_MS[bar]
    held: dict[tuple[int, int], list[Trade]] = {}
    trades = within(market.trades, start, end)
    since = {at: windows.session_window(session, at)[0] for at in oracle.windows(trades, windows.MINUTE_MS)}
    for trade in trades:
        minute = trade.at_ms // windows.MINUTE_MS * windows.MINUTE_MS
        held.setdefault((since[minute], trade.at_ms // length * length), []).append(trade)
    assert len(answer["bars"]) == len(held)
    for one, ((began, _), trades) in zip(answer["bars"], sorted(held.items()), strict=True):
        # what the session had before the bar's first minute, and then the bar's own trades
        first = min(trade.at_ms for trade in trades) // windows.MINUTE_MS * windows.MINUTE_MS
        before = measures.cvd(market.trades, began, first).delta
        own = oracle.flow(trades)
        assert ms(one["since"]) == began
        assert D(one["delta"]) == own.delta
        assert D(one["cvd"]) == before + own.delta
        assert (D(one["cvd_high"]), D(one["cvd_low"])) == (before + own.delta_high, before + own.delta_low)
