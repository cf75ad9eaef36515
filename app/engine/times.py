"""Times as people write them: ISO 8601 with a zone. Everywhere else they are unix seconds."""

from __future__ import annotations

from datetime import UTC, datetime


def from_iso(text: str) -> float | None:
    """Unix seconds of an ISO 8601 time with a zone; None: it is none."""
    try:
        time = datetime.fromisoformat(text)
        return time.timestamp() if time.tzinfo else None
    except (ValueError, OverflowError):
        return None


def to_iso(seconds: float) -> str:
    """In UTC, ending in Z."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
