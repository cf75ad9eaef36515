"""Stored things to test with. `full_…` have a value in every field, so that none can be lost unseen."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from msgspec.structs import replace

from app.adapters.ids import SystemIds
from app.ports import (
    AcceptedCommand,
    ApiKey,
    Commit,
    Lease,
    Origin,
    Pinned,
    Run,
    StoredProvider,
    StoredVersion,
    Turn,
    WorkflowHead,
    Workspace,
)

NOW = 1_800_000_000.5
HOUR = 3_600.0
WORKSPACE = "0123456789abcdef01234567"
WORKFLOW = "76543210fedcba9876543210"
LEASE = Lease("1-process", NOW + 10)
# Bytes that a text store would change, and words that a database might take for its own.
BYTES = bytes(range(256)) + "$set a.b \x00 ünïcödé \U0001f600 $where".encode()
WORDS = 'a.b $set {"$gt": 1} \x00 ünïcödé \U0001f600'

new_id = SystemIds().object_id
_numbers = itertools.count(1)


class SetClock:
    """A clock that stands until it is set. Implements ports.Clock."""

    def __init__(self, now: float) -> None:
        self.time = now

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds
        await asyncio.sleep(0)


def turn(number: int, **changes: Any) -> Turn:
    """A closed one with two events: 2 * number - 1 and 2 * number."""
    closed = Turn(
        number=number,
        cause="command",
        commands=(AcceptedCommand(f"body {number}", f"commit {number}", f"key {number}"),),
        input=b"input %d" % number,
        first_seq=2 * number - 1,
        last_seq=2 * number,
        events=b"events %d" % number,
        reply=b"reply %d" % number,
        state=b"state %d" % number,
        size=30,
        opened_at=NOW + number,
        closed_at=NOW + number + 0.25,
    )
    return replace(closed, **changes)


def open_turn(number: int, **changes: Any) -> Turn:
    """As it is stored while outside work is in progress."""
    return turn(number, **{"last_seq": None, "reply": None, "state": None, "closed_at": None, **changes})


def without_bodies(found: Turn) -> Turn:
    return replace(found, input=b"", batches=(), events=b"", reply=None, state=None)


def run(**changes: Any) -> Run:
    """A run that waits after its first turn."""
    stored = Run(
        id=new_id(),
        workspace=WORKSPACE,
        workflow_id=WORKFLOW,
        version=0,
        pinned=(Pinned(WORKFLOW, 0, "hash"),),
        number=next(_numbers),
        mode="interactive",
        user=None,
        revision=1,
        commit_id=new_id(),
        turn=1,
        status="waiting",
        termination_source=None,
        state=b"state 1",
        next_seq=3,
        tail=(turn(1),),
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(stored, **changes)


def full_run(**changes: Any) -> Run:
    """No field has its default."""
    stored = run(
        pinned=(Pinned(WORKFLOW, 3, "hash"), Pinned(new_id(), 2**40, WORDS)),
        version=3,
        user=WORDS,
        revision=7,
        turn=3,
        status="running",
        termination_source="error",
        error=WORDS,
        usage={"input_tokens": 2**40, "output_tokens": 1, "total_tokens": 2**40 + 1, "estimated": True},
        state=BYTES,
        next_seq=2**40,
        fingerprints=BYTES,
        fingerprints_partial=True,
        start_key=f"{WORDS}{new_id()}",
        open=open_turn(3, cause="timer", commands=(AcceptedCommand(WORDS, new_id(), WORDS), AcceptedCommand("", ""))),
        tail=(turn(1, events=BYTES, reply=BYTES, state=BYTES, input=BYTES), turn(2, commands=())),
        fence=4,
        lease=LEASE,
        wake_at=NOW + 10,
        takeovers=2,
        limited=True,
        forked_from=Origin(new_id(), 5, 6),
        start_reply=BYTES,
        start_hash=WORDS,
        updated_at=NOW + 1 / 3,
        ended_at=NOW + 2,
        deleted_at=NOW + 3,
    )
    return replace(stored, **changes)


def commit(before: Run, *, push: Turn | None = None, filters: dict[str, Any] | None = None, **changes: Any) -> Commit:
    """A commit on `before` with the next revision and an id of its own."""
    fields = {"revision": before.revision + 1, "commit_id": new_id(), **changes}
    return Commit(run_id=before.id, revision=before.revision, set=fields, push=push, **(filters or {}))


def after(before: Run, made: Commit) -> Run:
    """The run as a won commit leaves it."""
    return replace(before, **made.set, tail=(*before.tail, made.push) if made.push else before.tail)


def workspace(**changes: Any) -> Workspace:
    return replace(Workspace(id=new_id(), name=f"{WORDS} {new_id()}", created_at=NOW), **changes)


def api_key(**changes: Any) -> ApiKey:
    key = ApiKey(
        id=new_id(), workspace=WORKSPACE, name="", prefix="ak_abcd", digest=new_id(), scopes=("run",), created_at=NOW
    )
    return replace(key, **changes)


def provider(workspace: str | None = None, **changes: Any) -> StoredProvider:
    """Every field has a value. `workspace` None: a new one."""
    stored = StoredProvider(
        workspace=workspace or new_id(),
        name="models",
        base_url=f"https://{WORDS}",
        sealed=BYTES,
        last4="}$.a",
        default_model=WORDS,
        embedding_model=f"e {WORDS}",
        created_at=NOW,
        updated_at=NOW + 1 / 3,
    )
    return replace(stored, **changes)


def head(**changes: Any) -> WorkflowHead:
    stored = WorkflowHead(
        id=new_id(),
        workspace=WORKSPACE,
        number=next(_numbers),
        handle="wf",
        name="A workflow",
        active_version=0,
        next_version=1,
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(stored, **changes)


def version(workflow: str, number: int = 0, **changes: Any) -> StoredVersion:
    stored = StoredVersion(
        workflow=workflow, number=number, format="graph", source=BYTES, graph_hash="hash", created_at=NOW + number
    )
    return replace(stored, **changes)
