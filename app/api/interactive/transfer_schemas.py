"""What is taken and answered when workflows are copied, as the OpenAPI document shows it."""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from app.api.describe import Shape
from app.api.interactive import examples
from app.api.interactive.schemas import Count, Examples, Object, ObjectId
from app.api.interactive.workflow_schemas import Name


class Clone(Shape, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Without a name it is `Copy of …`."""

    examples: ClassVar[Examples] = examples.CLONE

    name: Name | None = None


class ExportedVersion(Shape, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One that something in the file refers to."""

    version: Count
    graph: Object


class ExportedChild(Shape, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A workflow that is referred to, or the exported one in other versions. `active_version`: what a reference without a
    version means."""

    id: ObjectId
    name: Name
    description: str | None = None
    active_version: Count
    versions: Annotated[list[ExportedVersion], Meta(min_length=1)]


class Requirements(Shape, frozen=True, kw_only=True):
    """Names that the workspace must have for the graphs to run. Not read by an import."""

    secrets: list[str] | None = None
    providers: list[str] | None = None
    data_sets: list[str] | None = None


class ExportFile(Shape, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A version of a workflow, and every version of a workflow that it can reach. The ids are names within the file."""

    examples: ClassVar[Examples] = examples.EXPORT

    format: Literal["antiphon.workflow"]
    format_version: Literal[1]
    id: ObjectId
    version: Count
    name: Name
    description: str | None = None
    graph: Object
    children: list[ExportedChild] | None = None
    requires: Requirements | None = None
