"""What the kinds that ask a model one thing have in common: an answer that does not fit is shown to it, and it tries again."""

from __future__ import annotations

import msgspec

from app.engine.kind import Await, Context, NodeError, Outcome, Reply, Succeeded
from app.engine.nodes.model import AsksModel, answer_of
from app.engine.talk import Message, ModelAnswer, Usage
from app.engine.values import Value, as_stored


class Tries(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Between the tries: what was asked so far, how often it was repaired, what all of them cost; and what is cited."""

    messages: tuple[Message, ...] = ()
    repairs: int = 0
    usage: Usage = Usage()
    citations: tuple[str, ...] = ()


class AsksOnce(AsksModel, frozen=True, kw_only=True):
    """Base of kinds with one question to a model. It has no fields, so that it can stand beside another base."""

    def opening(self, ctx: Context) -> tuple[Message, ...]:
        """The messages of the first request. Raises NodeError."""
        raise NotImplementedError

    def wanted(self, ctx: Context) -> Value:
        """JSON Schema that the answer must fit, None: any text. Raises NodeError."""
        raise NotImplementedError

    def answered(self, answer: ModelAnswer, tries: Tries) -> Outcome:
        """The answer fits. Raises NodeError."""
        raise NotImplementedError

    def cited(self, ctx: Context) -> tuple[str, ...]:
        """Addresses of what the model is given. Raises NodeError."""
        return ()

    def streams(self) -> bool:
        """Is the text told while it comes?"""
        return False

    def says(self) -> bool:
        """Is the user told an answer that fits?"""
        return False

    def enter(self, ctx: Context) -> Outcome:
        return self._ask(ctx, Tries(messages=self.opening(ctx), citations=self.cited(ctx)))

    def _ask(self, ctx: Context, tries: Tries) -> Await:
        schema = self.wanted(ctx)
        kept = tries if schema is not None else Tries(citations=tries.citations)  # only then it may be asked again
        if kept != Tries():
            ctx.memo = as_stored(kept)
        return self.call(ctx, tries.messages, schema=schema, stream=self.streams())

    def receive(self, ctx: Context, reply: Reply) -> Outcome:
        if not isinstance(reply, Succeeded):
            return super().receive(ctx, reply)
        answer = answer_of(reply.result)
        tries = msgspec.convert(ctx.memo, Tries) if ctx.memo is not None else Tries()
        tries = msgspec.structs.replace(tries, usage=tries.usage.plus(answer.usage))
        ctx.replied(answer, say=self.says() and not answer.misfits)
        if not answer.misfits:
            return self.answered(answer, tries)
        if tries.repairs >= self.repair_attempts:
            return self.misfit(answer)
        messages = (*tries.messages, *self.repair(answer))
        return self._ask(ctx, msgspec.structs.replace(tries, messages=messages, repairs=tries.repairs + 1))


def object_of(answer: ModelAnswer) -> dict[str, Value]:
    """What an answer that had to be an object is. Raises NodeError for what no performer of ours makes."""
    if not isinstance(answer.data, dict):
        raise NodeError("invalid_output", "the model's answer is no object")
    return answer.data
