"""A node kind for tests: it asks for outside work, and its results say what it does next."""

from __future__ import annotations

from typing import ClassVar

from app.engine.kind import Ask, Await, Context, Fail, Leave, NodeKind, Outcome, Reply, Succeeded
from app.engine.nodes import CATALOGUE
from app.engine.values import Value

AGAIN = "again"


class Probe(NodeKind, frozen=True, kw_only=True):
    """Awaits one effect after the other as long as the result is AGAIN; leaves with the first other result."""

    kind: ClassVar[str] = "probe"
    may_retry: ClassVar[bool] = True
    waits: ClassVar[bool] = True

    once: bool = True
    request: Value = None

    def enter(self, ctx: Context) -> Outcome:
        return self._wanted(ctx)

    def receive(self, ctx: Context, reply: Reply) -> Outcome:
        assert isinstance(reply, Succeeded)
        return self._wanted(ctx) if reply.result == AGAIN else Leave(reply.result)

    def _wanted(self, ctx: Context) -> Await:
        return Await("probe", ctx.value(self.request), once=self.once, timeout_seconds=30.0)


class Doorbell(NodeKind, frozen=True, kw_only=True):
    """Asks, and has an effect beside its question, which may be repeated; says what came of it."""

    kind: ClassVar[str] = "doorbell"
    may_retry: ClassVar[bool] = True
    waits: ClassVar[bool] = True

    def enter(self, ctx: Context) -> Outcome:
        return Ask("ask", "Who is there?")

    def asked(self, ctx: Context, pause_id: str, question: Ask) -> Await | None:
        return Await("probe", pause_id)

    def noticed(self, ctx: Context, ended: Reply | Fail) -> None:
        ctx.say(ended.error_message if isinstance(ended, Fail) else str(ended))

    def receive(self, ctx: Context, reply: Reply) -> Outcome:
        return Leave(None)


KINDS: dict[str, type[NodeKind]] = {**CATALOGUE, Probe.kind: Probe, Doorbell.kind: Doorbell}
