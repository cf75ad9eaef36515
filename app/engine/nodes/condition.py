"""Chooses one way out by expressions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import msgspec

from app.engine import expression
from app.engine.kind import Context, Fault, Leave, NodeKind, Outcome
from app.engine.nodes.names import TAKEN_HANDLES


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Leaves by `handle` when `expression` is true."""

    handle: str
    expression: str


class Condition(NodeKind, frozen=True, kw_only=True):
    """The first true case's handle, else `else`."""

    kind: ClassVar[str] = "condition"
    plain_texts: ClassVar[frozenset[str]] = frozenset({"cases"})

    cases: tuple[Case, ...]

    def handles(self) -> Iterable[str]:
        return [*(case.handle for case in self.cases), "else"]

    def faults(self, path: str) -> Iterable[Fault]:
        seen: set[str] = set()
        for index, case in enumerate(self.cases):
            place = f"{path}.cases[{index}]"
            if not case.handle or case.handle in TAKEN_HANDLES or case.handle in seen:
                yield Fault(
                    f"{place}.handle", "handles must be distinct, not empty, and none of out, error, else, expired"
                )
            seen.add(case.handle)
            try:
                expression.parse(case.expression)
            except expression.ExpressionSyntaxError as error:
                yield Fault(f"{place}.expression", str(error))

    def enter(self, ctx: Context) -> Outcome:
        handle = next((case.handle for case in self.cases if ctx.truth(case.expression)), "else")
        return Leave({"handle": handle}, handle)
