"""Writes runtime variables."""

from __future__ import annotations

from typing import ClassVar

from app.engine.kind import Context, Leave, NodeKind, Outcome
from app.engine.values import Value


class Set(NodeKind, frozen=True, kw_only=True):
    """All values are rendered before any is written, and all are written or none. Its output is what it wrote."""

    kind: ClassVar[str] = "set"

    values: dict[str, Value]

    def enter(self, ctx: Context) -> Outcome:
        rendered = {name: ctx.value(value) for name, value in self.values.items()}
        ctx.set_variables(rendered)
        return Leave(rendered)
