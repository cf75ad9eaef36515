"""The log of requests and errors: JSON lines on stderr."""

import logging
import sys
from typing import Any, Final, TextIO

import structlog

_shared: Final = (
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    structlog.processors.format_exc_info,
)


def configure_logs(level: str) -> None:
    """Once per process; a second time changes the level."""
    structlog.configure(
        processors=[*_shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=_to_stderr,
        cache_logger_on_first_use=False,  # few lines are written, and tests change where they go
    )


def configure_library_logs(level: str) -> None:
    """What libraries log becomes JSON lines, too. For a process that is ours alone: it replaces every handler."""
    handler = logging.StreamHandler()
    renderer = structlog.processors.JSONRenderer()
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=_shared))
    logging.basicConfig(level=level, handlers=[handler], force=True)


def _to_stderr(*_: Any) -> structlog.WriteLogger:
    stream: TextIO = sys.stderr
    return structlog.WriteLogger(stream)
