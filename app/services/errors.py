"""What a service refuses, in words that every dialect can translate. The dialect chooses the HTTP status by `code`."""

from __future__ import annotations

from typing import Literal

import msgspec

from app.services.facts import TurnFacts

Code = Literal[
    "not_found",
    "invalid_request",  # a body that makes no sense together: 400
    "invalid_input",  # start inputs that do not fit: 422
    "invalid_graph",  # 422
    "invalid_answer",  # 422
    "invalid_value",  # a field that names nothing: 422
    "missing_answer",  # 422
    "ambiguous_answer",  # 422
    "unknown_pause",  # 422
    "idempotency_mismatch",  # 422
    "too_large",  # 422
    "not_an_approver",  # 403
    "self_approval",  # 403
    "run_ended",  # 409, as all below
    "run_active",
    "run_paused",
    "not_paused",
    "turn_in_progress",
    "turn_mismatch",
    "pause_already_answered",
    "pause_expired",
    "already_voted",
    "version_conflict",
    "graph_mismatch",
    "state_gone",  # 410
    "limit_reached",  # 429
    "unavailable",  # 503
]


class Detail(msgspec.Struct, frozen=True):
    """One fault of the input: `path` is its place."""

    path: str
    message: str


class ServiceError(Exception):
    """Refused, nothing changed. `facts`: the run as it stands, where that helps. `retry_after` in seconds."""

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        details: list[Detail] | None = None,
        facts: TurnFacts | None = None,
        run_id: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code: Code = code
        self.message = message
        self.details = details or []
        self.facts = facts
        self.run_id = run_id or (facts.run_id if facts else None)
        self.retry_after = retry_after
