"""Runs Python in a sandbox: it computes, and reaches nothing outside."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar

import msgspec

from app.engine.kind import Await, Claim, Context, Leave, NodeKind, Outcome, Reply, Succeeded
from app.engine.values import Value

PATIENCE_SECONDS = 60.0  # waiting for a free worker does not count among the code's own seconds


class Code(NodeKind, frozen=True, kw_only=True):
    """Its output is `{output, printed}`: what `main` returns, called with the inputs; without a `main` the inputs are
    globals and the variable `output` is read."""

    kind: ClassVar[str] = "code"
    plain_texts: ClassVar[frozenset[str]] = frozenset({"code"})
    may_retry: ClassVar[bool] = True

    code: str
    inputs: dict[str, Value] = msgspec.field(default_factory=dict)
    timeout_seconds: Annotated[float, msgspec.Meta(gt=0, le=30)] = 5

    def claims(self, path: str) -> Iterable[Claim]:
        return (Claim(f"{path}.code", "code", self.code),)

    def enter(self, ctx: Context) -> Outcome:
        request = {"code": self.code, "inputs": ctx.value(self.inputs), "timeout_seconds": self.timeout_seconds}
        return Await("code", request, once=False, timeout_seconds=self.timeout_seconds + PATIENCE_SECONDS)

    def receive(self, ctx: Context, reply: Reply) -> Outcome:
        if not isinstance(reply, Succeeded):
            return super().receive(ctx, reply)
        return Leave(reply.result)
