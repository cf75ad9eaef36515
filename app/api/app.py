"""The HTTP app over the services: every route, how errors are answered, limits, CORS, metrics and logs."""

from typing import Final

from litestar import Litestar
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from prometheus_client import CollectorRegistry

from app.api import errors, health, reference
from app.api.idempotency import HEADER
from app.api.interactive import execute, runs, stream, workflows, workspace
from app.api.logs import configure_logs
from app.api.observe import Observed, metrics_of
from app.api.services import Services
from app.settings import Settings

EXPOSED: Final = ("X-Run-Id", "X-Turn-Number", "Idempotency-Replayed", "Retry-After")
_sent: Final = ("Authorization", "Content-Type", HEADER, "If-Match", "Last-Event-ID")


def create_app(services: Services, settings: Settings) -> Litestar:
    """The app. It opens nothing and closes nothing: that is for who made the services."""
    configure_logs(settings.log_level)
    registry = CollectorRegistry()
    app = Litestar(
        [
            execute.execute,
            *workflows.HANDLERS,
            *runs.HANDLERS,
            *stream.HANDLERS,
            *workspace.HANDLERS,
            *health.HANDLERS,
            *reference.HANDLERS,
            metrics_of(registry),
        ],
        state=State({"services": services}),
        exception_handlers=errors.HANDLERS,
        request_max_body_size=settings.max_body_bytes,
        cors_config=_cors(settings),
        openapi_config=None,  # `reference` serves our own
        logging_config=None,
        debug=False,
    )
    app.asgi_handler = Observed(app.asgi_handler, registry, logs_all=settings.log_level == "DEBUG")
    return app


def _cors(settings: Settings) -> CORSConfig | None:
    if not settings.cors_origins:
        return None
    return CORSConfig(
        allow_origins=list(settings.cors_origins),
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=list(_sent),
        expose_headers=list(EXPOSED),
    )
