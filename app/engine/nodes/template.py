"""Renders a text outside the engine, with all that rich templates can."""

from __future__ import annotations

from typing import ClassVar

from app.engine.kind import Context, Leave, NodeKind, Outcome


class Template(NodeKind, frozen=True, kw_only=True):
    """Its output is `{output}`: a text, or of a single `{{ }}` its value."""

    kind: ClassVar[str] = "template"
    rich_texts: ClassVar[frozenset[str]] = frozenset({"template"})
    may_retry: ClassVar[bool] = True

    template: str

    def enter(self, ctx: Context) -> Outcome:
        return Leave({"output": ctx.value(self.template)})
