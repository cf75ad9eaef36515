"""Runs and turns as documents, and back. By hand: this is the hot path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bson import ObjectId

from app.ports import AcceptedCommand, EventBatch, Lease, Origin, Pinned, Run, Turn

Doc = dict[str, Any]
BODIES = ("events", "reply", "state", "input")
# A hot read leaves the bodies of what is over in the database.
WITHOUT_TAIL_BODIES = {**{f"tail.{name}": 0 for name in (*BODIES, "batches")}, "start_reply": 0}
WITHOUT_BODIES = dict.fromkeys((*BODIES, "batches"), 0)


def fits(number: int) -> bool:
    """False: no stored number can be this one."""
    return -(2**63) <= number < 2**63


def oid(text: str) -> ObjectId | None:
    """None: no id at all, so nothing can have it."""
    return ObjectId(text) if ObjectId.is_valid(text) and len(text) == 24 else None


def key_of(owner: ObjectId | str, part: int | str) -> str:
    """The `_id` of what is numbered or named within something else. A text, because not every server looks a nested `_id` up in
    its index."""
    return f"{owner}:{part}"


def turn_doc(turn: Turn) -> Doc:
    """What is absent (None; of input and events: empty) is left out."""
    doc: Doc = {
        "number": turn.number,
        "cause": turn.cause,
        "commands": [_command_doc(command) for command in turn.commands],
        "first_seq": turn.first_seq,
        "size": turn.size,
        "opened_at": turn.opened_at,
    }
    for name in (*BODIES, "last_seq", "closed_at"):
        value = getattr(turn, name)
        if value is not None and (value != b"" or name in ("reply", "state")):
            doc[name] = value
    if turn.batches:
        doc["batches"] = [{"id": one.id, "last_seq": one.last_seq, "size": one.size} for one in turn.batches]
    return doc


def _command_doc(command: AcceptedCommand) -> Doc:
    doc = {"body_hash": command.body_hash, "commit_id": command.commit_id}
    return doc if command.key is None else {**doc, "key": command.key}


def turn_of(doc: Mapping[str, Any]) -> Turn:
    """The inverse of `turn_doc`; bodies that were not read are empty or None."""
    return Turn(
        number=doc["number"],
        cause=doc["cause"],
        commands=tuple(AcceptedCommand(c["body_hash"], c["commit_id"], c.get("key")) for c in doc["commands"]),
        input=doc.get("input", b""),
        first_seq=doc["first_seq"],
        last_seq=doc.get("last_seq"),
        batches=tuple([_batch_of(one) for one in doc.get("batches", ())]),
        events=doc.get("events", b""),
        reply=doc.get("reply"),
        state=doc.get("state"),
        size=doc["size"],
        opened_at=doc["opened_at"],
        closed_at=doc.get("closed_at"),
    )


def _batch_of(doc: Mapping[str, Any]) -> EventBatch:
    return EventBatch(id=doc["id"], last_seq=doc["last_seq"], size=doc["size"], body=doc.get("body", b""))


def lease_doc(lease: Lease | None) -> Doc | None:
    return None if lease is None else {"owner": lease.owner, "until": lease.until}


def run_doc(run: Run, turns: Mapping[int, Doc]) -> Doc:
    """`turns`: its turns as stored, by number."""
    doc: Doc = {
        "_id": ObjectId(run.id),
        "workspace": ObjectId(run.workspace),
        "workflow_id": ObjectId(run.workflow_id),
        "version": run.version,
        "pinned": [
            {"workflow": ObjectId(one.workflow), "version": one.version, "graph_hash": one.graph_hash}
            for one in run.pinned
        ],
        "tail": [turns[turn.number] for turn in run.tail],
    }
    for name in _PLAIN:
        value = getattr(run, name)
        if value is not None:
            doc[name] = value
    if run.open is not None:
        doc["open"] = turns[run.open.number]
    if run.lease is not None:
        doc["lease"] = lease_doc(run.lease)
    if run.forked_from is not None:
        origin = run.forked_from
        doc["forked_from"] = {"run": ObjectId(origin.run), "turn": origin.turn, "seq": origin.seq}
    return doc


_PLAIN = (
    "number",
    "mode",
    "user",
    "revision",
    "commit_id",
    "turn",
    "status",
    "termination_source",
    "error",
    "usage",
    "state",
    "next_seq",
    "fingerprints",
    "fingerprints_partial",
    "start_key",
    "start_reply",
    "start_hash",
    "fence",
    "wake_at",
    "takeovers",
    "limited",
    "created_at",
    "updated_at",
    "ended_at",
    "deleted_at",
)


def run_of(doc: Mapping[str, Any]) -> Run:
    """The inverse of `run_doc`. Rows of lists have no state and no turns."""
    get = doc.get
    lease, origin, opened = get("lease"), get("forked_from"), get("open")
    return Run(
        id=str(doc["_id"]),
        workspace=str(doc["workspace"]),
        workflow_id=str(doc["workflow_id"]),
        version=doc["version"],
        pinned=tuple(Pinned(str(one["workflow"]), one["version"], one["graph_hash"]) for one in get("pinned", ())),
        number=doc["number"],
        mode=doc["mode"],
        user=get("user"),
        revision=doc["revision"],
        commit_id=doc["commit_id"],
        turn=doc["turn"],
        status=doc["status"],
        termination_source=get("termination_source"),
        error=get("error"),
        usage=get("usage"),
        state=get("state", b""),
        next_seq=doc["next_seq"],
        fingerprints=get("fingerprints", b""),
        fingerprints_partial=get("fingerprints_partial", False),
        start_key=get("start_key"),
        open=turn_of(opened) if opened else None,
        tail=tuple(turn_of(turn) for turn in get("tail", ())),
        fence=get("fence", 0),
        lease=Lease(lease["owner"], lease["until"]) if lease else None,
        wake_at=get("wake_at"),
        takeovers=get("takeovers", 0),
        limited=get("limited", False),
        forked_from=Origin(str(origin["run"]), origin["turn"], origin["seq"]) if origin else None,
        start_reply=get("start_reply"),
        start_hash=get("start_hash"),
        created_at=doc["created_at"],
        updated_at=doc["updated_at"],
        ended_at=get("ended_at"),
        deleted_at=get("deleted_at"),
    )
