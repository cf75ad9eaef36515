"""What is answered about two versions, as the OpenAPI document shows it."""

from typing import Any, ClassVar

import msgspec
from msgspec import UNSET, UnsetType

from app.api.describe import Shape
from app.api.interactive import examples
from app.api.interactive.schemas import Count, Examples, Object, ObjectId


class Change(Shape, frozen=True, kw_only=True):
    """One place. Without `from` there was nothing before, without `to` there is nothing now."""

    path: str
    before: Any | UnsetType = msgspec.field(default=UNSET, name="from")
    after: Any | UnsetType = msgspec.field(default=UNSET, name="to")


class NodeChange(Shape, frozen=True, kw_only=True):
    """A node that both have; a body is compared by its own nodes."""

    id: str
    changes: list[Change]
    body: "GraphDiff | UnsetType" = UNSET


class EdgeChange(Shape, frozen=True, kw_only=True):
    """An edge that both have, as it is now."""

    edge: Object
    changes: list[Change]


class NodesDiff(Shape, frozen=True, kw_only=True):
    """Nodes, by id."""

    added: list[Object]
    removed: list[Object]
    changed: list[NodeChange]


class EdgesDiff(Shape, frozen=True, kw_only=True):
    """Edges, by id; those without one by their ends."""

    added: list[Object]
    removed: list[Object]
    changed: list[EdgeChange]


class GraphDiff(Shape, frozen=True, kw_only=True):
    """`changes`: of what is neither a node nor an edge."""

    nodes: NodesDiff
    edges: EdgesDiff
    changes: list[Change]


class VersionDiff(GraphDiff, frozen=True, kw_only=True):
    """From one version to another. `equivalent`: they do the same; `truncated`: there is more than is told."""

    examples: ClassVar[Examples] = examples.VERSION_DIFF

    workflow_id: ObjectId
    from_version: Count
    to_version: Count
    equivalent: bool
    truncated: bool
