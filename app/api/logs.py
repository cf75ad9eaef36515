"""The log of requests and errors: JSON lines on stderr."""

import logging
import sys
from typing import Any, TextIO

import structlog


def configure_logs(level: str) -> None:
    """Once per process; a second time changes the level."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=_to_stderr,
        cache_logger_on_first_use=False,  # few lines are written, and tests change where they go
    )


def _to_stderr(*_: Any) -> structlog.WriteLogger:
    stream: TextIO = sys.stderr
    return structlog.WriteLogger(stream)
