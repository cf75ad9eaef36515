"""What an agent keeps between its effects: the conversation, the calls that are open, those that are done."""

from __future__ import annotations

from typing import Literal

import msgspec

from app.engine.kind import Context
from app.engine.talk import Message, Tool, ToolCall, Usage
from app.engine.values import Value, as_stored, size_of, to_text

KEPT_BYTES = 16 * 1024  # of a result in the output, as in events


class Made(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A call that the model made. `told`: what it reads of it, once the call is over."""

    call: ToolCall
    status: Literal["open", "ok", "error", "denied", "expired"] = "open"
    result: Value = None
    error: str | None = None
    told: str = ""


class Memo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`calls`: of the last answer; `done`: of those before; `servers`: the tools that each server listed, by the index of its
    declaration, None until all have; `citations`: addresses of what the model was given."""

    messages: tuple[Message, ...]
    iterations: int = 0
    repairs: int = 0
    usage: Usage = Usage()
    calls: tuple[Made, ...] = ()
    done: tuple[Made, ...] = ()
    servers: dict[str, tuple[Tool, ...]] = {}
    citations: tuple[str, ...] = ()


def memo_of(ctx: Context) -> Memo:
    return msgspec.convert(ctx.memo, Memo)


def keep(ctx: Context, memo: Memo) -> None:
    ctx.memo = as_stored(memo)


def replaced(memo: Memo, index: int, made: Made) -> Memo:
    calls = tuple([made if at == index else one for at, one in enumerate(memo.calls)])
    return msgspec.structs.replace(memo, calls=calls)


def refused(ctx: Context, call: ToolCall, why: str) -> Made:
    """A call that could not be made: the model is told."""
    ctx.tool_finished(call, "error", error=why)
    return Made(call=call, status="error", error=why, told=f"error: {why}")


def lighter(made: Made) -> Made:
    """As it is kept for the output; the model's messages have what it was told."""
    large = made.result is not None and size_of(made.result) > KEPT_BYTES
    result = to_text(made.result)[: KEPT_BYTES // 4] + " [cut]" if large else made.result
    return msgspec.structs.replace(made, result=result, told="")


def shown(made: Made) -> dict[str, Value]:
    shown: dict[str, Value] = {
        "id": made.call.id,
        "name": made.call.name,
        "arguments": made.call.arguments,
        "status": made.status,
    }
    if made.status == "ok":
        shown["result"] = made.result
    if made.error is not None:
        shown["error"] = made.error
    return shown
