"""A durable timer, relative or absolute."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar

import msgspec

from app.engine import template
from app.engine.kind import Context, Fail, Fault, Leave, NodeKind, Outcome, Reply, Sleep
from app.engine.times import from_iso, to_iso

NO_TIME = "must be ISO 8601 with a zone"


class Wait(NodeKind, frozen=True, kw_only=True):
    """Exactly one of `seconds` and `until` (ISO 8601 with zone; one that has passed: at once). Its output says when it
    went on."""

    kind: ClassVar[str] = "wait"
    waits: ClassVar[bool] = True

    seconds: Annotated[float, msgspec.Meta(ge=0, le=31_536_000)] | None = None
    until: str | None = None

    def faults(self, path: str) -> Iterable[Fault]:
        if (self.seconds is None) == (self.until is None):
            yield Fault(path, "needs exactly one of seconds and until")
        if self.until is not None and template.is_literal(self.until) and from_iso(self.until) is None:
            yield Fault(f"{path}.until", NO_TIME)

    def enter(self, ctx: Context) -> Outcome:
        if self.seconds is not None:
            return Sleep(ctx.now + self.seconds)
        until = from_iso(ctx.text(self.until or ""))
        return Fail("invalid_value", f"until {NO_TIME}") if until is None else Sleep(until)

    def receive(self, ctx: Context, reply: Reply) -> Outcome:
        return Leave({"waited_until": to_iso(ctx.now)})
