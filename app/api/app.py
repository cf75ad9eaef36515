"""The HTTP app over the services: every route, how errors are answered, limits, CORS, metrics and logs."""

from typing import Final

from litestar import Litestar, Response, route
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from prometheus_client import CollectorRegistry

from app.api import errors, health, reference
from app.api.approvals import routes as approvals
from app.api.idempotency import HEADER
from app.api.interactive import diff, execute, pauses, providers, runs, secrets, stream, transfer, workflows, workspace
from app.api.logs import configure_logs
from app.api.observe import Observed, metrics_of
from app.api.services import ApiRequest, Services
from app.settings import Settings

EXPOSED: Final = ("X-Run-Id", "X-Turn-Number", "Idempotency-Replayed", "Retry-After")
_sent: Final = ("Authorization", "Content-Type", HEADER, "If-Match", "Last-Event-ID")


def create_app(services: Services, settings: Settings, registry: CollectorRegistry | None = None) -> Litestar:
    """The app. It opens nothing and closes nothing: that is for who made the services. `registry`: what `/metrics` shows."""
    configure_logs(settings.log_level)
    registry = registry or CollectorRegistry()
    handlers = [
        execute.execute,
        *workflows.HANDLERS,
        *diff.HANDLERS,
        *transfer.HANDLERS,
        *runs.HANDLERS,
        *pauses.HANDLERS,
        *stream.HANDLERS,
        *workspace.HANDLERS,
        *secrets.HANDLERS,
        *providers.HANDLERS,
        *approvals.HANDLERS,
        *health.HANDLERS,
        *reference.HANDLERS,
        metrics_of(registry),
    ]
    app = Litestar(
        [_options(handlers), *handlers],
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


def _options(handlers: list[HTTPRouteHandler]) -> HTTPRouteHandler:
    """Answers OPTIONS with the methods of an address. Litestar's own knows those of one handler only."""
    methods: dict[str, set[str]] = {}
    for handler in handlers:
        for path in handler.paths:
            methods.setdefault(path, {"OPTIONS"}).update(handler.http_methods)
    allowed = {_formatted(path): ", ".join(sorted(found)) for path, found in methods.items()}

    @route(sorted(methods), http_method=HttpMethod.OPTIONS, status_code=204, include_in_schema=False)
    async def options(request: ApiRequest) -> Response[None]:
        return Response(None, status_code=204, headers={"Allow": allowed[request.scope["path_template"]]})

    return options


def _formatted(path: str) -> str:
    """A path as Litestar shows it in templates: without types."""
    return path.replace(":str}", "}")


def _cors(settings: Settings) -> CORSConfig | None:
    if not settings.cors_origins:
        return None
    return CORSConfig(
        allow_origins=list(settings.cors_origins),
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=list(_sent),
        expose_headers=list(EXPOSED),
    )
