"""What is stored, as Beanie documents: their collections, and the indexes that are made at start.

Runs and everything else on the hot path are read and written through the raw collections (`mapping.py`): a document here
is the declaration of its shape, without the ODM's validation between a request and its reply.
"""

from __future__ import annotations

from typing import Any, ClassVar

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel

Fields = list[tuple[str, int]]


def _index(name: str, fields: Fields, **options: Any) -> IndexModel:
    return IndexModel(fields, name=name, **options)


class WorkspaceDocument(Document):
    name: str
    max_concurrent_runs: int | None = None
    allowed_hosts: list[str] = Field(default_factory=list)
    created_at: float

    class Settings:
        name = "workspaces"
        indexes: ClassVar = [_index("name", [("name", ASCENDING)], unique=True)]


class ApiKeyDocument(Document):
    workspace: Any
    name: str
    prefix: str
    digest: str
    scopes: list[str]
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None

    class Settings:
        name = "api_keys"
        indexes: ClassVar = [
            _index("digest", [("digest", ASCENDING)], unique=True),
            _index("workspace", [("workspace", ASCENDING), ("created_at", ASCENDING)]),
        ]


class WorkflowDocument(Document):
    """The head. `workspace_limit` repeats the workspace's, so that a start reads one document."""

    workspace: Any
    number: int
    handle: str
    name: str
    description: str = ""
    status: str
    active_version: int
    next_version: int
    max_concurrent_runs: int | None = None
    workspace_limit: int | None = None
    created_at: float
    updated_at: float
    deleted_at: float | None = None

    class Settings:
        name = "workflows"
        indexes: ClassVar = [
            _index("number", [("number", ASCENDING)], unique=True),
            _index("workspace", [("workspace", ASCENDING), ("created_at", DESCENDING)]),
        ]


class WorkflowVersionDocument(Document):
    """`_id` is workflow:number."""

    workflow: Any
    number: int
    format: str
    source: bytes
    graph_hash: str | None = None
    name: str | None = None
    created_at: float

    class Settings:
        name = "workflow_versions"
        indexes: ClassVar = [_index("number", [("workflow", ASCENDING), ("number", DESCENDING)])]


class WorkflowRunDocument(Document):
    """One run. `sparse` on a scalar: unique where there is a start key."""

    workspace: Any
    workflow_id: Any
    version: int
    pinned: list[dict[str, Any]]
    number: int
    mode: str
    user: str | None = None
    revision: int
    commit_id: str
    turn: int
    status: str
    termination_source: str | None = None
    error: str | None = None
    usage: dict[str, Any] | None = None
    state: bytes
    next_seq: int
    fingerprints: bytes = b""
    fingerprints_partial: bool = False
    start_key: str | None = None
    open: dict[str, Any] | None = None
    tail: list[dict[str, Any]]
    fence: int = 0
    lease: dict[str, Any] | None = None
    wake_at: float | None = None
    takeovers: int = 0
    limited: bool = False
    forked_from: dict[str, Any] | None = None
    start_reply: bytes | None = None
    start_hash: str | None = None
    created_at: float
    updated_at: float
    ended_at: float | None = None
    deleted_at: float | None = None

    class Settings:
        name = "workflow_runs"
        indexes: ClassVar = [
            _index("start_key", [("start_key", ASCENDING)], unique=True, sparse=True),
            _index("number", [("number", ASCENDING)], unique=True),
            _index(
                "workflow",
                [("workspace", ASCENDING), ("workflow_id", ASCENDING), ("created_at", DESCENDING)],
            ),
            _index("status", [("workspace", ASCENDING), ("status", ASCENDING), ("created_at", DESCENDING)]),
            _index("pinned", [("pinned.workflow", ASCENDING), ("pinned.version", ASCENDING)]),
            _index(
                "wake_at",
                [("wake_at", ASCENDING), ("_id", ASCENDING)],
                partialFilterExpression={"wake_at": {"$gt": 0}},
            ),
        ]


class RunTurnDocument(Document):
    """An older closed turn. `_id` is run:number; `run` and `number` again for the indexes."""

    run: Any
    number: int
    last_seq: int

    class Settings:
        name = "run_turns"
        indexes: ClassVar = [
            _index("last_seq", [("run", ASCENDING), ("last_seq", ASCENDING)]),
            _index("key", [("run", ASCENDING), ("commands.key", ASCENDING)]),
        ]


class RunPartDocument(Document):
    """A body of the turn `turn` over 64 KiB. `_id` is commit_id:k; `review_at`: when it is to be looked whether it is used."""

    run: Any
    turn: int
    body: bytes
    created_at: float
    review_at: float | None = None

    class Settings:
        name = "run_parts"
        indexes: ClassVar = [
            _index("run", [("run", ASCENDING)]),
            _index("review_at", [("review_at", ASCENDING)], partialFilterExpression={"review_at": {"$gt": 0}}),
        ]


class SecretDocument(Document):
    """A secret of a workspace, encrypted. `_id` is workspace:name."""

    workspace: Any
    name: str
    sealed: bytes
    updated_at: float

    class Settings:
        name = "secrets"
        indexes: ClassVar = [_index("workspace", [("workspace", ASCENDING), ("name", ASCENDING)])]


class ProviderDocument(Document):
    """A provider of models of a workspace; `sealed`: its API key, encrypted. `_id` is workspace:name."""

    workspace: Any
    name: str
    base_url: str
    sealed: bytes
    last4: str
    default_model: str | None = None
    embedding_model: str | None = None
    created_at: float
    updated_at: float

    class Settings:
        name = "providers"
        indexes: ClassVar = [_index("workspace", [("workspace", ASCENDING), ("name", ASCENDING)])]


class SlotDocument(Document):
    """A place of a concurrency limit. `_id` is scope:i."""

    scope: str
    i: int
    run: Any
    turn: int
    until: float

    class Settings:
        name = "slots"
        indexes: ClassVar = [_index("scope", [("scope", ASCENDING)]), _index("run", [("run", ASCENDING)])]


class CounterDocument(Document):
    """The next free number of a kind; handed out in blocks."""

    next: int

    class Settings:
        name = "counters"


DOCUMENTS: list[type[Document]] = [
    WorkspaceDocument,
    ApiKeyDocument,
    WorkflowDocument,
    WorkflowVersionDocument,
    WorkflowRunDocument,
    RunTurnDocument,
    RunPartDocument,
    SecretDocument,
    ProviderDocument,
    SlotDocument,
    CounterDocument,
]
