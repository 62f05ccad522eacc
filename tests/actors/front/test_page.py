import base64
import hashlib
import re

import httpx

from actors.front import page


async def test_the_page_may_run_only_what_is_written_in_it(client: httpx.AsyncClient) -> None:
    answer = await client.get("/")
    policy = answer.headers["content-security-policy"]
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert policy.startswith("default-src 'none'")
    for tag in ("style", "script"):
        (inline,) = re.findall(rf"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy


async def test_a_page_that_has_not_changed_is_not_sent_again(client: httpx.AsyncClient) -> None:
    first = await client.get("/")
    again = await client.get("/", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_page_asks_nobody_else_and_trusts_no_text() -> None:
    text = page.load("status.html").body.decode()
    addresses = re.findall(r"https?://[^\s'\"]+", text)
    assert set(addresses) == {"http://www.w3.org/2000/svg"}  # the name of SVG, never fetched
    for word in ("innerHTML", "outerHTML", "AdjacentHTML", "document.write", "eval(", " style=", " onclick="):
        assert word not in text


def test_a_page_without_inline_code_may_run_none() -> None:
    assert "script-src 'none'; style-src 'none'" in page.policy("<p>nothing</p>")


def test_every_element_that_the_script_asks_for_is_there() -> None:
    text = page.load("status.html").body.decode()
    asked = set(re.findall(r'\bat\("([^"]+)"\)', text))
    assert {"books", "contracts", "collectors", "exchanges", "gaps"} <= asked
    assert asked <= set(re.findall(r' id="([^"]+)"', text))


def test_a_table_names_each_of_its_columns_once_for_wide_screens_and_once_for_narrow_ones() -> None:
    text = page.load("status.html").body.decode()
    wide = [re.findall(r'role="columnheader"[^>]*>([^<]+)<', table) for table in text.split("<table")[1:]]
    narrow = [re.findall(r'"([^"]+)"', labels) for labels in re.findall(r'= \[("[^\]]+")\];', text)]
    narrow += [re.findall(r'"([^"]+)"', labels) for labels in re.findall(r"tableRow\(\[([^\]]+)\]", text)]
    assert sorted(wide) == sorted(narrow)


def test_a_key_is_kept_for_the_tab_and_sent_in_a_header_alone() -> None:
    text = page.load("status.html").body.decode()
    assert "sessionStorage" in text
    for word in ("localStorage", "document.cookie", "api_key=", "?key="):
        assert word not in text
    assert re.search(r'<input id="key" type="password" autocomplete="off"', text)
    assert '{ "X-API-Key": key }' in text
