"""The gate: whoever comes in by any door shows the same key, and leaves the same trace."""

from typing import Any

import httpx
import pytest
import trio
from front_door import FakeDoor

from actors.access.access import Access, OpenDoorError
from actors.access.keyring import wall_clock
from actors.access.rates import GUESSES
from actors.front.front import front
from supervision.actor import Context
from wadm.keys import Permission, written
from wadm.market import DAY
from wadm.sections import AccessSettings, HttpSettings

PROFILE = "/api/v1/volume-profile?exchange=binance_usdm&symbol=BTCUSDT&timeframe=1h"
INITIALIZE = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"},
    },
}  # fmt: skip
MCP = {"Accept": "application/json, text/event-stream"}
UPGRADE = {
    "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}  # fmt: skip


def make(access: Access, permission: Permission = Permission.READ, *, days: int = 30, ago: int = 0) -> str:
    key, secret = access.register.create(
        f"{permission}{ago}", permission, by="test", now=wall_clock() - ago * DAY, days=days
    )
    access.keyring.refresh()
    return written(key.id, secret)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def test_without_any_key_this_machine_may_do_everything(client: httpx.AsyncClient) -> None:
    assert (await client.get(PROFILE)).status_code == 200
    assert (await client.get("/api/v1/keys")).json() == {"keys": []}


async def test_once_there_is_a_key_every_door_needs_one(client: httpx.AsyncClient, access: Access) -> None:
    key = make(access)
    for shown in ({}, {"X-API-Key": "wrong"}, bearer(key + "x")):
        refused = [
            await client.get(PROFILE, headers=shown),
            await client.post("/mcp", json=INITIALIZE, headers=MCP | shown),
            await client.get("/ws/v1", headers=UPGRADE | shown),
        ]
        assert [answer.status_code for answer in refused] == [401] * 3
        assert all(answer.headers["www-authenticate"].startswith("Bearer") for answer in refused)
        assert all(answer.headers["content-type"] == "application/problem+json" for answer in refused)
    for shown in (bearer(key), {"X-API-Key": key}):
        assert (await client.get(PROFILE, headers=shown)).status_code == 200
        assert (await client.post("/mcp", json=INITIALIZE, headers=MCP | shown)).status_code == 200
    for path in ("/", "/health"):
        assert (await client.get(path)).status_code == 200


async def test_a_browsers_websocket_names_its_key_as_a_subprotocol(
    client: httpx.AsyncClient, access: Access
) -> None:
    key = make(access)
    shown = {"Sec-WebSocket-Protocol": f"wadm.v1, wadm.key.{key}"}
    assert (await client.get(PROFILE, headers=shown)).status_code == 200


async def test_an_expired_or_revoked_key_opens_nothing(client: httpx.AsyncClient, access: Access) -> None:
    expired, good = make(access, days=1, ago=40), make(access)
    assert (await client.get(PROFILE, headers=bearer(expired))).status_code == 401
    assert (await client.get(PROFILE, headers=bearer(good))).status_code == 200
    access.register.revoke("read0", by="test", now=wall_clock())
    access.keyring.refresh()
    assert (await client.get(PROFILE, headers=bearer(good))).status_code == 401
    assert (await client.get(PROFILE)).status_code == 401  # still closed, though no key is left


async def test_a_key_that_is_due_tells_its_holder_who_renews_it(
    client: httpx.AsyncClient, access: Access
) -> None:
    due = make(access, days=30, ago=31)
    answer = await client.get(PROFILE, headers=bearer(due))
    assert answer.status_code == 200
    assert answer.headers["x-api-key-expires"].endswith("Z")
    (alarm,) = access.keyring.alarms(wall_clock())
    assert "has to be renewed before" in alarm
    renewed = (await client.post("/api/v1/key-renewal", headers=bearer(due))).json()
    for key in (due, renewed["key"]):
        assert (await client.get(PROFILE, headers=bearer(key))).status_code == 200
    assert access.keyring.alarms(wall_clock()) == []
    assert (await client.post("/api/v1/key-renewal", headers=bearer(due))).status_code == 409


@pytest.mark.parametrize(
    ("permission", "statuses"),
    [
        (Permission.READ, (200, 403, 403)),
        (Permission.WRITE, (200, 201, 403)),
        (Permission.ADMIN, (200, 201, 200)),
    ],
)
async def test_a_key_allows_what_its_permission_says(
    client: httpx.AsyncClient, access: Access, permission: Permission, statuses: tuple[int, ...]
) -> None:
    shown = bearer(make(access, permission))
    solana = {"exchange": "binance", "symbol": "SOLUSDT"}
    answers = [
        await client.get(PROFILE, headers=shown),
        await client.post("/api/v1/symbols", json=solana, headers=shown),
        await client.get("/api/v1/keys", headers=shown),
    ]
    assert tuple(answer.status_code for answer in answers) == statuses


async def test_an_administrator_makes_rotates_and_revokes_keys(
    client: httpx.AsyncClient, access: Access
) -> None:
    admin = bearer(make(access, Permission.ADMIN))
    (admin_id,) = (key.id for key in access.register.all_keys())
    made = await client.post("/api/v1/keys", json={"name": "agent"}, headers=admin)
    assert made.status_code == 201
    agent = made.json()["key"]
    rotated = (await client.post("/api/v1/keys/agent/rotation", headers=admin)).json()
    for key in (agent, rotated["key"]):
        assert (await client.get(PROFILE, headers=bearer(key))).status_code == 200
    revoked = await client.delete("/api/v1/keys/agent", headers=admin)
    assert [key["state"] for key in revoked.json()["keys"]] == ["revoked", "revoked"]
    assert (await client.get(PROFILE, headers=bearer(agent))).status_code == 401
    listed = (await client.get("/api/v1/keys", headers=admin)).text
    assert agent.rsplit("_", 1)[1] not in listed
    lines = (await client.get("/api/v1/audit?action=key_revoked", headers=admin)).json()["lines"]
    assert len(lines) == 2
    assert {line["who"] for line in lines} == {f"key {admin_id}"}


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"name": 1}', b'{"name": "a", "days": 0}',
             b'{"name": "a", "permission": "root"}',
             b'{"name": "a", "secret": "b"}', b'{"name": "../a"}'],
)  # fmt: skip
async def test_a_key_cannot_be_made_of_anything(
    client: httpx.AsyncClient, access: Access, body: bytes
) -> None:
    answer = await client.post("/api/v1/keys", content=body)
    assert answer.status_code in (400, 409, 422)
    assert answer.json()["detail"]
    assert access.register.all_keys() == []


