"""Asks a person and waits, as long as it takes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal

import msgspec

from app.engine.kind import (
    Answered,
    Ask as Question,
    Choice,
    Claim,
    Context,
    Expired,
    Fail,
    Fault,
    Leave,
    NodeKind,
    Outcome,
    Reply,
)
from app.engine.nodes.names import TAKEN_HANDLES
from app.engine.values import Value


class OfferedChoice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`id` is the answer and the handle, `title` what is shown (empty: the id)."""

    id: str
    title: str = ""


class Ask(NodeKind, frozen=True, kw_only=True):
    """Pauses the run. Its output is the answer, of several choices the id; `output` names the runtime variable that gets
    it too. With `branch_on_choice` the ids are handles and no templates."""

    kind: ClassVar[str] = "ask"
    plain_texts: ClassVar[frozenset[str]] = frozenset({"output", "schema", "on_expiry"})
    waits: ClassVar[bool] = True

    prompt: str
    output: str | None = None
    schema: Value = None
    choices: tuple[str | OfferedChoice, ...] = ()
    branch_on_choice: bool = False
    expires_in_seconds: Annotated[float, msgspec.Meta(ge=0, le=10 * 31_536_000)] = 0
    on_expiry: Literal["fail", "branch"] = "fail"

    def handles(self) -> Iterable[str]:
        normal = [choice.id for choice in self._offered()] if self.branch_on_choice else ["out"]
        return [*normal, "expired"] if self.on_expiry == "branch" else normal

    def claims(self, path: str) -> Iterable[Claim]:
        return () if self.schema is None else (Claim(f"{path}.schema", "schema", self.schema),)

    def _offered(self) -> list[OfferedChoice]:
        return [OfferedChoice(one) if isinstance(one, str) else one for one in self.choices]

    def faults(self, path: str) -> Iterable[Fault]:
        seen: set[str] = set()
        for index, choice in enumerate(self._offered()):
            if not choice.id or choice.id in seen:
                yield Fault(f"{path}.choices[{index}]", "choices need distinct, non-empty ids")
            if choice.id in TAKEN_HANDLES and self.branch_on_choice:
                yield Fault(f"{path}.choices[{index}]", f"{choice.id!r} is the name of another handle")
            seen.add(choice.id)
        if self.branch_on_choice and not self.choices:
            yield Fault(f"{path}.branch_on_choice", "needs choices")
        if self.on_expiry == "branch" and not self.expires_in_seconds:
            yield Fault(f"{path}.on_expiry", "needs expires_in_seconds")

    def enter(self, ctx: Context) -> Outcome:
        expires_at = ctx.now + self.expires_in_seconds if self.expires_in_seconds else None
        choices = tuple([self._choice(ctx, one) for one in self._offered()])
        return Question("ask", ctx.text(self.prompt), self.schema, choices, expires_at)

    def _choice(self, ctx: Context, offered: OfferedChoice) -> Choice:
        shown = ctx.text(offered.title or offered.id)
        return Choice(offered.id if self.branch_on_choice else ctx.text(offered.id), shown)

    def receive(self, ctx: Context, reply: Reply) -> Outcome:
        if isinstance(reply, Expired):
            return Leave(None, "expired") if self.on_expiry == "branch" else Fail("expired", "nobody answered in time")
        if not isinstance(reply, Answered):
            return super().receive(ctx, reply)
        if self.output:
            ctx.set_variables({self.output: reply.value})
        return Leave(reply.value, str(reply.value) if self.branch_on_choice else "out")
