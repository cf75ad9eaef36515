"""The rest of the world: time, chance, JSON Schema, and what performs effects."""

from __future__ import annotations

from collections.abc import Sequence
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
    """What a performer is told: the key stays the same on every attempt and takeover; `telling` is another on each, of a
    model's text."""

    workspace: Id
    run_id: Id
    effect_id: str
    idempotency_key: str
    attempt: int
    telling: int = 1
    operation: str
    request: Any


class EffectError(Exception):
    """An effect that failed. `retryable`: another attempt may succeed, not before `retry_after_seconds`. `details`: what
    the failure's output has besides its type and message."""

    def __init__(
        self,
        error_type: str,
        message: str,
        *,
        retryable: bool = False,
        retry_after_seconds: float | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.message = message
        self.retryable = retryable
        self.retry_after_seconds = retry_after_seconds
        self.details = details or {}


class Performer(Protocol):
    """Does one kind of outside work. Cancelled when it is no longer wanted."""

    async def perform(self, context: EffectContext) -> Any:
        """The result, as a plain value. Raises EffectError."""


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An outgoing request. `credentials`: names (lower case) of headers that are dropped on another origin, besides those
    that look like it; `has_secret_content`: the content is not sent to another origin; `max_bytes`: of the reply after
    decompression; `cut_errors_at`: so many bytes are enough of the reply when its status is 400 or more."""

    method: str
    url: str
    params: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    content: bytes | None = None
    credentials: frozenset[str] = frozenset()
    follow_redirects: bool = True
    has_secret_content: bool = False
    max_bytes: int = 1024 * 1024
    cut_errors_at: int | None = None


class HttpResponse(msgspec.Struct, frozen=True):
    """Its reply: headers in lower case, the body decompressed, `url` after redirects and without a password."""

    status_code: int
    headers: dict[str, str]
    body: bytes
    url: str


class HttpClient(Protocol):
    """The guarded way out. `allowed`: what the workspace may reach besides public addresses."""

    async def send(self, request: HttpRequest, allowed: Sequence[str] = ()) -> HttpResponse:
        """Raises EffectError: invalid_value, http_connection, blocked_address, too_large. Never retries, and takes as long
        as the other side does: the caller bounds it."""


class Signer(Protocol):
    """Signs what is handed out, and knows it again."""

    def sign(self, message: bytes) -> bytes:
        """32 bytes."""

    def verify(self, message: bytes, mac: bytes) -> bool: ...


class Vault(Protocol):
    """Encrypts secrets at rest. `label` says whose a secret is."""

    def seal(self, label: str, text: str) -> bytes: ...

    def open(self, label: str, sealed: bytes) -> str:
        """Raises UnreadableSecretError."""
