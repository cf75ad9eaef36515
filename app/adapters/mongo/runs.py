"""The run store: one document a run, one filtered update a commit (the data model's operations, to the letter)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from bson import ObjectId
from pymongo.errors import PyMongoError

from app.adapters.mongo.failures import translate, translated
from app.adapters.mongo.mapping import WITHOUT_TAIL_BODIES, Doc, fits, lease_doc, oid, run_doc, run_of
from app.adapters.mongo.numbers import Numbers
from app.adapters.mongo.older_turns import OlderTurns
from app.adapters.mongo.parts import Parts
from app.ports import Among, Clock, Commit, Lease, Run, RunFilter, StoreUnavailableError, Turn

READ_AGAIN = 5  # times: a part may be moved away between two reads
_ROW = {"state": 0, "tail": 0, "open": 0, "fingerprints": 0, "start_reply": 0}


class MongoRuns:
    """Implements ports.RunStore."""

    def __init__(self, database: Any, clock: Clock, *, bulk: bool) -> None:
        self._runs = database["workflow_runs"]
        self._parts = Parts(database)
        self._older = OlderTurns(database, self._parts)
        self._numbers = Numbers(database, "runs")
        self._clock = clock

    @translated
    async def insert(self, run: Run) -> None:
        turns = [*run.tail, *([run.open] if run.open else [])]
        docs = await self._parts.split(ObjectId(run.id), run.commit_id, turns, self._clock.now())
        await self._runs.insert_one(run_doc(run, docs))

    async def read(self, run_id: str, *, bodies: bool = False, after: int = 0) -> Run | None:
        found = oid(run_id)
        return None if found is None else await self._read({"_id": found}, bodies, after)

    async def read_by_start_key(self, start_key: str, *, bodies: bool = False) -> Run | None:
        return await self._read({"start_key": start_key}, bodies)

    @translated
    async def _read(self, query: Doc, bodies: bool, after: int = 0) -> Run | None:
        for _ in range(READ_AGAIN):
            doc = await self._runs.find_one(query, None if bodies else WITHOUT_TAIL_BODIES)
            if doc is None:
                return None
            tail, opened = doc["tail"] if bodies else (), [doc["open"]] if doc.get("open") else []
            if await self._parts.fill(tail) and await self._parts.fill(opened, after):
                return run_of(doc)
        raise StoreUnavailableError("a part of the run is missing")

    @translated
    async def id_by_number(self, workspace: str, number: int) -> str | None:
        if not fits(number):
            return None
        doc = await self._runs.find_one({"number": number, "workspace": ObjectId(workspace)}, {"_id": 1})
        return None if doc is None else str(doc["_id"])

    @translated
    async def commit(self, commit: Commit) -> bool:
        query: Doc = {"_id": ObjectId(commit.run_id), "revision": commit.revision}
        if commit.fence is not None:
            query["fence"] = commit.fence
        if commit.match_lease:
            query |= _lease_as_read(commit.lease)
        opened = commit.set.get("open")
        turns = [turn for turn in (opened, commit.push) if turn is not None]
        commit_id = commit.set.get("commit_id", "")
        docs = await self._parts.split(query["_id"], commit_id, turns, self._clock.now()) if turns else {}
        done = await self._runs.update_one(query, _update(commit, docs))
        return bool(done.matched_count)

    @translated
    async def renew(
        self, run_id: str, fence: int, revision: int, held: Lease, until: float, wake_at: float | None
    ) -> bool:
        query = {"_id": ObjectId(run_id), "revision": revision, "fence": fence, **_lease_as_read(held)}
        done = await self._runs.update_one(query, _changes({"lease.until": until, "wake_at": wake_at}))
        return bool(done.matched_count)

    @translated
    async def due(self, now: float, after: tuple[float, str] | None, limit: int) -> Sequence[tuple[float, str]]:
        at, last = after or (0.0, "")
        found = await self._due({"wake_at": at, "_id": {"$gt": ObjectId(last)}}, limit) if after else []
        if len(found) < limit:  # two queries: an $or would be read without the index by the embedded server
            found += await self._due({"wake_at": {"$gt": at, "$lte": now}}, limit - len(found))
        return found

    async def _due(self, query: Doc, limit: int) -> list[tuple[float, str]]:
        found = self._runs.find(query, {"wake_at": 1}).sort([("wake_at", 1), ("_id", 1)]).limit(limit)
        return [(doc["wake_at"], str(doc["_id"])) async for doc in found]

    @translated
    async def revisions(self, run_ids: Sequence[str]) -> dict[str, int]:
        ids = [ObjectId(run_id) for run_id in run_ids]
        found = self._runs.find({"_id": {"$in": ids}}, {"revision": 1})
        return {str(doc["_id"]): doc["revision"] async for doc in found}

    # ---- older turns

    @translated
    async def archive(self, run_id: str, keep: int, states: int) -> None:
        found = ObjectId(run_id)
        doc = await self._runs.find_one({"_id": found}, {"tail": 1})
        tail = doc["tail"] if doc else []
        old = tail[:-keep]
        if old:
            await self._older.insert(found, old)
            # those that are older still were dropped before: not every archive drops, but one in `states` turns does
            first, last = max(1, tail[0]["number"] - 2 * states + 1), tail[-1]["number"] - states
            if first <= last:
                await self._older.drop_states(found, range(first, last + 1))
            pulled = {"$pull": {"tail": {"number": {"$in": [turn["number"] for turn in old]}}}}
            await self._runs.update_one({"_id": found}, pulled)

    @translated
    async def turn(self, run_id: str, number: int) -> Turn | None:
        return await self._older.numbered(run_id, number)

    @translated
    async def turn_by_key(self, run_id: str, key: str) -> Turn | None:
        return await self._older.find_one(run_id, {"commands.key": key})

    @translated
    async def turn_by_commit(self, run_id: str, commit_ids: Sequence[str]) -> Turn | None:
        return await self._older.find_one(run_id, {"commands.commit_id": {"$in": list(commit_ids)}})

    async def turns_after(self, run_id: str, seq: int) -> AsyncIterator[Turn]:
        try:
            async for turn in self._older.after(run_id, seq):
                yield turn
        except PyMongoError as error:
            translate(error)

    @translated
    async def turn_heads(self, run_id: str) -> Sequence[Turn]:
        return await self._older.heads(run_id)

    # ---- lists, retention, numbers

    @translated
    async def find(self, wanted: RunFilter, skip: int, limit: int) -> tuple[Sequence[Run], int]:
        query: Doc = {"workspace": ObjectId(wanted.workspace), "deleted_at": None}
        if wanted.workflow_id is not None:
            query["workflow_id"] = ObjectId(wanted.workflow_id)
        if wanted.status is not None:
            query["status"] = wanted.status
        bounds = {op: at for op, at in (("$gte", wanted.start), ("$lte", wanted.end)) if at is not None}
        if bounds:
            query["created_at"] = bounds
        if wanted.among is not None:
            query = {"$and": [query, _one_of(wanted.among)]}
        total = await self._runs.count_documents(query)
        page = self._runs.find(query, _ROW).sort([("created_at", -1), ("_id", -1)]).skip(skip).limit(limit)
        return [run_of(doc) async for doc in page], total

    @translated
    async def keep_results(self, run_id: str, name: str, body: bytes) -> None:
        await self._parts.keep(ObjectId(run_id), name, body, self._clock.now())

    @translated
    async def kept_results(self, run_id: str, names: Sequence[str]) -> Sequence[bytes | None]:
        return await self._parts.kept(ObjectId(run_id), names)

    @translated
    async def copy_results(self, run_id: str, to: str) -> None:
        await self._parts.copy(ObjectId(run_id), ObjectId(to), self._clock.now())

    @translated
    async def purge_turns(self, run_id: str) -> None:
        await self._older.purge(run_id)
        await self._parts.purge(ObjectId(run_id))

    @translated
    async def remove(self, run_id: str, revision: int) -> None:
        await self._runs.delete_one({"_id": ObjectId(run_id), "revision": revision})

    @translated
    async def review_parts(self, now: float) -> int:
        return await self._parts.review(now)

    @translated
    async def prepare(self) -> None:
        """Fetches numbers, so that the first start need not."""
        await self._numbers.fill()

    @translated
    async def next_number(self) -> int:
        return await self._numbers.take()


def _one_of(among: Among) -> Doc:
    named = {"_id": among.runs, "workflow_id": among.workflows}
    places = [{field: {"$in": [ObjectId(one) for one in ids]}} for field, ids in named.items() if ids]
    return places[0] if len(places) == 1 else {"$or": places or [{"_id": {"$in": []}}]}


def _lease_as_read(lease: Lease | None) -> Doc:
    if lease is None:
        return {"lease": None}
    return {"lease.owner": lease.owner, "lease.until": lease.until}


def _update(commit: Commit, docs: dict[int, Doc]) -> Doc:
    fields = dict(commit.set)
    if "open" in fields:
        fields["open"] = docs[fields["open"].number] if fields["open"] is not None else None
    if "lease" in fields:
        fields["lease"] = lease_doc(fields["lease"])
    update = _changes(fields)
    if commit.push is not None:
        update["$push"] = {"tail": docs[commit.push.number]}
    return update


def _changes(fields: Doc) -> Doc:
    """$set of what there is, $unset of what is None: null would be in the partial indexes."""
    update = {"$set": {name: value for name, value in fields.items() if value is not None}}
    gone = {name: "" for name, value in fields.items() if value is None}
    return {**update, "$unset": gone} if gone else update
