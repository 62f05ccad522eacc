"""Representations, pages, final answers, and the description of it all."""

import csv
import io

import httpx
import msgspec
import pytest
from front_door import FakeDoor
from openapi_spec_validator import validate

from actors.front import paging
from wadm.answers.registry import QUESTIONS

ASKED = {"exchange": "binance_usdm", "symbol": "BTCUSDT", "timeframe": "1h"}
PROFILE = "/api/v1/volume-profile"


async def test_the_same_answer_in_every_representation(client: httpx.AsyncClient) -> None:
    told = (await client.get(PROFILE, params=ASKED)).json()
    packed = await client.get(PROFILE, params=ASKED, headers={"Accept": "application/msgpack"})
    assert packed.headers["content-type"] == "application/msgpack"
    assert msgspec.msgpack.decode(packed.content) == told
    table = await client.get(PROFILE, params=ASKED, headers={"Accept": "text/csv"})
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [(row["price"], row["volume"]) for row in rows] == [
        (row["price"], row["volume"]) for row in told["rows"]
    ]
    assert msgspec.json.decode(table.headers["x-coverage"]) == told["coverage"]
    assert "Accept" in table.headers["vary"]


async def test_what_lies_deeper_has_its_path_as_a_columns_name(client: httpx.AsyncClient) -> None:
    told = (await client.get("/api/v1/footprint", params=ASKED)).json()
    table = await client.get("/api/v1/footprint", params=ASKED, headers={"Accept": "text/csv"})
    (row,) = csv.DictReader(io.StringIO(table.text))
    assert row["start"] == told["bars"][0]["start"]
    assert msgspec.json.decode(row["rows"]) == told["bars"][0]["rows"]


@pytest.mark.parametrize(
    ("path", "accept"),
    [(PROFILE, "image/png"), (PROFILE, "application/xml;q=0.9"), ("/api/v1/order-flow", "text/csv")],
)
async def test_a_representation_there_is_not_is_named_with_those_there_are(
    client: httpx.AsyncClient, path: str, accept: str
) -> None:
    answer = await client.get(path, params=ASKED, headers={"Accept": accept})
    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")
    assert "application/json" in answer.json()["expected"]


@pytest.mark.parametrize("accept", ["*/*", "application/*", "text/html, */*;q=0.8", ""])
async def test_who_takes_anything_gets_json(client: httpx.AsyncClient, accept: str) -> None:
    answer = await client.get(PROFILE, params=ASKED, headers={"Accept": accept})
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("limit", [1_000, 999, 4_000])
async def test_the_pages_of_a_table_are_the_whole_of_it(client: httpx.AsyncClient, limit: int) -> None:
    whole = (await client.get(PROFILE, params=ASKED)).json()
    rows, cursor, pages = [], None, 0
    while pages == 0 or cursor is not None:
        given = {**ASKED, "limit": str(limit), **({"cursor": cursor} if cursor else {})}
        page = (await client.get(PROFILE, params=given)).json()
        assert len(page["rows"]) <= limit
        rows, cursor, pages = rows + page["rows"], page["next"], pages + 1
    assert rows == whole["rows"]
    assert pages == -(-len(rows) // limit)


@pytest.mark.parametrize(
    ("given", "status", "parameter"),
    [
        ({"limit": "0"}, 422, "limit"),
        ({"limit": "-1"}, 422, "limit"),
        ({"limit": str(paging.MOST + 1)}, 422, "limit"),
        ({"limit": "ten"}, 422, "limit"),
        ({"cursor": "nonsense"}, 422, "cursor"),
        ({"cursor": "é"}, 422, "cursor"),
        ({"cursor": paging._cursor(0, "2020-01-01T00:00:00Z", "2020-01-01T01:00:00Z")}, 409, "cursor"),
    ],
)
async def test_a_page_that_cannot_be_had_is_a_sentence(
    client: httpx.AsyncClient, given: dict[str, str], status: int, parameter: str
) -> None:
    answer = await client.get(PROFILE, params=ASKED | given)
    assert (answer.status_code, answer.json()["parameter"]) == (status, parameter)


async def test_a_question_without_a_table_has_no_pages(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/order-flow", params={**ASKED, "limit": "5"})
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_parameter")


async def test_a_final_answer_is_not_sent_twice(client: httpx.AsyncClient, door: FakeDoor) -> None:
    provisional = await client.get(PROFILE, params=ASKED)
    assert provisional.headers["cache-control"] == "no-store"
    assert "etag" not in provisional.headers
    door.final = True
    final = await client.get(PROFILE, params=ASKED)
    assert final.headers["cache-control"].startswith("private, max-age=")
    again = await client.get(PROFILE, params=ASKED, headers={"If-None-Match": final.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = {"If-None-Match": final.headers["etag"], "Accept": "application/msgpack"}
    assert (await client.get(PROFILE, params=ASKED, headers=other)).status_code == 200


async def test_the_description_is_sound_and_names_every_question(client: httpx.AsyncClient) -> None:
    description = (await client.get("/openapi.json")).json()
    validate(description)
    for question in QUESTIONS.values():
        operation = description["paths"][f"/api/v1/{question.path}"]["get"]
        names = {one["name"] for one in operation["parameters"]}
        assert {"exchange", "symbol", "timeframe", *(one.name for one in question.parameters)} <= names
        assert ("text/csv" in operation["responses"]["200"]["content"]) == (question.table is not None)


async def test_the_page_of_the_description_is_served_with_a_strict_policy(client: httpx.AsyncClient) -> None:
    answer = await client.get("/docs")
    assert answer.status_code == 200
    assert "script-src 'sha256-" in answer.headers["content-security-policy"]
    for word in ("innerHTML", "document.write", "eval(", " onclick=", "https://"):
        assert word not in answer.text
