"""Asks a model, once: text, or JSON that fits a schema."""

from __future__ import annotations

from typing import ClassVar

from app.engine.kind import Context, Leave, Outcome
from app.engine.nodes.prompted import Prompted, answer_output
from app.engine.nodes.tries import AsksOnce, Tries
from app.engine.talk import ModelAnswer
from app.engine.values import Value


class Llm(Prompted, AsksOnce, frozen=True, kw_only=True):
    """Its output is `{text, data?, finish_reason, citations, usage, provider, model}`."""

    kind: ClassVar[str] = "llm"

    def wanted(self, ctx: Context) -> Value:
        return self.schema

    def says(self) -> bool:
        return self.say

    def answered(self, answer: ModelAnswer, tries: Tries) -> Outcome:
        return Leave(answer_output(answer, tries.usage, self.schema, tries.citations))
