"""A scrape says what the daemon itself knows, in the words of Prometheus."""

from collections.abc import Iterable
from pathlib import Path

import attrs
import trio
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text
from spine import BITCOIN, ETHER, FakeExchange, plan_of, recorded, spine, trade

from actors.metrics.scrape import scrape_of
from actors.metrics.source import DETAILED
from actors.runtime import open_runtime
from wadm.settings import Settings

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(families: Iterable[Metric]) -> Samples:
    return {
        (one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    return found[name, frozenset(labels.items())]


async def test_every_trade_of_the_ledger_is_told_with_what_became_of_it(tmp_path: Path) -> None:
    with trio.fail_after(20):
        async with spine(tmp_path, FakeExchange(recorded(2_000), overlap=20)) as running:
            await running.complete()
            body, kind = await scrape_of(running.runtime).scrape()
            runtime = running.runtime
    assert kind == "text/plain; version=0.0.4; charset=utf-8"
    found = samples(read_text(body.decode()))
    for instrument in (BITCOIN, ETHER):
        account = runtime.ledger.account(instrument.key)
        named = {"exchange": "binance", "symbol": instrument.symbol}
        received = value(found, "wadm_trades_received_total", **named)
        assert received == account.received > 0
        for outcome, count in (("applied", account.applied), ("duplicate", account.duplicate)):
            assert value(found, "wadm_trades_total", outcome=outcome, reason="", **named) == count
        ends = [
            count
            for (name, labels), count in found.items()
            if name == "wadm_trades_total" and ("symbol", instrument.symbol) in labels
        ]
        assert received == sum(ends) + value(found, "wadm_trades_in_flight", **named)
        assert value(found, "wadm_ingest_latency_seconds", quantile="0.99", **named) > 0
    folded = sum(memory.latency.total for memory in runtime.symbols.values())
    assert value(found, "wadm_ingest_duration_seconds_count", exchange="binance") == folded
    assert value(found, "wadm_ingest_duration_seconds_bucket", exchange="binance", le="+Inf") == folded
    assert value(found, "wadm_frames_total") == runtime.ledger.frames
    assert value(found, "wadm_symbols", exchange="binance", state="live") == 2


async def test_the_machinery_is_told_as_it_stands(tmp_path: Path) -> None:
    with trio.fail_after(20):
        async with spine(tmp_path, FakeExchange(recorded(500))) as running:
            await running.complete()
            runtime = running.runtime
            body, kind = await scrape_of(runtime).scrape("application/openmetrics-text; version=1.0.0")
            last = runtime.marks.last_seq
    assert kind.startswith("application/openmetrics-text; version=1.0.0")
    found = samples(read_openmetrics(body.decode()))
    aggregator = {"actor": f"aggregator:{BITCOIN.key}", "kind": "worker"}
    assert value(found, "wadm_actor_restarts_total", **aggregator) == 0
    assert value(found, "wadm_mailbox_capacity", **aggregator) == runtime.aggregators[BITCOIN.key].capacity
    assert value(found, "wadm_sink_cursor", tier="warm", engine="sqlite") == last
    assert value(found, "wadm_sink_lag_entries", tier="warm", engine="sqlite") == 0
    assert value(found, "wadm_journal_last_entry") == last > 0
    assert value(found, "wadm_journal_writable") == 1
    states = {
        state: value(found, "wadm_breaker_state", breaker="warm", state=state) for state in ("closed", "open")
    }
    assert states == {"closed": 1, "open": 0}
    assert value(found, "wadm_data_bytes", part="journal") > 0
    assert value(found, "wadm_disk_free_bytes") > 0
    assert value(found, "process_threads") >= 1


async def test_gaps_are_told_by_their_state_and_by_what_was_noted_of_them(tmp_path: Path) -> None:
    frames = [trade(number, 1_723_161_600_000_000 + number * 1_000) for number in (1, 2, 7, 8)]
    with trio.fail_after(20):
        async with spine(tmp_path, FakeExchange(frames)) as running:
            await running.complete()
            body, _ = await scrape_of(running.runtime).scrape()
    found = samples(read_text(body.decode()))
    named = {"exchange": "binance", "symbol": "BTCUSDT"}
    assert value(found, "wadm_gap_events_total", state="open", **named) == 1
    assert value(found, "wadm_gap_trades_missing", **named) == 4


async def test_with_many_symbols_all_but_their_trades_is_told_of_all_together(tmp_path: Path) -> None:
    many = [attrs.evolve(BITCOIN, symbol=f"S{number}USDT") for number in range(DETAILED + 1)]
    async with open_runtime(Settings(), plan_of(instruments=many), tmp_path) as runtime:
        for one in many:
            runtime.ledger.account(one.key).received += 1
            runtime.symbols[one.key].latency.add(500)
        body, _ = await scrape_of(runtime).scrape()
    found = samples(read_text(body.decode()))
    told = [labels for name, labels in found if name == "wadm_trades_received_total"]
    assert len(told) == len(many)
    latencies = {dict(labels)["symbol"] for name, labels in found if name == "wadm_ingest_latency_seconds"}
    assert latencies == {""}


async def test_a_symbol_with_any_name_makes_a_scrape_that_can_be_read(tmp_path: Path) -> None:
    odd = attrs.evolve(BITCOIN, symbol="币-USDT")
    async with open_runtime(Settings(), plan_of(instruments=[odd]), tmp_path) as runtime:
        runtime.ledger.account(odd.key).rejected['a "reason"\n'] += 3
        for accept, read in (("", read_text), ("application/openmetrics-text", read_openmetrics)):
            body, _ = await scrape_of(runtime).scrape(accept)
            found = samples(read(body.decode()))
            named = {"exchange": "binance", "symbol": odd.symbol}
            assert value(found, "wadm_trades_total", outcome="rejected", reason='a "reason"\n', **named) == 3
