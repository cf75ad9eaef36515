"""What it means when somebody does not answer properly: by its status, or by what it sent."""

from __future__ import annotations

from typing import Final

import httpx

from app.adapters import http_body
from app.ports import EffectError, retry_after

ERROR_READ: Final = 64 * 1024  # of a refusal's body: enough to find secrets that lie across the place where it is cut
RETRYABLE: Final = frozenset({408, 425, 429, *range(500, 600)})


async def refusal(response: httpx.Response, who: str, now: float, most_bytes: int) -> EffectError:
    """Of a reply whose body is unread. `who` answered; `now` in unix seconds. Raises as `http_body.read`."""
    return refused(response, await http_body.read(response, most_bytes, ERROR_READ), who, now)


def refused(response: httpx.Response, body: bytes, who: str, now: float) -> EffectError:
    """Likewise, with the beginning of its body."""
    status = response.status_code
    return EffectError(
        "rate_limited" if status == 429 else "provider_error",
        f"{who} answered {status}",
        retryable=status in RETRYABLE,
        retry_after_seconds=retry_after.seconds(response.headers.get("retry-after"), now),
        details={"status_code": status, "body": body.decode(errors="replace")},
    )


def unreadable(why: str) -> EffectError:
    """The answer is none."""
    return EffectError("provider_error", f"the reply cannot be read: {why}", retryable=True)
