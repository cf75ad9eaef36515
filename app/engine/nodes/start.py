"""Where a run begins: declares the inputs it takes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal

import msgspec

from app.engine.kind import Context, Fault, Leave, NodeKind, Outcome
from app.engine.values import Value

InputType = Literal["text", "number", "boolean", "select", "json", "file", "list"]


class Input(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One declared input. `max_length` in characters, of text."""

    name: str
    type: InputType = "text"
    required: bool = False
    default: Value = None
    label: str = ""
    options: tuple[str, ...] = ()
    max_length: Annotated[int, msgspec.Meta(ge=1)] | None = None

    def misfit(self, value: Value) -> str | None:
        """Why `value` is none of this input's; None: it fits."""
        fits = {
            "text": isinstance(value, str),
            "number": isinstance(value, (int, float)) and not isinstance(value, bool),
            "boolean": isinstance(value, bool),
            "select": isinstance(value, str) and value in self.options,
            "list": isinstance(value, list),
        }.get(self.type, True)
        if not fits:
            return f"must be one of {list(self.options)}" if self.type == "select" else f"must be a {self.type}"
        if self.max_length is not None and isinstance(value, str) and len(value) > self.max_length:
            return f"must have at most {self.max_length} characters"
        return None


class Start(NodeKind, frozen=True, kw_only=True):
    """Its output is the inputs. Undeclared ones pass."""

    kind: ClassVar[str] = "start"
    plain_texts: ClassVar[frozenset[str]] = frozenset({"inputs"})

    inputs: tuple[Input, ...] = ()

    def faults(self, path: str) -> Iterable[Fault]:
        seen: set[str] = set()
        for index, one in enumerate(self.inputs):
            place = f"{path}.inputs[{index}]"
            if not one.name:
                yield Fault(f"{place}.name", "must not be empty")
            if one.name in seen:
                yield Fault(f"{place}.name", f"input {one.name!r} is declared twice")
            seen.add(one.name)
            if one.type == "file":
                yield Fault(f"{place}.type", "file inputs are not available yet")
            if one.type == "select" and not one.options:
                yield Fault(f"{place}.options", "a select needs options")
            if one.default is not None and (misfit := one.misfit(one.default)):
                yield Fault(f"{place}.default", misfit)

    def accept(self, given: dict[str, Value]) -> tuple[dict[str, Value], list[Fault]]:
        """The inputs with defaults filled in, and what does not fit (`path` is the input's name)."""
        values, faults = dict(given), list[Fault]()
        for one in self.inputs:
            value = values.get(one.name)
            if value is None and one.default is not None:
                values[one.name] = one.default
            elif value is None and one.required:
                faults.append(Fault(one.name, "is required"))
            elif value is None:
                values.setdefault(one.name, None)
            elif misfit := one.misfit(value):
                faults.append(Fault(one.name, misfit))
        return values, faults

    def enter(self, ctx: Context) -> Outcome:
        return Leave(ctx.inputs())
