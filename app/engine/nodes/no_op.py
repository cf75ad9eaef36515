"""A test's friend: waits, fails on demand, gives back a value."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from app.engine.kind import Context, Fail, Leave, NodeKind, Outcome, Reply, Sleep
from app.engine.values import Value


class NoOp(NodeKind, frozen=True, kw_only=True):
    """`delay_seconds` is a durable timer; `simulate_failure`: always (true), or that many times."""

    kind: ClassVar[str] = "no_op"
    may_retry: ClassVar[bool] = True

    delay_seconds: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 0
    simulate_failure: bool | Annotated[int, msgspec.Meta(ge=0, le=100)] = False
    output: Value = None

    def slows_a_cycle(self) -> bool:
        return self.delay_seconds > 0

    def enter(self, ctx: Context) -> Outcome:
        return Sleep(ctx.now + self.delay_seconds) if self.delay_seconds else self._finish(ctx)

    def receive(self, ctx: Context, reply: Reply) -> Outcome:
        return self._finish(ctx)

    def _finish(self, ctx: Context) -> Outcome:
        if self.simulate_failure is True or ctx.attempt < self.simulate_failure:
            return Fail("simulated", "this failure was asked for", retryable=True)
        return Leave(ctx.value(self.output))
