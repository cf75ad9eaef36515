"""Errors that the services log instead of raising: in a story there are none."""

from __future__ import annotations

import traceback
from collections.abc import MutableMapping
from typing import Any, NoReturn

import structlog


class LoggedErrors:
    """Collects them in `lines`, with their tracebacks, until it is closed."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._before = structlog.get_config()
        structlog.configure(processors=[self._take])

    def _take(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> NoReturn:
        if method in ("error", "exception", "critical"):
            self.lines.append(f"{event['event']}\n{traceback.format_exc()}")
        raise structlog.DropEvent

    def close(self) -> None:
        structlog.configure(**self._before)
