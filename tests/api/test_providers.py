"""Providers over HTTP: set, read, listed and removed; of their keys the last four characters are shown at most."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import SecretStr

from app.settings import Settings
from tests.api.conftest import opened
from tests.api.sites import Site, said
from tests.api.test_secrets import dump

PROVIDERS = "/v1/providers"
KEY, SHARED_KEY = "sk-own/+ 0123456789abcd", "sk-shared/+ 0123456789wxyz"
GIVEN = {"base_url": "https://api.example/v1", "api_key": KEY}
SHARED = {
    "house": {"base_url": "http://models.internal:8000/v1", "api_key": SHARED_KEY, "embedding_model": "embed"},
    "spare": {"base_url": "https://spare.example", "api_key": "short", "default_model": "small"},
}
SHARED_ITEMS = [
    {
        "name": "house",
        "base_url": "http://models.internal:8000/v1",
        "default_model": None,
        "embedding_model": "embed",
        "api_key": "…wxyz",
        "shared": True,
        "created_at": None,
        "updated_at": None,
    },
    {
        "name": "spare",
        "base_url": "https://spare.example",
        "default_model": "small",
        "embedding_model": None,
        "api_key": "…",
        "shared": True,
        "created_at": None,
        "updated_at": None,
    },
]


@pytest.fixture
async def shared_site() -> AsyncIterator[Site]:
    """With providers of the operator."""
    async with opened(Settings(providers=SecretStr(json.dumps(SHARED)))) as found:
        yield found


async def put(site: Site, name: str, key: str = "admin", **given: Any) -> Any:
    return await site.call("PUT", f"{PROVIDERS}/{name}", {**GIVEN, **given}, key=key)


async def items(site: Site, key: str = "admin") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await site.get(PROVIDERS, key=key)).json()["items"]
    return found


async def test_a_provider_is_set_read_listed_replaced_and_removed(site: Site) -> None:
    first = await put(site, "openai", default_model="small", embedding_model="embed")
    item = first.json()
    assert (first.status_code, item) == (
        200,
        {
            "name": "openai",
            "base_url": "https://api.example/v1",
            "default_model": "small",
            "embedding_model": "embed",
            "api_key": "…abcd",
            "shared": False,
            "created_at": item["created_at"],
            "updated_at": item["created_at"],
        },
    )
    assert (await site.get(f"{PROVIDERS}/openai")).json() == item
    listed = await site.get(PROVIDERS)
    assert listed.json() == {"items": [item], "total": 1, "page": 1, "size": 20, "pages": 1}
    second = (
        await put(site, "openai", base_url="http://10.0.0.1:80", api_key="eleven char", default_model=None)
    ).json()
    assert second == {
        **item,
        "base_url": "http://10.0.0.1:80",
        "default_model": None,
        "embedding_model": None,
        "api_key": "…",
        "updated_at": second["updated_at"],
    }
    assert second["updated_at"] >= item["updated_at"]
    assert (await site.get(f"{PROVIDERS}/openai")).json() == second
    removed = await site.delete(f"{PROVIDERS}/openai")
    assert (removed.status_code, removed.content, await items(site)) == (204, b"", [])
    assert said(await site.delete(f"{PROVIDERS}/openai")) == (404, "not_found")
    assert said(await site.get(f"{PROVIDERS}/openai")) == (404, "not_found")


async def test_providers_have_pages_and_are_listed_by_name_with_the_shared_ones(shared_site: Site) -> None:
    for name in ("zoo", "a", "middle"):
        await put(shared_site, name)
    page = (await shared_site.get(f"{PROVIDERS}?page=2&size=2")).json()
    assert ([item["name"] for item in page["items"]], page["total"], page["pages"]) == (["middle", "spare"], 5, 3)
    assert [item["name"] for item in await items(shared_site)] == ["a", "house", "middle", "spare", "zoo"]


async def test_a_provider_belongs_to_its_workspace(site: Site) -> None:
    ours = (await put(site, "openai")).json()
    assert await items(site, "other") == []
    for reply in (
        await site.get(f"{PROVIDERS}/openai", key="other"),
        await site.delete(f"{PROVIDERS}/openai", key="other"),
    ):
        assert said(reply) == (404, "not_found")
    await put(site, "openai", key="other", base_url="https://theirs.example")
    assert (await site.delete(f"{PROVIDERS}/openai", key="other")).status_code == 204
    assert await items(site) == [ours]


async def test_shared_ones_are_everybodys_and_nobody_can_remove_or_change_them(shared_site: Site) -> None:
    for key in ("admin", "other"):
        assert await items(shared_site, key) == SHARED_ITEMS
        assert (await shared_site.get(f"{PROVIDERS}/house", key=key)).json() == SHARED_ITEMS[0]
        assert said(await shared_site.delete(f"{PROVIDERS}/house", key=key)) == (404, "not_found")
    own = (await put(shared_site, "house")).json()
    assert own["shared"] is False
    assert (await shared_site.get(f"{PROVIDERS}/house")).json() == own
    assert await items(shared_site) == [own, SHARED_ITEMS[1]]
    assert await items(shared_site, "other") == SHARED_ITEMS, "another workspace sees nothing of it"
    assert (await shared_site.delete(f"{PROVIDERS}/house")).status_code == 204
    assert await items(shared_site) == SHARED_ITEMS, "it is there again"


@pytest.mark.parametrize("name", ["echo", "1a", "a.b", "a$b", "a b", "ä", "-a", "a" * 65, "%00", "a%0Ab"])
async def test_a_name_that_cannot_be_had_is_refused(site: Site, name: str) -> None:
    reply = await put(site, quote(name, safe="%"))
    assert (*said(reply), reply.json()["details"][0]["path"]) == (422, "invalid_value", "name")
    assert await items(site) == []
    for asked in (await site.get(f"{PROVIDERS}/{quote(name, safe='%')}"), await site.delete(f"{PROVIDERS}/{name}")):
        assert said(asked) == (404, "not_found")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "base_url"),
        ({"base_url": "https://x"}, "api_key"),
        ({"api_key": KEY}, "base_url"),
        ({**GIVEN, "api_key": None}, "api_key"),
        ({**GIVEN, "more": 1}, "more"),
        ({**GIVEN, "name": "x"}, "name"),
        ({**GIVEN, "base_url": 1}, "base_url"),
        ({**GIVEN, "base_url": "ftp://x"}, "base_url"),
        ({**GIVEN, "base_url": "//x"}, "base_url"),
        ({**GIVEN, "base_url": f"https://me:{KEY[:8]}@x"}, "base_url"),
        ({**GIVEN, "base_url": "https://x/" + "y" * 2039}, "base_url"),
        ({**GIVEN, "base_url": "https://{{host}}"}, "base_url"),
        ({**GIVEN, "api_key": ""}, "api_key"),
        ({**GIVEN, "api_key": KEY + "y" * 8192}, "api_key"),
        ({**GIVEN, "api_key": f"{KEY}\n"}, "api_key"),
        ({**GIVEN, "api_key": [KEY]}, "api_key"),
        ({**GIVEN, "default_model": ""}, "default_model"),
        ({**GIVEN, "default_model": 1}, "default_model"),
        ({**GIVEN, "embedding_model": "y" * 257}, "embedding_model"),
    ],
)
async def test_what_cannot_be_used_is_refused_without_repeating_the_key(site: Site, body: Any, path: str) -> None:
    reply = await site.call("PUT", f"{PROVIDERS}/openai", body)
    assert (*said(reply), reply.json()["details"][0]["path"]) == (422, "invalid_value", path)
    assert KEY[:8] not in reply.text
    assert await items(site) == []


@pytest.mark.parametrize("scope", ["read", "run", "edit"])
async def test_only_admins_see_and_change_them(site: Site, scope: str) -> None:
    await put(site, "openai")
    for method, path in (("GET", PROVIDERS), *((method, f"{PROVIDERS}/openai") for method in ("GET", "PUT", "DELETE"))):
        reply = await site.call(method, path, GIVEN if method == "PUT" else None, key=scope)
        assert said(reply) == (403, "forbidden")
    assert len(await items(site)) == 1


async def test_no_form_of_a_key_is_in_a_reply_a_log_or_the_database(
    shared_site: Site, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    site = shared_site
    with caplog.at_level(logging.DEBUG):
        replies = [
            await put(site, "openai"),
            await put(site, "openai", default_model="m"),
            await put(site, "1bad"),
            await put(site, "bad", base_url="nonsense"),
            await put(site, "bad", key="other", more=1),
            await put(site, "bad", key="read"),
            await site.call("PUT", f"{PROVIDERS}/bad", [GIVEN]),
            await site.call("PUT", f"{PROVIDERS}/theirs", GIVEN, key="other"),
            *[await site.get(f"{PROVIDERS}{rest}") for rest in ("", "/openai", "/house", "/spare", "/nothing")],
            await site.delete(f"{PROVIDERS}/house"),
        ]
        reach = await site.app.state.services.providers.endpoint((await workspace_of(site)), "openai", None)
    assert reach.endpoint.api_key == KEY, "it is there to be used"
    said_by_us = capsys.readouterr()
    places = {
        "database": await dump(site),
        "logs": "\n".join([caplog.text, said_by_us.out, said_by_us.err]).encode(),
        **{f"{at} {reply.url}": reply.content for at, reply in enumerate(replies)},
    }
    for place, data in places.items():
        for key in (KEY, SHARED_KEY):
            forms = [key, key[:-4], quote(key, safe=""), base64.b64encode(key.encode()).decode().rstrip("=")]
            for form in forms:
                assert form.encode() not in data, (place, form)


async def workspace_of(site: Site) -> str:
    found: str = (await site.get("/v1/workspace")).json()["id"]
    return found


async def test_fields_keep_their_references_to_secrets(site: Site) -> None:
    item = (await put(site, "openai", base_url="https://{{secret.host}}/v1", api_key="{{secret.model_key}}")).json()
    assert (item["base_url"], item["api_key"]) == ("https://{{secret.host}}/v1", "…")
    providers, workspace = site.app.state.services.providers, await workspace_of(site)
    for name, value in (("host", "api.example"), ("model_key", KEY)):
        await site.call("PUT", f"/v1/secrets/{name}", {"value": value})
    reach = await providers.endpoint(workspace, "openai", "m")
    assert (reach.endpoint.base_url, reach.endpoint.api_key) == ("https://api.example/v1", KEY)
    assert "api.example" not in (await site.get(f"{PROVIDERS}/openai")).text