async def test_guessing_is_stopped_and_noted(client: httpx.AsyncClient, access: Access) -> None:
    good = make(access)
    for _ in range(GUESSES):
        assert (await client.get(PROFILE, headers=bearer("wadm_aaaaaaaa_" + "x" * 43))).status_code == 401
    stopped = await client.get(PROFILE, headers=bearer("wadm_aaaaaaaa_" + "y" * 43))
    assert (stopped.status_code, stopped.headers["retry-after"]) == (429, "60")
    assert (await client.get(PROFILE, headers=bearer(good))).status_code == 200
    await access.audit._write()
    lines = {(line.outcome, line.detail) for line in access.register.lines(action="request")}
    assert lines == {("key_refused", f"{GUESSES} times"), ("too_many_guesses", "")}


class TestRates:
    @pytest.fixture
    def access(self, tmp_path: Any) -> Any:
        settings = AccessSettings(requests_per_minute=3, key_requests_per_minute=2)
        opened = Access.open(tmp_path, settings)
        yield opened
        opened.close()

    async def test_too_many_requests_of_an_address_are_told_when_to_come_back(
        self, client: httpx.AsyncClient
    ) -> None:
        answers = [await client.get("/health") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[0].headers["ratelimit-policy"] == '"address";q=3;w=60'
        assert answers[0].headers["ratelimit"].startswith('"address";r=2;t=')
        assert 1 <= int(answers[3].headers["retry-after"]) <= 120
        assert answers[3].json()["code"] == "too_many_requests"

    async def test_every_key_has_a_rate_of_its_own(self, client: httpx.AsyncClient, access: Access) -> None:
        one, other = make(access), make(access, Permission.ADMIN)
        assert [(await client.get(PROFILE, headers=bearer(one))).status_code for _ in range(3)] == [
            200,
            200,
            429,
        ]
        assert (await client.get(PROFILE, headers=bearer(other))).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example"}, 421),
        ({"Origin": "http://evil.example"}, 403),
    ],
)
@pytest.mark.parametrize("path", [PROFILE, "/health", "/mcp"])
async def test_a_foreign_name_or_page_is_turned_away_everywhere(
    client: httpx.AsyncClient, path: str, headers: dict[str, str], status: int
) -> None:
    assert (await client.get(path, headers=headers)).status_code == status


class TestAllowedHosts:
    @pytest.fixture
    def http(self) -> HttpSettings:
        return HttpSettings(port=0, allowed_hosts=("Wadm.Example",))

    async def test_a_listed_name_is_this_server(self, client: httpx.AsyncClient) -> None:
        headers = {"Host": "wadm.example:8920", "Origin": "https://wadm.example"}
        assert (await client.get(PROFILE, headers=headers)).status_code == 200
        assert (await client.post("/mcp", json=INITIALIZE, headers=MCP | headers)).status_code == 200


async def test_every_answer_has_the_requests_id(client: httpx.AsyncClient) -> None:
    assert (await client.get("/health", headers={"X-Request-Id": "abc-1"})).headers["x-request-id"] == "abc-1"
    made = (await client.get("/nothing", headers={"X-Request-Id": "no spaces"})).headers["x-request-id"]
    assert len(made) == 32


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
async def test_a_public_address_without_keys_is_refused(
    door: FakeDoor, context: Context, access: Access, host: str
) -> None:
    with pytest.raises(OpenDoorError, match="no key works yet: make one with `wadm keys create NAME`"):
        await front(context, door, http=HttpSettings(host=host, port=0), access=access)


async def test_a_public_address_with_a_key_is_served(
    door: FakeDoor, context: Context, access: Access, nursery: trio.Nursery
) -> None:
    make(access)
    send, receive = trio.open_memory_channel[str](1)

    async def serve() -> None:
        await front(
            context, door, http=HttpSettings(host="0.0.0.0", port=0), access=access, bound=send.send_nowait
        )

    nursery.start_soon(serve)
    assert (await receive.receive()).startswith("http://127.0.0.1:")
