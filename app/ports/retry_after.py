"""How long a reply asks us to wait before the next attempt."""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime


def seconds(header: str | None, now: float) -> float | None:
    """From the header `Retry-After`: seconds or a date. `now` in unix seconds; None: it does not say."""
    if header is None:
        return None
    if re.fullmatch(r"\s*[0-9]+\s*", header):
        return float(header) if len(header) < 20 else 1e20
    try:
        date = parsedate_to_datetime(header)
        return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now)
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
