"""Around the whole app: counts and times every request for Prometheus, and logs the slow and the failed ones.

It sees method, path template, status and time, and nothing that a caller sends: no header, body, query or key.
"""

import time
from typing import Any, Final

import structlog
from litestar import get
from litestar.response import Response
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from app.api.describe import described
from app.api.errors import error_id_of, log_unexpected

SLOW_SECONDS: Final = 1.0
METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"})
_buckets: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0)
_log = structlog.get_logger("antiphon.request")


class Observed:
    """The app, observed. Time is until the reply begins, so a stream counts like any other reply."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry, *, logs_all: bool = False) -> None:
        self._app = app
        self._logs_all = logs_all
        self._seconds = Histogram(
            "antiphon_requests_seconds",
            "Time until a reply begins, by method, path template and status.",
            ("method", "path", "status"),
            buckets=_buckets,
            registry=registry,
        )
        # looking a child up takes longer than observing; there are as many as routes times statuses
        self._children: dict[tuple[str, str, int], Histogram] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        status, seconds = 0, 0.0

        async def noting(message: Message) -> None:
            nonlocal status, seconds
            if message["type"] == "http.response.start":
                status, seconds = message["status"], time.perf_counter() - started
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception as error:
            # the reply has begun, there is no other way to end it: an error before that has been answered
            if status == 0:
                raise
            log_unexpected(scope, error)
        finally:
            if status:
                self._note(scope, status, seconds)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        given = str(scope.get("method", ""))
        method = given if given in METHODS else "OTHER"
        path = str(scope.get("path_template", "unmatched"))
        key = (method, path, status)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._seconds.labels(method, path, str(status))
        child.observe(seconds)
        if status >= 500 or seconds > SLOW_SECONDS or self._logs_all:
            write = _log.error if status >= 500 else _log.info
            error_id = error_id_of(scope)
            named = {"error_id": error_id} if error_id else {}
            write("request", method=method, path=path, status=status, seconds=round(seconds, 4), **named)


def metrics_of(registry: CollectorRegistry) -> Any:
    """The handler of `GET /metrics`: the operator's, without anything of a tenant."""

    @get("/metrics", opt=described("Metrics for Prometheus", None, None, None, media="text/plain"))
    async def metrics() -> Response[bytes]:
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4")

    return metrics
