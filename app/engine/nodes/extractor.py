"""Has a model take named data out of a text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Final, Literal

import msgspec

from app.engine import template
from app.engine.kind import Context, Fault, Leave, NodeError, Outcome
from app.engine.nodes.model import shown_usage
from app.engine.nodes.names import repeated
from app.engine.nodes.tries import AsksOnce, Tries, object_of
from app.engine.talk import Message, ModelAnswer
from app.engine.values import Value, to_text

TYPES: Final = {
    "text": ["string"],
    "number": ["number"],
    "boolean": ["boolean"],
    "list": ["array"],
    "json": ["object", "array", "string", "number", "boolean"],
}


class WantedField(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that is looked for. `name` is no template; `options`: a text must be one of them."""

    name: str
    type: Literal["text", "number", "boolean", "list", "json"] = "text"
    description: str = ""
    required: bool = False
    options: tuple[str, ...] | None = None

    def faults(self, place: str) -> Iterable[Fault]:
        if not template.is_literal(self.name):
            yield Fault(f"{place}.name", "must be no template")
        if self.options is None:
            return
        if self.type != "text":
            yield Fault(f"{place}.options", "are for a field of type text")
        elif not self.options:
            yield Fault(f"{place}.options", "there must be an option")
        yield from repeated(self.options, f"{place}.options", "", "options need a text")

    def schema(self, ctx: Context) -> dict[str, Value]:
        """Of its value. Null stands for what is missing, where it may be."""
        missing = [] if self.required else ["null"]
        found: dict[str, Value] = {"type": [*TYPES[self.type], *missing]}
        if self.options is not None:
            found["enum"] = [*self._options(ctx), *([] if self.required else [None])]
        if self.description:
            found["description"] = ctx.text(self.description)
        return found

    def _options(self, ctx: Context) -> list[str]:
        return list(dict.fromkeys(ctx.text(option) for option in self.options or ()))

    def told(self, ctx: Context) -> str:
        """What the model reads of it."""
        kind = {"list": "a list", "json": "any JSON"}.get(self.type, f"a {self.type}")
        one_of = f" of {to_text(list(self._options(ctx)))}" if self.options is not None else ""
        needed = "" if self.required else ", if there is one"
        about = f": {ctx.text(self.description)}" if self.description else ""
        return f"- {to_text([self.name])[1:-1]}, {kind}{one_of}{needed}{about}"


class Extractor(AsksOnce, frozen=True, kw_only=True):
    """Its output is `{data, usage}`, `data` with every field: null where the text has nothing for one that is not required."""

    kind: ClassVar[str] = "extractor"

    input: str
    fields: tuple[WantedField, ...]
    instructions: str | None = None

    def faults(self, path: str) -> Iterable[Fault]:
        yield from super().faults(path)
        yield from repeated([field.name for field in self.fields], f"{path}.fields", ".name", "fields need names")
        for index, field in enumerate(self.fields):
            yield from field.faults(f"{path}.fields[{index}]")
        if not self.fields:
            yield Fault(f"{path}.fields", "there must be a field")

    def opening(self, ctx: Context) -> tuple[Message, ...]:
        told = ["Take these fields out of the text that the user gives you:", *(one.told(ctx) for one in self.fields)]
        told.append("Answer with nothing but a JSON object of them. Leave out what the text does not say.")
        if self.instructions is not None:
            told.append(ctx.text(self.instructions))
        return (*self.before_the_prompt(ctx, "\n".join(told)), Message(role="user", text=ctx.text(self.input)))

    def wanted(self, ctx: Context) -> Value:
        required = [field.name for field in self.fields if field.required]
        properties: Value = {field.name: field.schema(ctx) for field in self.fields}
        return {"type": "object", "properties": properties, "required": required}

    def answered(self, answer: ModelAnswer, tries: Tries) -> Outcome:
        found = object_of(answer)
        data: dict[str, Value] = {field.name: found.get(field.name) for field in self.fields}
        missing = [field.name for field in self.fields if field.required and data[field.name] is None]
        if missing:
            raise NodeError("invalid_output", f"the model's answer has no {missing[0]!r}")
        return Leave({"data": data, "usage": shown_usage(tries.usage)})
