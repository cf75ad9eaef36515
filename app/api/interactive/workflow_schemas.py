"""What is taken and answered about workflows, versions and the workspace, as the OpenAPI document shows it."""

from typing import Annotated, Any, ClassVar, Literal

from msgspec import UNSET, Meta, UnsetType

from app.api.describe import Shape
from app.api.interactive import examples
from app.api.interactive.schemas import Count, Detail, Examples, Object, ObjectId, Page, Seconds, Uuid
from app.engine.nodes import CATALOGUE

Name = Annotated[str, Meta(max_length=200, min_length=1, pattern=r"\S")]
Limit = Annotated[int, Meta(ge=1, le=1_000_000)]
NodeId = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,64}$")]
NodeType = Annotated[str, Meta(extra_json_schema={"enum": sorted(CATALOGUE)})]


class Node(Shape, frozen=True, kw_only=True):
    """`config` depends on `type`. Other fields are kept."""

    id: NodeId
    type: NodeType
    name: str | None = None
    config: Object | None = None


class Edge(Shape, frozen=True, kw_only=True):
    """An arrow, by default from `out`. Other fields are kept."""

    source: NodeId
    target: NodeId
    id: str | None = None
    source_handle: str | None = None
    target_handle: Literal["in"] | None = None


class Graph(Shape, frozen=True, kw_only=True):
    """Nodes, one of them the start, and edges."""

    nodes: Annotated[list[Node], Meta(min_length=1, max_length=500)]
    edges: Annotated[list[Edge], Meta(max_length=2_000)] | UnsetType = UNSET


class NewWorkflow(Shape, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A workflow with its first version."""

    examples: ClassVar[Examples] = examples.NEW_WORKFLOW

    name: Name
    description: str | None = None
    graph: Graph


class WorkflowRow(Shape, frozen=True, kw_only=True):
    """A workflow in a list."""

    id: ObjectId
    number: Count
    handle: Annotated[str, Meta(pattern="^wf_[0-9a-f]{24}$")]
    uuid: Uuid
    name: str
    description: str
    status: Literal["active", "deleted"]
    active_version: Count
    max_concurrent_runs: Limit | None
    created_at: Seconds
    updated_at: Seconds


class Workflow(WorkflowRow, frozen=True, kw_only=True):
    """With the graph of the active version, as it was saved."""

    examples: ClassVar[Examples] = examples.WORKFLOW

    graph: Object


class WorkflowPage(Page, frozen=True, kw_only=True):
    """Newest first."""

    examples: ClassVar[Examples] = examples.WORKFLOW_PAGE

    items: list[WorkflowRow]


class WorkflowChange(Shape, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is absent or null stays."""

    examples: ClassVar[Examples] = examples.WORKFLOW_CHANGE

    name: Name | None = None
    description: str | None = None
    graph: Graph | None = None


class Concurrency(Shape, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """null: no limit."""

    examples: ClassVar[Examples] = examples.CONCURRENCY

    max_concurrent_runs: Limit | None


class ConcurrencyReply(Shape, frozen=True, kw_only=True):
    """The limit from now on."""

    examples: ClassVar[Examples] = examples.CONCURRENCY_REPLY

    workflow_id: ObjectId
    max_concurrent_runs: Limit | None
    message: str


class GraphToCheck(Shape, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Anything may be checked; absent or null: the active version."""

    examples: ClassVar[Examples] = examples.GRAPH_TO_CHECK

    graph: Any = None


class Validity(Shape, frozen=True, kw_only=True):
    """Every fault and warning of a graph."""

    examples: ClassVar[Examples] = examples.VALIDITY

    valid: bool
    errors: list[Detail]
    warnings: list[Detail]


class NewVersion(Shape, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From a graph, or from another version; by default the active one."""

    examples: ClassVar[Examples] = examples.NEW_VERSION

    graph: Graph | None = None
    source_version_number: Count | None = None
    name: Name | None = None
    mark_as_active: bool | None = None


class VersionRow(Shape, frozen=True, kw_only=True):
    """A version in a list."""

    workflow_id: ObjectId
    version_number: Count
    name: str | None
    active: bool
    created_at: Seconds


class Version(VersionRow, frozen=True, kw_only=True):
    """With its graph, as it was saved."""

    examples: ClassVar[Examples] = examples.VERSION

    graph: Object


class VersionPage(Page, frozen=True, kw_only=True):
    """Newest first."""

    examples: ClassVar[Examples] = examples.VERSION_PAGE

    items: list[VersionRow]


class Rename(Shape, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A version's new name."""

    examples: ClassVar[Examples] = examples.RENAME

    name: Name


class Workspace(Shape, frozen=True, kw_only=True):
    """Whose everything is."""

    examples: ClassVar[Examples] = examples.WORKSPACE

    id: ObjectId
    name: str
    max_concurrent_runs: Limit | None
    created_at: Seconds


class WorkspaceChange(Shape, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is absent stays; a limit of null is no limit."""

    examples: ClassVar[Examples] = examples.WORKSPACE_CHANGE

    name: Name | None = None
    max_concurrent_runs: Limit | UnsetType | None = UNSET
