"""The outside world of the simulated processes: every operation goes out and comes back when the desk says so, and brings
the same in every telling of a story."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from app.engine.talk import MODEL, ModelAnswer, ModelCall, ToolCall, Usage
from app.ports import EffectContext, EffectError
from tests.protocol.op import Op

if TYPE_CHECKING:
    from tests.protocol.processes import Process

OPERATIONS = ("probe", "http", "code", "render", MODEL)
REPLAYABLE = ("code", "render")
USAGE = Usage(input_tokens=7, output_tokens=5, total_tokens=12)


class Outside:
    """Implements ports.Performer for all operations. A model that streams is heard while its answer is on the way."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def perform(self, context: EffectContext) -> Any:
        self._process.desk.begun(self._process, context, self._telling(context))
        for kind in ("send", "result"):
            words = f"{kind} of {context.effect_id} (attempt {context.attempt})"
            result = await self._process.wait_for(Op(self._process, kind, words, lambda: None, context))
            for piece in pieces(context, kind):
                self._process.world.texts.piece(context.run_id, context.effect_id, context.attempt, piece)
        return result

    def _telling(self, context: EffectContext) -> int | None:
        """Of a model's text: the one that readers at this process are told."""
        texts = self._process.world.texts.of(context.run_id)
        return next((text.telling for text in texts if text.effect_id == context.effect_id), None)


def is_once(context: EffectContext) -> bool:
    """Must it not be repeated after its result was committed?"""
    if context.operation == "probe":
        return bool(context.request["once"])
    return context.operation not in REPLAYABLE


def success(context: EffectContext) -> Any:
    """What an effect brings."""
    done = f"{context.effect_id} is done"
    match context.operation:
        case "http":
            return {"status_code": 200, "body": done, "sent": None}
        case "code":
            return {"output": done, "printed": ""}
        case "render":
            return [f"{text} {done}" for text in context.request["texts"]]
        case "model":
            return msgspec.to_builtins(_answer(context, done))
        case _:
            return done


def _answer(context: EffectContext, done: str) -> ModelAnswer:
    """Each attempt says something else. A structured answer fits only when it was complained about; all tools are called, once
    and at the same time."""
    call = msgspec.convert(context.request, ModelCall)
    answer = ModelAnswer(
        text=f"{context.attempt}. {done}",
        finish_reason="stop",
        usage=USAGE,
        provider="fake",
        model="m-1",
        streamed=call.stream,
    )
    if call.tools and not any(message.role == "tool" for message in call.messages):
        names = enumerate([tool.name for tool in call.tools], 1)
        calls = tuple([ToolCall(id=f"call_{at}", name=name, arguments={"q": at}) for at, name in names])
        return msgspec.structs.replace(answer, finish_reason="tool_calls", tool_calls=calls)
    if call.schema is None:
        return answer
    if any(message.role == "assistant" for message in call.messages):
        return msgspec.structs.replace(answer, data={"n": len(call.messages)})
    return msgspec.structs.replace(answer, misfits=("n: is missing",))


def pieces(context: EffectContext, kind: str) -> tuple[str, ...]:
    """What is heard of a model when it was asked, and when it has answered."""
    if context.operation != MODEL or not context.request.get("stream"):
        return ()
    words = success(context)["text"].partition(" ")
    return words[:2] if kind == "send" else words[2:]


def failure(*, retryable: bool) -> EffectError:
    """What a failed effect raises."""
    return EffectError("provider_error", "it failed", retryable=retryable)
