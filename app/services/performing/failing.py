"""Failures of those whom an effect asks, without the secrets that they may repeat."""

from __future__ import annotations

from typing import Final

from app.ports import EffectError
from app.services.performing.masking import Mask
from app.services.performing.replies import cut

ERROR_BODY: Final = 4 * 1024


def masked(error: EffectError, mask: Mask) -> EffectError:
    """What others wrote is cut after it was masked: half a secret at its end would pass."""
    details = {name: mask.value(value) for name, value in error.details.items() if name != "body"}
    if "status_code" in error.details:
        details["status_code"] = error.details["status_code"]
    if isinstance(body := error.details.get("body"), str):
        details["body"] = cut(mask.text(body), ERROR_BODY)
    return EffectError(
        error.error_type,
        cut(mask.text(error.message), ERROR_BODY),
        retryable=error.retryable,
        retry_after_seconds=error.retry_after_seconds,
        details=details,
    )
