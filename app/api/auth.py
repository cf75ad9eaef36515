"""Who calls, and what the caller may do: guards that run before anything of the request is looked at."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler

from app.api.services import ApiRequest, Services
from app.ports import Scope

Guard = Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], Awaitable[None]]
RANKS: Final[dict[str, int]] = {"read": 0, "run": 1, "edit": 2, "admin": 3}


def may(scopes: tuple[Scope, ...], needed: Scope) -> bool:
    """Each scope includes the lower ones."""
    return any(RANKS[scope] >= RANKS[needed] for scope in scopes)


def bearer(header: str | None) -> str | None:
    """The secret in an Authorization header; None: there is none."""
    scheme, _, secret = (header or "").strip().partition(" ")
    return secret.strip() or None if scheme.lower() == "bearer" else None


def needs(scope: Scope) -> Guard:
    """A guard that lets keys with this scope pass. Raises 401 and 403."""

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        services: Services = connection.app.state.services
        secret = bearer(connection.headers.get("authorization"))
        key = await services.keys.authenticate(secret) if secret else None
        if key is None:
            raise NotAuthorizedException("a valid API key is needed", headers={"WWW-Authenticate": "Bearer"})
        if not may(key.scopes, scope):
            raise PermissionDeniedException(f"this needs a key with the scope {scope}")
        connection.scope["state"]["workspace"] = key.workspace
        connection.scope["state"]["key"] = key.id

    return guard


def caller_of(request: ApiRequest) -> str:
    """The key that a guard let pass, as a voter is called."""
    return f"key:{request.scope['state']['key']}"


def workspace_of(request: ApiRequest) -> str:
    """The workspace of the key that a guard let pass."""
    workspace: str = request.scope["state"]["workspace"]
    return workspace
