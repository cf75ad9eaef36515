"""The indexes that are declared are there once a process has connected."""

from __future__ import annotations

from typing import Any

import pytest

from app.adapters.mongo.database import Database
from app.adapters.mongo.documents import DOCUMENTS
from tests.stores import STORES

KEPT = ("unique", "sparse", "partialFilterExpression")


def shape(index: dict[str, Any]) -> dict[str, Any]:
    """What the index promises, without how a server words it."""
    key = [(field, int(direction)) for field, direction in dict(index["key"]).items()]
    options = {name: index[name] for name in KEPT if index.get(name)}
    partial = options.get("partialFilterExpression")
    return {"key": key, **options, **({"partialFilterExpression": _plain(partial)} if partial else {})}


def _plain(value: Any) -> Any:
    return {name: _plain(item) for name, item in value.items()} if hasattr(value, "items") else value


@pytest.mark.parametrize("uri", [name for name in STORES if name != "mock"], indirect=True)
async def test_every_declared_index_exists(database: Database) -> None:
    for document in DOCUMENTS:
        settings: Any = document.Settings
        declared = {index.document["name"]: shape(index.document) for index in getattr(settings, "indexes", [])}
        found = await database.raw[settings.name].index_information()
        existing = {name: shape({**index, "key": index["key"]}) for name, index in found.items() if name != "_id_"}
        assert (settings.name, existing) == (settings.name, declared)


@pytest.mark.parametrize("uri", [name for name in STORES if name != "mock"], indirect=True)
async def test_a_second_process_that_connects_leaves_them_alone(database: Database, another: Database) -> None:
    first = await database.raw["workflow_runs"].index_information()
    assert await another.raw["workflow_runs"].index_information() == first
