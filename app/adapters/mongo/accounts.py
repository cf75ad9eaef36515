"""Workspaces and API keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bson import ObjectId
from msgspec import structs

from app.adapters.mongo.failures import translated
from app.adapters.mongo.mapping import Doc, oid
from app.adapters.mongo.workflows import workspace_limit
from app.ports import ApiKey, Workspace


class MongoAccounts:
    """Implements ports.AccountStore."""

    def __init__(self, database: Any) -> None:
        self._workspaces = database["workspaces"]
        self._keys = database["api_keys"]
        self._heads = database["workflows"]

    @translated
    async def insert_workspace(self, workspace: Workspace) -> None:
        await self._workspaces.insert_one(_workspace_doc(workspace))

    @translated
    async def workspace(self, workspace_id: str) -> Workspace | None:
        found = oid(workspace_id)
        return None if found is None else _workspace_of(await self._workspaces.find_one({"_id": found}))

    @translated
    async def workspace_by_name(self, name: str) -> Workspace | None:
        return _workspace_of(await self._workspaces.find_one({"name": name}))

    @translated
    async def update_workspace(self, workspace: Workspace) -> None:
        found, limit = ObjectId(workspace.id), workspace.max_concurrent_runs
        changes = {"name": workspace.name, "max_concurrent_runs": limit, "allowed_hosts": list(workspace.allowed_hosts)}
        await self._workspaces.update_one({"_id": found}, {"$set": changes})
        while True:
            await self._heads.update_many({"workspace": found}, {"$set": {"workspace_limit": limit}})
            copied, limit = limit, await workspace_limit(self._workspaces, found)
            if limit == copied:  # else another update came in between, and its copy may have been overwritten
                return

    @translated
    async def insert_key(self, key: ApiKey) -> None:
        await self._keys.insert_one(_key_doc(key))

    @translated
    async def key_by_digest(self, digest: str) -> ApiKey | None:
        doc = await self._keys.find_one({"digest": digest})
        return None if doc is None else _key_of(doc)

    @translated
    async def keys(self, workspace_id: str) -> Sequence[ApiKey]:
        found = self._keys.find({"workspace": ObjectId(workspace_id)}).sort("created_at", 1)
        return [_key_of(doc) async for doc in found]

    @translated
    async def revoke_key(self, key_id: str, now: float) -> bool:
        found = oid(key_id)
        if found is None:
            return False
        done = await self._keys.update_one({"_id": found}, {"$set": {"revoked_at": now}})
        return bool(done.matched_count)


def _workspace_doc(workspace: Workspace) -> Doc:
    doc = structs.asdict(workspace)
    return {"_id": ObjectId(doc.pop("id")), **doc, "allowed_hosts": list(workspace.allowed_hosts)}


def _workspace_of(doc: Mapping[str, Any] | None) -> Workspace | None:
    if doc is None:
        return None
    return Workspace(
        id=str(doc["_id"]),
        name=doc["name"],
        created_at=doc["created_at"],
        max_concurrent_runs=doc.get("max_concurrent_runs"),
        allowed_hosts=tuple(doc.get("allowed_hosts", ())),
    )


def _key_doc(key: ApiKey) -> Doc:
    doc = structs.asdict(key)
    return {"_id": ObjectId(doc.pop("id")), **doc, "workspace": ObjectId(key.workspace), "scopes": list(key.scopes)}


def _key_of(doc: Mapping[str, Any]) -> ApiKey:
    fields = {name: doc[name] for name in ApiKey.__struct_fields__ if name in doc}
    shown = {"id": str(doc["_id"]), "workspace": str(doc["workspace"]), "scopes": tuple(doc["scopes"])}
    return ApiKey(**{**fields, **shown})
