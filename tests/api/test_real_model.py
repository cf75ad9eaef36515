"""A real model, small as it is, in runs of the turn protocol: text, usage, a schema."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from app.settings import Settings
from tests.api.conftest import opened
from tests.api.sites import Site
from tests.api.test_models import asking, run
from tests.api.test_telling import Reader
from tests.real_model import real_model

__all__ = ["real_model"]


@pytest.fixture
async def site(real_model: str) -> AsyncIterator[Site]:
    shared = {"real": {"base_url": real_model, "api_key": "none", "default_model": "smollm2"}}
    place = urlsplit(real_model).netloc
    async with opened(Settings(providers=SecretStr(json.dumps(shared)), outgoing_allow=(place,))) as found:
        yield found


async def test_a_real_model_talks_streams_and_is_counted(site: Site) -> None:
    config: dict[str, Any] = {"max_tokens": 24, "temperature": 0.0, "say": True}
    reply = await run(site, asking(prompt="Count to ten.", **config))
    assert reply["status"] == "completed", reply["error"]
    assert (reply["usage"]["output_tokens"] > 3, reply["usage"]["estimated"]) == (True, False)
    reader = await Reader(site, reply["run_id"]).read()
    assert list(reader.texts().values()) == [reply["outputs"]["it"]["text"]] != [""]


async def test_a_real_model_fits_a_schema(site: Site) -> None:
    schema = {"type": "object", "properties": {"red": {"type": "boolean"}}, "required": ["red"]}
    reply = await run(site, asking(prompt="Is a tomato red?", schema=schema, max_tokens=48, repair_attempts=3))
    assert reply["status"] == "completed", reply["error"]
    assert type(reply["outputs"]["it"]["data"]["red"]) is bool
