"""Runs as they are stored, and the store that keeps them: one document a run, one filtered update a commit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

import msgspec

from app.ports.names import Id


class AcceptedCommand(msgspec.Struct, frozen=True):
    """A command that a turn took. `commit_id` is that of the write that accepted it."""

    body_hash: str
    commit_id: str
    key: str | None = None


class EventBatch(msgspec.Struct, frozen=True, kw_only=True):
    """Events of a long turn that will not change any more and are stored apart, so that a commit does not write them again.
    `id` begins with that of the commit that wrote them; `body`: msgpack, empty where it was not read."""

    id: str
    last_seq: int
    size: int
    body: bytes = b""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One turn. `events`: msgpack of the engine's events, behind those in `batches`; `reply`: the bytes that were answered;
    `state`: the executor state after it. `size`: bytes of them. `closed_at` None: still open."""

    number: int
    cause: str  # command, expiry, timer, reaper
    commands: tuple[AcceptedCommand, ...] = ()
    input: bytes = b""
    first_seq: int
    last_seq: int | None = None
    batches: tuple[EventBatch, ...] = ()
    events: bytes = b""
    reply: bytes | None = None
    state: bytes | None = None
    size: int = 0
    opened_at: float
    closed_at: float | None = None


class Lease(msgspec.Struct, frozen=True):
    """`owner` performs the run's effects until `until` (unix seconds)."""

    owner: str
    until: float


class Pinned(msgspec.Struct, frozen=True):
    """A version that a run can reach, fixed at its start."""

    workflow: Id
    version: int
    graph_hash: str


class Origin(msgspec.Struct, frozen=True):
    """Where a fork comes from: its turns and events up to these belong to the run `run`."""

    run: Id
    turn: int
    seq: int


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """The run document. Hot reads leave the bodies (input, events, reply, state) of the tail's turns out: empty or None then.

    `limited`: it holds slots while it has work in progress (a concurrency limit is set). `usage`: tokens, the fields of
    engine.talk.Usage. `start_reply`: what made it was answered with this, where that is no turn (a fork), and `start_hash`
    is that request's body hash.
    """

    id: Id
    workspace: Id
    workflow_id: Id
    version: int
    pinned: tuple[Pinned, ...]
    number: int
    mode: str
    user: str | None
    revision: int
    commit_id: str
    turn: int
    status: str
    termination_source: str | None
    error: str | None = None
    usage: dict[str, Any] | None = None
    state: bytes
    next_seq: int
    fingerprints: bytes = b""
    fingerprints_partial: bool = False
    start_key: str | None = None
    open: Turn | None = None
    tail: tuple[Turn, ...] = ()
    fence: int = 0
    lease: Lease | None = None
    wake_at: float | None = None
    takeovers: int = 0
    limited: bool = False
    forked_from: Origin | None = None
    start_reply: bytes | None = None
    start_hash: str | None = None
    created_at: float
    updated_at: float
    ended_at: float | None = None
    deleted_at: float | None = None


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """One update of a run document: matched on `_id`, `revision` and, where given, `fence` and the lease as read.

    `set` has the fields of Run to set (by their names; None unsets); `push` is a closed turn for the tail.
    """

    run_id: Id
    revision: int
    set: dict[str, Any]
    push: Turn | None = None
    fence: int | None = None  # given: also filtered on
    lease: Lease | None = None
    match_lease: bool = False  # True: `lease` (None: no lease) must be the stored one


class Among(msgspec.Struct, frozen=True):
    """These runs, and those of these workflows."""

    runs: tuple[Id, ...] = ()
    workflows: tuple[Id, ...] = ()


class RunFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs a list shows. `among`: only of these; None: of all."""

    workspace: Id
    workflow_id: Id | None = None
    status: str | None = None
    start: float | None = None
    end: float | None = None
    among: Among | None = None


class RunStore(Protocol):
    """Runs and their older turns. Every method may raise StoreUnavailableError.

    Bodies of turns over 64 KiB are stored apart, before the write that refers to them; readers do not notice.
    """

    async def insert(self, run: Run) -> None:
        """Journaled. Raises DuplicateError (`start_key`, `_id`)."""

    async def read(self, run_id: Id, *, bodies: bool = False, after: int = 0) -> Run | None:
        """The run, deleted ones included (see `deleted_at`); without `bodies` the tail's turns have sizes only. Of the open
        turn's batches of events only those are read that reach beyond number `after`."""

    async def read_by_start_key(self, start_key: str, *, bodies: bool = False) -> Run | None: ...

    async def id_by_number(self, workspace: Id, number: int) -> Id | None: ...

    async def commit(self, commit: Commit) -> bool:
        """True: it matched and is journaled. False: no match, nothing changed."""

    async def renew(
        self, run_id: Id, fence: int, revision: int, held: Lease, until: float, wake_at: float | None
    ) -> bool:
        """Lengthens a lease; leaves `revision` alone. Filtered on the fence, the revision and the lease as read."""

    async def due(self, now: float, after: tuple[float, Id] | None, limit: int) -> Sequence[tuple[float, Id]]:
        """(`wake_at`, id) of the runs due by `now`, in that order, behind `after`."""

    async def revisions(self, run_ids: Sequence[Id]) -> dict[Id, int]:
        """The present revision of each run: one query for all runs that a process watches."""

    async def archive(self, run_id: Id, keep: int, states: int) -> None:
        """Moves the closed turns of the tail but the newest `keep` to run_turns (insert, then pull), and drops the states
        of all but the newest `states` turns: three operations."""

    async def turn(self, run_id: Id, number: int) -> Turn | None:
        """An older turn from run_turns."""

    async def turn_by_key(self, run_id: Id, key: str) -> Turn | None: ...

    async def turn_by_commit(self, run_id: Id, commit_ids: Sequence[str]) -> Turn | None: ...

    def turns_after(self, run_id: Id, seq: int) -> AsyncIterator[Turn]:
        """Older turns whose last_seq is beyond `seq`, by number."""

    async def turn_heads(self, run_id: Id) -> Sequence[Turn]:
        """All older turns without bodies, by number."""

    async def find(self, wanted: RunFilter, skip: int, limit: int) -> tuple[Sequence[Run], int]:
        """A page, newest first, without state and turns, and the total. Deleted runs are left out."""

    async def keep_results(self, run_id: Id, name: str, body: bytes) -> None:
        """Stores results that the state does not hold, under a name within the run; again is the same. Journaled."""

    async def kept_results(self, run_id: Id, names: Sequence[str]) -> Sequence[bytes | None]:
        """In the order of the names; None: there are none."""

    async def copy_results(self, run_id: Id, to: Id) -> None:
        """All that a run has kept, for a run that goes on from its state."""

    async def purge_turns(self, run_id: Id) -> None:
        """Removes the older turns, parts and kept results of a run."""

    async def remove(self, run_id: Id, revision: int) -> None:
        """Removes the run itself, at that revision, after its turns and parts."""

    async def review_parts(self, now: float) -> int:
        """Removes parts of lost commits, an hour after they were made. How many were looked at."""

    async def next_number(self) -> int:
        """Unique; handed out in blocks per process."""
