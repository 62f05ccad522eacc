"""What the front tells of itself: requests counted by what they asked for, liveness, readiness."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
import trustme
from front_door import FakeDoor
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from actors.access.access import Access
from actors.access.keyring import wall_clock
from actors.front.tls import Certificate
from wadm.instants import parse_instant
from wadm.keys import Permission, written
from wadm.market import DAY

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
PROFILE = "/api/v1/volume-profile?exchange=binance_usdm&symbol=BTCUSDT&timeframe=1h"


def samples(families: Iterable[Metric]) -> Samples:
    return {
        (one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples
    }


async def scraped(client: httpx.AsyncClient) -> Samples:
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    return samples(read_text(answer.text))


def requests(found: Samples, path: str, method: str = "GET", status: str = "200") -> float:
    labels = frozenset({("path", path), ("method", method), ("status", status)})
    return found.get(("wadm_http_requests_total", labels), 0)


async def test_requests_are_counted_by_template_method_and_status(client: httpx.AsyncClient) -> None:
    for path in (PROFILE, PROFILE, "/api/v1/volume-profile", "/api/v1/nothing", "/secret-of-somebody"):
        await client.get(path)
    await client.delete("/api/v1/keys/nobody")
    await client.request("BREW", "/health")
    found = await scraped(client)
    assert requests(found, "/api/v1/volume-profile") == 2
    assert requests(found, "/api/v1/volume-profile", status="400") == 1
    assert requests(found, "other", status="404") == 2
    assert requests(found, "/api/v1/keys/<name>", "DELETE", "409") == 1
    assert requests(found, "/health", "other", "405") == 1
    assert found["wadm_http_request_duration_seconds_count", frozenset({("path", "other")})] == 2
    assert not any("secret" in str(labels) for _, labels in found)


async def test_what_the_gate_refuses_is_counted_and_a_scrape_needs_a_key_as_all_do(
    client: httpx.AsyncClient, access: Access
) -> None:
    key, secret = access.register.create(
        "prometheus", Permission.READ, by="test", now=wall_clock(), days=None
    )
    access.keyring.refresh()
    assert (await client.get("/metrics")).status_code == 401
    await client.get("/api/v1/status", headers={"X-API-Key": "wrong"})
    client.headers["Authorization"] = f"Bearer {written(key.id, secret)}"
    found = await scraped(client)
    assert requests(found, "/metrics", status="401") == 1
    assert requests(found, "/api/v1/status", status="401") == 1


async def test_calls_of_tools_are_counted_by_name_and_outcome(client: httpx.AsyncClient) -> None:
    async def call(name: str, **arguments: object) -> None:
        params = {"name": name, "arguments": arguments}
        asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
        assert (await client.post("/mcp", json=asked, headers=headers)).status_code == 200

    await call("list_symbols")
    await call("get_volume_profile", exchange="nowhere", symbol="BTCUSDT")
    await call("made_up_by_somebody")
    found = await scraped(client)
    counted = {labels: count for (name, labels), count in found.items() if name == "wadm_mcp_calls_total"}
    assert counted[frozenset({("tool", "list_symbols"), ("outcome", "ok")})] == 1
    assert counted[frozenset({("tool", "get_volume_profile"), ("outcome", "error")})] == 1
    assert counted[frozenset({("tool", "other"), ("outcome", "error")})] == 1
    assert requests(found, "/mcp", "POST") == 3


async def test_openmetrics_is_given_to_who_asks_for_it(client: httpx.AsyncClient) -> None:
    answer = await client.get("/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.headers["vary"] == "Accept"
    assert samples(read_openmetrics(answer.text))


async def test_alive_is_who_answers_and_ready_who_can_answer_in_full(
    client: httpx.AsyncClient, door: FakeDoor, access: Access
) -> None:
    access.register.create("somebody", Permission.READ, by="test", now=wall_clock(), days=30)
    access.keyring.refresh()  # neither needs a key
    assert (await client.get("/health/ready")).json() == {"status": "ready", "reasons": []}
    door.not_ready, door.healthy = ["warming up: binance:BTCUSDT"], "unhealthy"
    ready = await client.get("/health/ready")
    assert (ready.status_code, ready.json()["reasons"]) == (503, ["warming up: binance:BTCUSDT"])
    live = await client.get("/health/live")
    assert (live.status_code, live.json()) == (200, {"status": "live"})


@pytest.mark.parametrize(("days", "told"), [(15, ""), (13, "ends at"), (-1, "has ended at")])
def test_a_certificate_that_ends_soon_is_a_reason_for_concern(tmp_path: Path, days: int, told: str) -> None:
    ends = "2031-03-01T12:00:00Z"
    end = datetime.fromisoformat(ends)
    made = trustme.CA().issue_cert("localhost", not_before=end - timedelta(days=90), not_after=end)
    made.cert_chain_pems[0].write_to_path(tmp_path / "crt.pem")
    made.private_key_pem.write_to_path(tmp_path / "key.pem")
    concerns = Certificate(tmp_path / "crt.pem", tmp_path / "key.pem").concerns(
        parse_instant(ends) - days * DAY
    )
    if told:
        assert len(concerns) == 1
        assert told in concerns[0]
        assert "2031-03-01" in concerns[0]
    else:
        assert concerns == []
