"""Performs `model`: finds the provider that is meant, asks it once, and passes its text on while it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from app.engine.talk import ModelAnswer, ModelCall, ToolCall
from app.engine.values import UnstorableValueError, Value, as_stored, measure
from app.ports import (
    AnswerChecker,
    Clock,
    EffectContext,
    EffectError,
    Meter,
    Models,
    Reach,
    Reaching,
    TextSink,
)
from app.services.performing.echo import Echo
from app.services.performing.failing import masked
from app.services.performing.filling import waited_for
from app.services.performing.masking import Mask
from app.services.performing.passing import MaskedText


class ModelPerformer:
    """Implements ports.Performer. `texts` hears what is streamed: the pieces of an attempt add up to its answer's text.
    `checker` judges answers that must fit a schema."""

    def __init__(
        self,
        models: Models,
        reach: Reaching,
        texts: TextSink,
        checker: AnswerChecker,
        clock: Clock,
        meter: Meter,
    ) -> None:
        self._meter = meter
        self._models = models
        self._checker = checker
        self._reach = reach
        self._texts = texts
        self._clock = clock
        self._echo = Echo()

    async def perform(self, context: EffectContext) -> Value:
        """A `talk.ModelAnswer` as a plain value."""
        call = msgspec.convert(context.request, ModelCall)
        reach = await self._reached(context.workspace, call)
        secrets = list(reach.secrets) if reach else []
        mask, passing = Mask(secrets), MaskedText(secrets)
        hear = self._hearing(context, passing) if call.stream else None
        try:
            answer = await self._metered(context, call, reach, hear)
        except EffectError as error:
            raise masked(error, mask) from None  # what it came of may hold secrets
        if call.stream:
            self._pass_on(context, passing.end())
        answer = msgspec.structs.replace(_masked(answer, mask), streamed=call.stream)
        if answer.tool_calls:
            answer = msgspec.structs.replace(answer, tool_calls=self._checked(answer.tool_calls, call))
        elif call.schema is not None:
            answer = self._judged(answer, call.schema)
        try:
            result = as_stored(answer)
            measure(result)
        except UnstorableValueError as error:
            raise EffectError("invalid_value", f"the answer holds what cannot be kept: {error}") from error
        return result

    async def _reached(self, workspace: str, call: ModelCall) -> Reach | None:
        return await waited_for(self._clock, lambda: self._reach(workspace, call.provider, call.model))

    async def _metered(
        self, context: EffectContext, call: ModelCall, reach: Reach | None, hear: Callable[[str], None] | None
    ) -> ModelAnswer:
        provider = "echo" if reach is None else reach.endpoint.name if reach.shared else "workspace"
        began, outcome, usage = self._clock.now(), "cancelled", None
        try:
            answer = await self._answer(context, call, reach, hear)
            outcome, usage = "ok", answer.usage
            return answer
        except EffectError as error:
            outcome = error.error_type
            raise
        finally:
            self._meter.model(provider, outcome, max(0.0, self._clock.now() - began), usage)

    async def _answer(
        self, context: EffectContext, call: ModelCall, reach: Reach | None, hear: Callable[[str], None] | None
    ) -> ModelAnswer:
        if reach is None:
            return await self._echo.complete(call, hear)
        return await self._models.complete(reach.endpoint, call, context.idempotency_key, hear)

    def _judged(self, answer: ModelAnswer, schema: Value) -> ModelAnswer:
        """With its text as JSON, and why it does not fit."""
        try:
            data: Value = msgspec.json.decode(_fenced(answer.text))
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return msgspec.structs.replace(answer, misfits=("the answer is no JSON",))
        return msgspec.structs.replace(answer, data=data, misfits=_worded(self._checker.check(schema, data)))

    def _checked(self, calls: Iterable[ToolCall], asked: ModelCall) -> tuple[ToolCall, ...]:
        """With what in their arguments does not fit the parameters of their tools."""
        schemas = {tool.name: tool.parameters for tool in asked.tools if tool.parameters is not None}
        return tuple(
            msgspec.structs.replace(made, misfits=_worded(self._checker.check(schemas[made.name], made.arguments)))
            if made.name in schemas and isinstance(made.arguments, dict)
            else made
            for made in calls
        )

    def _hearing(self, context: EffectContext, passing: MaskedText) -> Callable[[str], None]:
        return lambda piece: self._pass_on(context, passing.feed(piece))

    def _pass_on(self, context: EffectContext, text: str) -> None:
        if text:
            self._texts.piece(context.run_id, context.effect_id, context.telling, text)


def _worded(misfits: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(f"{path}: {message}" if path else message for path, message in misfits)


def _fenced(text: str) -> str:
    """What stands in a fenced block, where the whole text is one: models like to write them."""
    first, _, rest = text.strip().partition("\n")
    body, _, last = rest.rpartition("\n")
    return body if first.rstrip() in ("```", "```json") and last.strip() == "```" else text


def _masked(answer: ModelAnswer, mask: Mask) -> ModelAnswer:
    """Numbers of tokens stay numbers, even if a secret reads like one."""
    return ModelAnswer(
        text=mask.text(answer.text),
        finish_reason=mask.text(answer.finish_reason),
        usage=answer.usage,
        provider=answer.provider,
        model=mask.text(answer.model),
        tool_calls=tuple(
            ToolCall(id=mask.text(call.id), name=mask.text(call.name), arguments=mask.value(call.arguments))
            for call in answer.tool_calls
        ),
        opaque=mask.value(answer.opaque),
    )
