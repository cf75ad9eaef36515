"""Has a model choose one class of several, and leaves by it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import msgspec

from app.engine.kind import Context, Fault, Leave, NodeError, Outcome
from app.engine.nodes.model import shown_usage
from app.engine.nodes.names import handle_faults
from app.engine.nodes.tries import AsksOnce, Tries, object_of
from app.engine.talk import Message, ModelAnswer
from app.engine.values import Value, to_text


class OfferedClass(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`id` is the handle and no template; `description` tells the model what belongs to it."""

    id: str
    description: str = ""


class Classifier(AsksOnce, frozen=True, kw_only=True):
    """Its output is `{class, usage}`; it leaves by the class."""

    kind: ClassVar[str] = "classifier"

    input: str
    classes: tuple[OfferedClass, ...]
    instructions: str | None = None

    def handles(self) -> Iterable[str]:
        return self._ids()

    def _ids(self) -> list[str]:
        return [offered.id for offered in self.classes]

    def faults(self, path: str) -> Iterable[Fault]:
        yield from super().faults(path)
        yield from handle_faults(self._ids(), f"{path}.classes", "classes need ids")
        if not self.classes:
            yield Fault(f"{path}.classes", "there must be a class")

    def opening(self, ctx: Context) -> tuple[Message, ...]:
        described = [(offered.id, ctx.text(offered.description)) for offered in self.classes]
        lines = [f"- {to_text([name])[1:-1]}{': ' if text else ''}{text}" for name, text in described]
        told = ["Decide to which class the text belongs that the user gives you. The classes are:", *lines]
        told.append('Answer with nothing but JSON: {"class": …}, with the name of the class as it stands above.')
        if self.instructions is not None:
            told.append(ctx.text(self.instructions))
        return (*self.before_the_prompt(ctx, "\n".join(told)), Message(role="user", text=ctx.text(self.input)))

    def wanted(self, ctx: Context) -> Value:
        chosen: Value = {"type": "string", "enum": self._ids()}
        return {"type": "object", "properties": {"class": chosen}, "required": ["class"]}

    def answered(self, answer: ModelAnswer, tries: Tries) -> Outcome:
        chosen = object_of(answer).get("class")
        if chosen not in self._ids():
            raise NodeError("invalid_output", "the model's answer names no class")
        return Leave({"class": chosen, "usage": shown_usage(tries.usage)}, str(chosen))
