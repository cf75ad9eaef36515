"""Runs another workflow within this run: with its own inputs, variables and outputs, and no run id of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, ClassVar

import msgspec

from app.engine.kind import Beside, Child, Claim, Context, Fail, Fault, Leave, NodeKind, Outcome, Part, Reply, Succeeded
from app.engine.values import Value

WORKFLOW_ID = re.compile(r"[0-9a-f]{24}")
Version = Annotated[int, msgspec.Meta(ge=0)]


class Workflow(NodeKind, frozen=True, kw_only=True):
    """Its output is `{outputs}`. Without `version` it is the one that is active when the run begins."""

    kind: ClassVar[str] = "workflow"
    plain_texts: ClassVar[frozenset[str]] = frozenset({"workflow_id"})

    workflow_id: str
    version: Version | None = None
    inputs: dict[str, Value] = msgspec.field(default_factory=dict)

    def faults(self, path: str) -> Iterable[Fault]:
        return id_faults(self.workflow_id, path)

    def claims(self, path: str) -> Iterable[Claim]:
        yield child_claim(self.workflow_id, self.version, path)

    def children(self) -> Iterable[tuple[str, int | None]]:
        yield self.workflow_id, self.version

    def enter(self, ctx: Context) -> Outcome:
        inputs = {name: ctx.value(value) for name, value in self.inputs.items()}
        return Beside((Part("child", Child(self.workflow_id, self.version, inputs)),))

    def part_ended(self, ctx: Context, name: str, ended: Reply | Fail) -> Outcome:
        if isinstance(ended, Fail):
            return Fail("child_failed", ended.error_message, details={"cause": ended.error_type})
        assert isinstance(ended, Succeeded), "a child ends well or fails"
        return Leave({"outputs": ended.result})


def id_faults(workflow_id: str, path: str) -> Iterable[Fault]:
    """`path`: the place of what holds the `workflow_id`."""
    if not WORKFLOW_ID.fullmatch(workflow_id):
        yield Fault(f"{path}.workflow_id", "is the id of a workflow: 24 digits of 0-9 and a-f")


def child_claim(workflow_id: str, version: int | None, path: str) -> Claim:
    """That there is such a workflow, for those who can look."""
    return Claim(f"{path}.workflow_id", "workflow", [workflow_id, version])
