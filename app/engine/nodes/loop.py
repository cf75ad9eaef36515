"""Executes its body again and again while an expression is true. Its runtime variables go from round to round."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar

import msgspec

from app.engine import expression
from app.engine.kind import Beside, Body, Context, Fail, Fault, Leave, NodeKind, Outcome, Part, Reply, Succeeded
from app.engine.nodes.resting import REST, memo_of, rest
from app.engine.talk import MOST_MESSAGES, Message
from app.engine.values import Value, as_stored


class Loop(NodeKind, frozen=True, kw_only=True):
    """Its output is `{variables, count, exhausted}`. What the body sets are variables of the loop; of those around it the
    body reads what the loop has no variable of the same name for."""

    kind: ClassVar[str] = "loop"
    plain_texts: ClassVar[frozenset[str]] = frozenset({"body", "condition"})
    holds_body: ClassVar[bool] = True

    body: dict[str, Value]
    condition: str = msgspec.field(name="while")
    max_count: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10
    variables: dict[str, Value] = msgspec.field(default_factory=dict)

    def faults(self, path: str) -> Iterable[Fault]:
        try:
            expression.parse(self.condition)
        except expression.ExpressionSyntaxError as error:
            yield Fault(f"{path}.while", str(error))

    def enter(self, ctx: Context) -> Outcome:
        variables = {name: ctx.value(value) for name, value in self.variables.items()}
        return self._round(ctx, {"count": 0, "variables": variables, "transcript": []})

    def _round(self, ctx: Context, memo: dict[str, Any]) -> Outcome:
        """The next one, if there is one."""
        ctx.memo = memo
        goes_on = ctx.with_variables(memo["variables"]).truth(self.condition)
        if not goes_on or memo["count"] >= self.max_count:
            return Leave({"variables": memo["variables"], "count": memo["count"], "exhausted": goes_on})
        if ctx.is_tired:
            return rest()
        body = Body(
            index=memo["count"],
            variables=memo["variables"],
            transcript=msgspec.convert(memo["transcript"], tuple[Message, ...]),
        )
        return Beside((Part(str(memo["count"]), body),))

    def body_ended(self, ctx: Context, outputs: dict[str, Value]) -> Value:
        return {"variables": ctx.own_variables(), "transcript": as_stored(ctx.transcript(MOST_MESSAGES))}

    def part_ended(self, ctx: Context, name: str, ended: Reply | Fail) -> Outcome:
        memo = memo_of(ctx)
        if name == REST:
            return self._round(ctx, memo)
        if isinstance(ended, Fail):
            return Fail("item_failed", f"round {name}: {ended.error_message}", details={"index": int(name)})
        assert isinstance(ended, Succeeded) and isinstance(ended.result, dict), "a round ends well or fails"
        return self._round(ctx, {**ended.result, "count": memo["count"] + 1})
