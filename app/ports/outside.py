"""The rest of the world: time, chance, JSON Schema, and what performs effects."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from app.ports.names import Id


class Clock(Protocol):
    """The one clock. Unix seconds."""

    def now(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


class Ids(Protocol):
    """New identifiers."""

    def object_id(self) -> Id: ...

    def commit_id(self) -> str: ...


class AnswerChecker(Protocol):
    """JSON Schema of answers."""

    def schema_fault(self, schema: Any) -> str | None:
        """What is wrong with a schema itself; None: nothing."""

    def check(self, schema: Any, value: Any) -> list[tuple[str, str]]:
        """(path, message) of everything that does not fit."""


class EffectContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a performer is told: the key stays the same on every attempt and takeover."""

    run_id: Id
    effect_id: str
    idempotency_key: str
    attempt: int
    operation: str
    request: Any


class EffectError(Exception):
    """An effect that failed. `retryable`: another attempt may succeed."""

    def __init__(self, error_type: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.message = message
        self.retryable = retryable


class Performer(Protocol):
    """Does one kind of outside work. Cancelled when it is no longer wanted."""

    async def perform(self, context: EffectContext) -> Any:
        """The result, as a plain value. Raises EffectError."""
