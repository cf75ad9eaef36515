"""Providers of models of workspaces: their keys are encrypted before they come here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bson import ObjectId
from msgspec.structs import replace

from app.adapters.mongo.failures import translated
from app.adapters.mongo.mapping import Doc, key_of
from app.ports import StoredProvider


class MongoProviders:
    """Implements ports.ProviderStore. `_id` is workspace:name: one write decides, whatever comes at once."""

    def __init__(self, database: Any) -> None:
        self._providers = database["providers"]

    @translated
    async def put(self, provider: StoredProvider) -> StoredProvider:
        key = {"_id": key_of(provider.workspace, provider.name)}
        first = {"created_at": provider.created_at}
        done = await self._providers.update_one(key, {"$set": _fields(provider), "$setOnInsert": first}, upsert=True)
        if done.upserted_id is not None:
            return provider
        # A second read, not findAndModify: see Numbers.fill.
        found = await self._providers.find_one(key, {"created_at": 1})
        return replace(provider, created_at=found["created_at"]) if found else provider

    @translated
    async def delete(self, workspace: str, name: str) -> bool:
        done = await self._providers.delete_one({"_id": key_of(workspace, name)})
        return bool(done.deleted_count)

    @translated
    async def list(self, workspace: str) -> Sequence[StoredProvider]:
        found = self._providers.find({"workspace": ObjectId(workspace)}).sort("name", 1)
        return [_provider(workspace, doc) async for doc in found]

    @translated
    async def read(self, workspace: str, name: str) -> StoredProvider | None:
        doc = await self._providers.find_one({"_id": key_of(workspace, name)})
        return _provider(workspace, doc) if doc else None


def _fields(provider: StoredProvider) -> Doc:
    """What is replaced with it."""
    return {
        "workspace": ObjectId(provider.workspace),
        "name": provider.name,
        "base_url": provider.base_url,
        "sealed": provider.sealed,
        "last4": provider.last4,
        "default_model": provider.default_model,
        "embedding_model": provider.embedding_model,
        "updated_at": provider.updated_at,
    }


def _provider(workspace: str, doc: Doc) -> StoredProvider:
    return StoredProvider(
        workspace=workspace,
        name=doc["name"],
        base_url=doc["base_url"],
        sealed=doc["sealed"],
        last4=doc["last4"],
        default_model=doc["default_model"],
        embedding_model=doc["embedding_model"],
        created_at=doc["created_at"],
        updated_at=doc["updated_at"],
    )
