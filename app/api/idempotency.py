"""Idempotency keys, and the hash that says whether two bodies are the same request."""

import hashlib
import json
from typing import Any, Final

from app.services.errors import Detail, ServiceError

HEADER: Final = "Idempotency-Key"
_unhashed: Final = frozenset({"wait_seconds", "on_busy"})


def idempotency_key(header: str | None) -> str | None:
    """The key as sent. Raises invalid_value unless it has 1 to 255 printable characters."""
    if header is None:
        return None
    try:
        header = header.encode("latin-1").decode()
    except UnicodeError:
        pass  # not UTF-8: as it is
    if not 1 <= len(header) <= 255 or not header.isprintable():
        detail = Detail(HEADER, "must have 1 to 255 printable characters")
        raise ServiceError("invalid_value", f"{HEADER} is malformed", details=[detail])
    return header


def canonical(value: Any) -> bytes:
    """JSON with sorted keys, compact, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def body_hash(route: str, body: dict[str, Any], version: str | None = None) -> str:
    """SHA-256 over route, version as sent and body. How long and whether a caller waits does not count."""
    kept = {name: value for name, value in body.items() if name not in _unhashed}
    run_input = kept.get("run_input")
    if isinstance(run_input, dict):
        kept["run_input"] = {name: value for name, value in run_input.items() if name not in _unhashed}
    return hashlib.sha256(canonical([route, version, kept])).hexdigest()
