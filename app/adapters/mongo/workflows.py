"""The workflow store: heads and immutable versions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bson import ObjectId
from msgspec import structs

from app.adapters.mongo.failures import translated
from app.adapters.mongo.mapping import Doc, fits, key_of, oid
from app.adapters.mongo.numbers import Numbers
from app.ports import StoredVersion, WorkflowHead

LOOKED_AT = 100  # versions at most in one go of dropping: the newest and the oldest


class MongoWorkflows:
    """Implements ports.WorkflowStore."""

    def __init__(self, database: Any) -> None:
        self._heads = database["workflows"]
        self._versions = database["workflow_versions"]
        self._runs = database["workflow_runs"]
        self._workspaces = database["workspaces"]
        self._numbers = Numbers(database, "workflows")

    @translated
    async def insert(self, head: WorkflowHead, version: StoredVersion) -> None:
        await self._versions.insert_one(_version_doc(version))
        workspace, found = ObjectId(head.workspace), ObjectId(head.id)
        limit = await workspace_limit(self._workspaces, workspace)
        await self._heads.insert_one({**_head_doc(head), "workspace_limit": limit})
        # A limit set after the read above and copied into the heads before the insert is seen here; a later one finds
        # the head.
        while (now := await workspace_limit(self._workspaces, workspace)) != limit:
            limit = now
            await self._heads.update_one({"_id": found}, {"$set": {"workspace_limit": limit}})

    @translated
    async def head(self, workflow_id: str) -> WorkflowHead | None:
        found = oid(workflow_id)
        doc = None if found is None else await self._heads.find_one({"_id": found})
        return None if doc is None else _head_of(doc)

    @translated
    async def head_by_number(self, number: int) -> WorkflowHead | None:
        doc = await self._heads.find_one({"number": number}) if fits(number) else None
        return None if doc is None else _head_of(doc)

    @translated
    async def ids_named(self, workspace: str, part: str, limit: int) -> Sequence[str]:
        if "\0" in part:  # no pattern can hold it
            return []
        query = {"workspace": ObjectId(workspace), "name": {"$regex": re.escape(part), "$options": "i"}}
        found = self._heads.find(query, {"_id": 1}).sort("created_at", -1).limit(limit)
        return [str(doc["_id"]) async for doc in found]

    @translated
    async def update(self, workflow_id: str, changes: dict[str, Any], *, active_version: int | None = None) -> bool:
        query: Doc = {"_id": ObjectId(workflow_id), "deleted_at": None}
        if active_version is not None:
            query["active_version"] = active_version
        done = await self._heads.update_one(query, {"$set": changes})
        return bool(done.matched_count)

    @translated
    async def list(self, workspace: str, skip: int, limit: int) -> tuple[Sequence[WorkflowHead], int]:
        query = {"workspace": ObjectId(workspace), "deleted_at": None}
        page = self._heads.find(query).sort([("created_at", -1), ("_id", -1)]).skip(skip).limit(limit)
        return [_head_of(doc) async for doc in page], await self._heads.count_documents(query)

    @translated
    async def take_version_number(self, workflow_id: str) -> int | None:
        found = ObjectId(workflow_id)
        while doc := await self._heads.find_one({"_id": found}, {"next_version": 1}):
            free: int = doc["next_version"]
            taken = await self._heads.update_one({"_id": found, "next_version": free}, {"$inc": {"next_version": 1}})
            if taken.matched_count:
                return free
        return None

    @translated
    async def insert_version(self, version: StoredVersion) -> None:
        await self._versions.insert_one(_version_doc(version))

    @translated
    async def version(self, workflow_id: str, number: int) -> StoredVersion | None:
        doc = await self._versions.find_one({"_id": key_of(workflow_id, number)})
        return None if doc is None else _version_of(doc)

    @translated
    async def versions(self, workflow_id: str, skip: int, limit: int) -> tuple[Sequence[StoredVersion], int]:
        query = {"workflow": ObjectId(workflow_id)}
        page = self._versions.find(query, {"source": 0}).sort("number", -1).skip(skip).limit(limit)
        return [_version_of(doc) async for doc in page], await self._versions.count_documents(query)

    @translated
    async def rename_version(self, workflow_id: str, number: int, name: str) -> bool:
        done = await self._versions.update_one({"_id": key_of(workflow_id, number)}, {"$set": {"name": name}})
        return bool(done.matched_count)

    @translated
    async def drop_versions(self, workflow_id: str, keep: int) -> int:
        found, dropped = ObjectId(workflow_id), 0
        head = await self._heads.find_one({"_id": found}, {"active_version": 1})
        if head is None:
            return 0
        old = self._versions.find({"workflow": found}, {"number": 1}).sort("number", -1).skip(keep)
        numbers = [doc["number"] async for doc in old if doc["number"] != head["active_version"]]
        if len(numbers) > LOOKED_AT:  # all in use, most likely
            numbers = numbers[: LOOKED_AT // 2] + numbers[-LOOKED_AT // 2 :]
        for number in numbers:
            if not await self._is_in_use(found, number):
                done = await self._versions.delete_one({"_id": key_of(found, number)})
                dropped += done.deleted_count
        return dropped

    async def _is_in_use(self, workflow: ObjectId, number: int) -> bool:
        """Does a run refer to the version? Matched on both fields by their index, which may find them in two pinned ones."""
        query = {"pinned.workflow": workflow, "pinned.version": number}
        async for run in self._runs.find(query, {"pinned": 1}):
            if any((pinned["workflow"], pinned["version"]) == (workflow, number) for pinned in run["pinned"]):
                return True
        return False

    @translated
    async def prepare(self) -> None:
        """Fetches numbers, so that the first creation need not."""
        await self._numbers.fill()

    @translated
    async def next_number(self) -> int:
        return await self._numbers.take()


async def workspace_limit(workspaces: Any, workspace: ObjectId) -> int | None:
    """The workspace's present limit."""
    doc = await workspaces.find_one({"_id": workspace}, {"max_concurrent_runs": 1})
    return None if doc is None else doc.get("max_concurrent_runs")


def _head_doc(head: WorkflowHead) -> Doc:
    doc = structs.asdict(head)
    return {"_id": ObjectId(doc.pop("id")), **doc, "workspace": ObjectId(head.workspace)}


def _head_of(doc: Mapping[str, Any]) -> WorkflowHead:
    fields = {name: doc[name] for name in WorkflowHead.__struct_fields__ if name in doc}
    return WorkflowHead(**{**fields, "id": str(doc["_id"]), "workspace": str(doc["workspace"])})


def _version_doc(version: StoredVersion) -> Doc:
    doc = structs.asdict(version)
    return {"_id": key_of(version.workflow, version.number), **doc, "workflow": ObjectId(version.workflow)}


def _version_of(doc: Mapping[str, Any]) -> StoredVersion:
    """Rows of lists have no source."""
    fields = {name: doc[name] for name in StoredVersion.__struct_fields__ if name in doc}
    return StoredVersion(**{"source": b"", **fields, "workflow": str(doc["workflow"])})
