"""For kinds that execute a body again and again: what they keep, and how they rest when a step has done very much. Then an
effect that does nothing ends the step, and the next commit goes on."""

from __future__ import annotations

from typing import Any, Final

from app.engine.kind import Await, Beside, Context, Part

REST: Final = "rest"  # the name of the part


def rest() -> Beside:
    return Beside((Part(REST, Await("rest", None, once=False)),))


def memo_of(ctx: Context) -> dict[str, Any]:
    """A copy of what the kind keeps, to be changed; what lies in it is not."""
    assert isinstance(ctx.memo, dict), "it was kept when the node was entered"
    return dict(ctx.memo)
