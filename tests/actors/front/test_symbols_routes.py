"""What is followed is changed by programs of this machine, never by a page of somebody else's."""

import httpx
import pytest
from front_door import FakeDoor

PATH = "/api/v1/symbols"
SOLANA = {"exchange": "binance", "symbol": "SOLUSDT"}


async def test_a_symbol_is_added_once_and_removed(client: httpx.AsyncClient, door: FakeDoor) -> None:
    added = await client.post(PATH, json=SOLANA)
    assert (added.status_code, added.json()["state"]) == (201, "followed")
    again = await client.post(PATH, json=SOLANA)
    assert (again.status_code, door.choosing.followed) == (200, {"SOLUSDT"})
    removed = await client.delete(f"{PATH}/binance/SOLUSDT")
    assert (removed.status_code, removed.json()["state"], door.choosing.followed) == (200, "left", set())
    assert (await client.get(PATH)).status_code == 200


async def test_what_cannot_be_done_is_told_as_a_question_is(client: httpx.AsyncClient) -> None:
    unknown = await client.post(PATH, json={**SOLANA, "exchange": "nasdaq"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_exchange")
    missing = await client.delete(f"{PATH}/binance/SOLUSDT")
    assert (missing.status_code, missing.json()["code"]) == (404, "unknown_symbol")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"exchange":"binance","symbol":"SOLUSDT"}', "text/plain"),
        (b"exchange=binance&symbol=SOLUSDT", "application/x-www-form-urlencoded"),
        (b"", "application/json"),
        (b"[]", "application/json"),
        (b"null", "application/json"),
        (b'{"exchange":"\xff"}', "application/json"),
        (b"[" * 100_000, "application/json"),
        (b'{"a":' * 100_000, "application/json"),
    ],
)
async def test_a_body_that_is_no_choice_is_refused(
    client: httpx.AsyncClient, door: FakeDoor, body: bytes, kind: str
) -> None:
    answer = await client.post(PATH, content=body, headers={"Content-Type": kind})
    told = {415: "unsupported_media_type", 400: "bad_body"}
    assert answer.status_code == (400 if kind == "application/json" else 415)
    assert answer.json()["code"] == told[answer.status_code]
    assert door.choosing.followed == set()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example:8920"}, 421),
        ({"Host": "[::1"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost.evil.example"}, 403),
    ],
)
async def test_a_page_of_another_origin_or_name_changes_nothing(
    client: httpx.AsyncClient, door: FakeDoor, headers: dict[str, str], status: int
) -> None:
    door.choosing.followed.add("BTCUSDT")
    assert (await client.post(PATH, json=SOLANA, headers=headers)).status_code == status
    assert (await client.delete(f"{PATH}/binance/BTCUSDT", headers=headers)).status_code == status
    assert door.choosing.followed == {"BTCUSDT"}


@pytest.mark.parametrize("host", ["localhost:8920", "127.0.0.1", "[::1]:8920"])
async def test_this_machine_may_be_called_by_its_names(client: httpx.AsyncClient, host: str) -> None:
    headers = {"Host": host, "Origin": f"http://{host}"}
    assert (await client.post(PATH, json=SOLANA, headers=headers)).status_code == 201
