"""What the services need from the world, as Protocols, and the errors that its adapters raise.

The shapes of stored things (Run, Turn, …) follow the data model: a run is one document, and a commit of it is one
filtered update. Times are unix seconds (float, UTC) everywhere inside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

Id = str  # 24 hex digits: an ObjectId
Scope = Literal["admin", "edit", "run", "read"]


class StoreUnavailableError(Exception):
    """The database cannot be reached, or gave no answer in time: nothing is known about the operation."""


class DuplicateError(Exception):
    """An insert lost against a unique index; `field` names it (`start_key`, `_id`, …)."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


class AcceptedCommand(msgspec.Struct, frozen=True):
    """A command that a turn took. `commit_id` is that of the write that accepted it."""

    body_hash: str
    commit_id: str
    key: str | None = None


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One turn. `events`: msgpack of the engine's events; `reply`: the bytes that were answered; `state`: the executor
    state after it. `size`: bytes of the three. `closed_at` None: still open."""

    number: int
    cause: str  # command, expiry, timer, reaper
    commands: tuple[AcceptedCommand, ...] = ()
    input: bytes = b""
    first_seq: int
    last_seq: int | None = None
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


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """The run document. Hot reads leave the bodies (input, events, reply, state) of the tail's turns out: empty or None then.

    `limited`: it holds slots while it has work in progress (a concurrency limit is set).
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
    forked_from_run: Id | None = None
    forked_from_turn: int | None = None
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


class RunFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs a list shows. `search` looks in ids, numbers and workflow names (resolved by the caller to ids)."""

    workspace: Id
    workflow_id: Id | None = None
    status: str | None = None
    start: float | None = None
    end: float | None = None


class RunStore(Protocol):
    """Runs and their older turns. Every method may raise StoreUnavailableError.

    Bodies of turns over 64 KiB are stored apart, before the write that refers to them; readers do not notice.
    """

    async def insert(self, run: Run) -> None:
        """Journaled. Raises DuplicateError (`start_key`, `_id`)."""

    async def read(self, run_id: Id, *, bodies: bool = False) -> Run | None:
        """The run, deleted ones included (see `deleted_at`); without `bodies` the tail's turns have sizes only."""

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

    async def purge_turns(self, run_id: Id) -> None:
        """Removes the older turns and parts of a run."""

    async def remove(self, run_id: Id, revision: int) -> None:
        """Removes the run itself, at that revision, after its turns and parts."""

    async def review_parts(self, now: float) -> int:
        """Removes parts of lost commits, an hour after they were made. How many were looked at."""

    async def next_number(self) -> int:
        """Unique; handed out in blocks per process."""


class WorkflowHead(msgspec.Struct, frozen=True, kw_only=True):
    """The named thing people edit. `next_version`: the number the next version gets."""

    id: Id
    workspace: Id
    number: int
    handle: str
    name: str
    description: str = ""
    status: str = "active"
    active_version: int
    next_version: int
    max_concurrent_runs: int | None = None
    workspace_limit: int | None = None
    created_at: float
    updated_at: float
    deleted_at: float | None = None


class StoredVersion(msgspec.Struct, frozen=True, kw_only=True):
    """An immutable graph. `source`: its JSON as saved; `graph_hash` None: it was kept with faults and cannot run."""

    workflow: Id
    number: int
    format: str
    source: bytes
    graph_hash: str | None
    name: str | None = None
    created_at: float


class WorkflowStore(Protocol):
    """Workflows and versions. Every method may raise StoreUnavailableError."""

    async def insert(self, head: WorkflowHead, version: StoredVersion) -> None:
        """The version first, then the head. Raises DuplicateError."""

    async def head(self, workflow_id: Id) -> WorkflowHead | None:
        """One find; the deleted ones included."""

    async def head_by_number(self, number: int) -> WorkflowHead | None: ...

    async def update(self, workflow_id: Id, changes: dict[str, Any], *, active_version: int | None = None) -> bool:
        """Sets fields of the head; `active_version` given: only if that is the active one. False: no match."""

    async def list(self, workspace: Id, skip: int, limit: int) -> tuple[Sequence[WorkflowHead], int]: ...

    async def take_version_number(self, workflow_id: Id) -> int | None:
        """Raises `next_version` by one and returns the number that was free; None: no such workflow."""

    async def drop_versions(self, workflow_id: Id, keep: int) -> int:
        """Removes inactive versions beyond the newest `keep` that no run refers to; how many."""

    async def insert_version(self, version: StoredVersion) -> None: ...

    async def version(self, workflow_id: Id, number: int) -> StoredVersion | None: ...

    async def versions(self, workflow_id: Id, skip: int, limit: int) -> tuple[Sequence[StoredVersion], int]: ...

    async def rename_version(self, workflow_id: Id, number: int, name: str) -> bool: ...

    async def next_number(self) -> int: ...


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key of a workspace; only its SHA-256 is stored."""

    id: Id
    workspace: Id
    name: str
    prefix: str
    digest: str
    scopes: tuple[Scope, ...]
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None


class Workspace(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant. `max_concurrent_runs` None: no limit."""

    id: Id
    name: str
    created_at: float
    max_concurrent_runs: int | None = None


class AccountStore(Protocol):
    """Workspaces and keys."""

    async def insert_workspace(self, workspace: Workspace) -> None:
        """Raises DuplicateError (`name`)."""

    async def workspace(self, workspace_id: Id) -> Workspace | None: ...

    async def workspace_by_name(self, name: str) -> Workspace | None: ...

    async def update_workspace(self, workspace: Workspace) -> None:
        """Its name and its limit; the limit is also written into the heads of its workflows, where starts read it.
        Raises DuplicateError (`name`)."""

    async def insert_key(self, key: ApiKey) -> None:
        """Raises DuplicateError (`digest`)."""

    async def key_by_digest(self, digest: str) -> ApiKey | None: ...

    async def keys(self, workspace_id: Id) -> Sequence[ApiKey]: ...

    async def revoke_key(self, key_id: Id, now: float) -> bool: ...


class SlotStore(Protocol):
    """Concurrency limits: numbered places of a scope, each held by one run until a time."""

    async def take(self, scope: str, places: int, run_id: Id, until: float, now: float) -> bool:
        """A free or lapsed place for the run, or the one it has. False: all are taken."""

    async def extend(self, run_id: Id, until: float) -> None:
        """Every place that the run holds."""

    async def release(self, run_id: Id) -> None:
        """Every place that the run holds."""


class Clock(Protocol):
    """The one clock. Unix seconds."""

    def now(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


class Ids(Protocol):
    """New identifiers."""

    def object_id(self) -> Id: ...

    def commit_id(self) -> str: ...


class AnswerChecker(Protocol):
    """JSON Schema of answers."""

    def schema_fault(self, schema: Any) -> str | None:
        """What is wrong with a schema itself; None: nothing."""

    def check(self, schema: Any, value: Any) -> list[tuple[str, str]]:
        """(path, message) of everything that does not fit."""


class EffectContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a performer is told: the key stays the same on every attempt and takeover."""

    run_id: Id
    effect_id: str
    idempotency_key: str
    attempt: int
    operation: str
    request: Any


class EffectError(Exception):
    """An effect that failed. `retryable`: another attempt may succeed."""

    def __init__(self, error_type: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.message = message
        self.retryable = retryable


class Performer(Protocol):
    """Does one kind of outside work. Cancelled when it is no longer wanted."""

    async def perform(self, context: EffectContext) -> Any:
        """The result, as a plain value. Raises EffectError."""
