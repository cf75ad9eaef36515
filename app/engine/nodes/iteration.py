"""Executes its body once for each item of a list, several at a time, and gives the results in the order of the items.

Of a long list the results of ended items leave the state in groups, so that a commit does not grow with the items that are
done: an effect stores a group, another reads them all at the end. While one is being stored the next items begin only as
long as they make no second group.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from app.engine.kind import Await, Beside, Body, Context, Fail, Fault, Leave, NodeKind, Outcome, Part, Reply, Succeeded
from app.engine.nodes.resting import REST, memo_of, rest
from app.engine.validate_config import text_faults
from app.engine.values import Value, size_of

GROUP = 100  # results
KEEP = "keep "  # begins the name of the part that stores a group
PATIENCE_SECONDS = 30.0


class Iteration(NodeKind, frozen=True, kw_only=True):
    """Its output is `{items[], errors[] {index, error_type, error_message}}`. `output`: what an item gives, read inside it;
    without one the outputs of the ends it has reached."""

    kind: ClassVar[str] = "iteration"
    plain_texts: ClassVar[frozenset[str]] = frozenset({"body", "output"})
    holds_body: ClassVar[bool] = True

    items: Value
    body: dict[str, Value]
    parallel: Annotated[int, msgspec.Meta(ge=1, le=10)] = 1
    output: Value = None
    on_item_error: Literal["fail", "null", "drop"] = "fail"

    def faults(self, path: str) -> Iterable[Fault]:
        yield from text_faults(self.output, f"{path}.output", "an item's output", reads_secrets=False)

    def enter(self, ctx: Context) -> Outcome:
        items = ctx.value(self.items)
        if not isinstance(items, list):
            return Fail("invalid_value", "`items` is no list")
        if len(items) > ctx.most_items:
            return Fail("too_large", f"there are {len(items)} items, at most {ctx.most_items} are allowed")
        return self._go_on(
            ctx,
            {
                "left": items,  # those not begun
                "next": 0,
                "open": 0,
                "bytes": 0,
                "results": [],  # [index, value] or [index, null, error type, message], as they came
                "groups": 0,  # those begun to be stored
                "storing": False,
                "is_long": len(items) > GROUP,
            },
        )

    def _go_on(self, ctx: Context, memo: dict[str, Any]) -> Outcome:
        """Begins what may begin; when nothing is left, puts the results together."""
        parts: list[Part] = []
        if memo["is_long"] and not memo["storing"] and len(memo["results"]) >= GROUP:
            parts.append(_keeping(memo))
        while self._may_begin(ctx, memo):
            index = memo["next"]
            values = {"item": memo["left"][0], "index": index}
            parts.append(Part(str(index), Body(index=index, values=values, variables=ctx.variables())))
            memo |= {"left": memo["left"][1:], "next": index + 1, "open": memo["open"] + 1}
        ctx.memo = memo
        if parts or memo["open"] or memo["storing"]:
            return Beside(tuple(parts))
        if memo["left"]:
            return rest()
        if memo["groups"]:
            return Await("kept_results", {"groups": memo["groups"]}, once=False, timeout_seconds=PATIENCE_SECONDS)
        return self._leave(memo["results"])

    def _may_begin(self, ctx: Context, memo: dict[str, Any]) -> bool:
        if not memo["left"] or memo["open"] >= self.parallel or ctx.is_tired:
            return False
        return not memo["storing"] or len(memo["results"]) + memo["open"] < GROUP

    def body_ended(self, ctx: Context, outputs: dict[str, Value]) -> Value:
        return outputs if self.output is None else ctx.value(self.output)

    def part_ended(self, ctx: Context, name: str, ended: Reply | Fail) -> Outcome:
        memo = memo_of(ctx)
        if name == REST:
            return self._go_on(ctx, memo)
        if name.startswith(KEEP):
            if isinstance(ended, Fail):
                return ended
            return self._go_on(ctx, {**memo, "storing": False})
        result, size = self._result(int(name), ended)
        memo["bytes"] += size
        if isinstance(ended, Fail) and self.on_item_error == "fail":
            return Fail("item_failed", f"item {name}: {ended.error_message}", details={"index": int(name)})
        if memo["bytes"] > ctx.most_bytes:
            return Fail("too_large", f"the results are over {ctx.most_bytes} bytes together")
        return self._go_on(ctx, {**memo, "open": memo["open"] - 1, "results": [*memo["results"], result]})

    def _result(self, index: int, ended: Reply | Fail) -> tuple[list[Value], int]:
        if isinstance(ended, Fail):
            return [index, None, ended.error_type, ended.error_message], len(ended.error_message)
        assert isinstance(ended, Succeeded), "an item ends well or fails"
        return [index, ended.result], size_of(ended.result)

    def receive(self, ctx: Context, reply: Reply) -> Outcome:
        """Every group is there."""
        assert isinstance(reply, Succeeded) and isinstance(reply.result, list), "groups are read by an effect"
        memo = memo_of(ctx)
        return self._leave([*reply.result, *memo["results"]])

    def _leave(self, results: list[Any]) -> Outcome:
        results = sorted(results, key=lambda result: int(result[0]))
        kept = [result for result in results if len(result) == 2 or self.on_item_error == "null"]
        errors: list[Value] = [
            {"index": result[0], "error_type": result[2], "error_message": result[3]}
            for result in results
            if len(result) > 2
        ]
        return Leave({"items": [result[1] for result in kept], "errors": errors})


def _keeping(memo: dict[str, Any]) -> Part:
    """The effect that stores a group; the memo without it."""
    number, results = memo["groups"], memo["results"]
    memo |= {"results": results[GROUP:], "groups": number + 1, "storing": True}
    request = {"group": number, "results": results[:GROUP]}
    return Part(f"{KEEP}{number}", Await("keep_results", request, once=False, timeout_seconds=PATIENCE_SECONDS))
