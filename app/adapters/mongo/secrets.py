"""Secrets of workspaces: what is stored is encrypted before it comes here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bson import ObjectId

from app.adapters.mongo.failures import translated
from app.adapters.mongo.mapping import key_of
from app.ports import StoredSecret


class MongoSecrets:
    """Implements ports.SecretStore. `_id` is workspace:name: one write decides, whatever comes at once."""

    def __init__(self, database: Any) -> None:
        self._secrets = database["secrets"]

    @translated
    async def put(self, secret: StoredSecret) -> None:
        workspace = ObjectId(secret.workspace)
        fields = {"workspace": workspace, "sealed": secret.sealed, "updated_at": secret.updated_at}
        key = {"_id": key_of(workspace, secret.name)}
        await self._secrets.update_one(key, {"$set": {"name": secret.name, **fields}}, upsert=True)

    @translated
    async def delete(self, workspace: str, name: str) -> bool:
        done = await self._secrets.delete_one({"_id": key_of(workspace, name)})
        return bool(done.deleted_count)

    @translated
    async def list(self, workspace: str) -> Sequence[StoredSecret]:
        found = self._secrets.find({"workspace": ObjectId(workspace)}).sort("name", 1)
        return [
            StoredSecret(workspace=workspace, name=doc["name"], sealed=doc["sealed"], updated_at=doc["updated_at"])
            async for doc in found
        ]

    @translated
    async def read(self, workspace: str, names: Sequence[str]) -> dict[str, bytes]:
        found = self._secrets.find({"workspace": ObjectId(workspace), "name": {"$in": list(names)}})
        return {doc["name"]: doc["sealed"] async for doc in found}
