"""Ends its branch; the run completes when no branch is left."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import msgspec

from app.engine.kind import Context, EndBranch, NodeKind, Outcome
from app.engine.values import Value


class End(NodeKind, frozen=True, kw_only=True):
    """`outputs` are merged into the run's."""

    kind: ClassVar[str] = "end"

    outputs: dict[str, Value] = msgspec.field(default_factory=dict)

    def handles(self) -> Iterable[str]:
        return ()

    def enter(self, ctx: Context) -> Outcome:
        return EndBranch({name: ctx.value(value) for name, value in self.outputs.items()})
