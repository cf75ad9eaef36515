"""Makes an event of the runtime variables."""

from __future__ import annotations

from typing import ClassVar

from app.engine.kind import Context, Leave, NodeKind, Outcome


class ShowState(NodeKind, frozen=True, kw_only=True):
    """Has no configuration."""

    kind: ClassVar[str] = "show_state"

    def enter(self, ctx: Context) -> Outcome:
        ctx.show_variables()
        return Leave()
