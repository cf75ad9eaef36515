"""What the handlers call: the services, put together by bootstrap and kept on the app's state."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from litestar import Request

from app.services.approvals import Approvals
from app.services.exports import Exports
from app.services.forks import Forks
from app.services.imports import Imports
from app.services.keys import Keys
from app.services.providers import Providers
from app.services.runs import Runs
from app.services.secrets import Secrets
from app.services.turns import Turns
from app.services.workflows import Workflows

ApiRequest = Request[Any, Any, Any]


@dataclass(frozen=True)
class Services:
    """`ready`: whether the database answers; it may also raise StoreUnavailableError."""

    turns: Turns
    approvals: Approvals
    runs: Runs
    forks: Forks
    workflows: Workflows
    exports: Exports
    imports: Imports
    keys: Keys
    secrets: Secrets
    providers: Providers
    ready: Callable[[], Awaitable[bool]]


def services_of(request: ApiRequest) -> Services:
    """The services of the app that got this request."""
    services: Services = request.app.state.services
    return services
