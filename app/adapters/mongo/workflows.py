"""The workflow store: heads and immutable versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bson import ObjectId
from msgspec import structs
from pymongo import ReturnDocument

from app.adapters.mongo.failures import translated
from app.adapters.mongo.mapping import Doc, fits, oid
from app.adapters.mongo.numbers import Numbers
from app.ports import StoredVersion, WorkflowHead


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
        workspace = await self._workspaces.find_one({"_id": ObjectId(head.workspace)}, {"max_concurrent_runs": 1})
        limit = (workspace or {}).get("max_concurrent_runs")
        await self._heads.insert_one({**_head_doc(head), "workspace_limit": limit})

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
        doc = await self._heads.find_one_and_update(
            {"_id": ObjectId(workflow_id)},
            {"$inc": {"next_version": 1}},
            projection={"next_version": 1},
            return_document=ReturnDocument.BEFORE,
        )
        return None if doc is None else int(doc["next_version"])

    @translated
    async def insert_version(self, version: StoredVersion) -> None:
        await self._versions.insert_one(_version_doc(version))

    @translated
    async def version(self, workflow_id: str, number: int) -> StoredVersion | None:
        doc = await self._versions.find_one({"_id": _version_id(workflow_id, number)}) if fits(number) else None
        return None if doc is None else _version_of(doc)

    @translated
    async def versions(self, workflow_id: str, skip: int, limit: int) -> tuple[Sequence[StoredVersion], int]:
        query = {"workflow": ObjectId(workflow_id)}
        page = self._versions.find(query, {"source": 0}).sort("number", -1).skip(skip).limit(limit)
        return [_version_of(doc) async for doc in page], await self._versions.count_documents(query)

    @translated
    async def rename_version(self, workflow_id: str, number: int, name: str) -> bool:
        done = await self._versions.update_one({"_id": _version_id(workflow_id, number)}, {"$set": {"name": name}})
        return bool(done.matched_count)

    @translated
    async def drop_versions(self, workflow_id: str, keep: int) -> int:
        found = ObjectId(workflow_id)
        head = await self._heads.find_one({"_id": found}, {"active_version": 1})
        query = {"workflow": found}
        old = self._versions.find(query, {"number": 1}).sort("number", -1).skip(keep).limit(keep)
        numbers = [doc["number"] async for doc in old]
        dropped = 0
        for number in numbers:
            pinned = {"pinned": {"$elemMatch": {"workflow": found, "version": number}}}
            if head is None or number == head["active_version"] or await self._runs.find_one(pinned, {"_id": 1}):
                continue
            done = await self._versions.delete_one({"_id": _version_id(workflow_id, number)})
            dropped += done.deleted_count
        return dropped

    @translated
    async def prepare(self) -> None:
        """Fetches numbers, so that the first creation need not."""
        await self._numbers.fill()

    @translated
    async def next_number(self) -> int:
        return await self._numbers.take()


def _head_doc(head: WorkflowHead) -> Doc:
    doc = structs.asdict(head)
    return {"_id": ObjectId(doc.pop("id")), **doc, "workspace": ObjectId(head.workspace)}


def _head_of(doc: Mapping[str, Any]) -> WorkflowHead:
    fields = {name: doc[name] for name in WorkflowHead.__struct_fields__ if name in doc}
    return WorkflowHead(**{**fields, "id": str(doc["_id"]), "workspace": str(doc["workspace"])})


def _version_id(workflow_id: str, number: int) -> Doc:
    return {"workflow": ObjectId(workflow_id), "number": number}


def _version_doc(version: StoredVersion) -> Doc:
    doc = structs.asdict(version)
    key = _version_id(version.workflow, version.number)
    return {"_id": key, **doc, "workflow": key["workflow"]}


def _version_of(doc: Mapping[str, Any]) -> StoredVersion:
    """Rows of lists have no source."""
    fields = {name: doc[name] for name in StoredVersion.__struct_fields__ if name in doc}
    return StoredVersion(**{"source": b"", **fields, "workflow": str(doc["workflow"])})
