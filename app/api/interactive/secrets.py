"""Secrets over HTTP: set, removed and named, never shown."""

from typing import Any, ClassVar

from litestar import delete, get, put

from app.api.auth import needs, workspace_of
from app.api.describe import Shape, described
from app.api.fields import Fields, json_object
from app.api.interactive.requests import Reply, page_of, shown
from app.api.interactive.views import page_view
from app.api.services import ApiRequest, services_of

SECRETS = "/v1/secrets"
SECRET = "/v1/secrets/{name:str}"


class NewSecret(Shape, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Its value, 1 to 16,384 bytes."""

    examples: ClassVar[dict[str, Any]] = {"token": {"value": "s3cr3t"}}

    value: str


class Secret(Shape, frozen=True, kw_only=True):
    """What may be known of a secret."""

    examples: ClassVar[dict[str, Any]] = {"token": {"name": "crm_token", "updated_at": 1767225600.0}}

    name: str
    updated_at: float


class SecretPage(Shape, frozen=True, kw_only=True):
    """By name."""

    examples: ClassVar[dict[str, Any]] = {
        "page": {"items": [Secret.examples["token"]], "total": 1, "page": 1, "size": 20, "pages": 1}
    }

    items: list[Secret]
    total: int
    page: int
    size: int
    pages: int


@put(SECRET, guards=[needs("admin")], opt=described("Set a secret", "admin", NewSecret, Secret))
async def write(request: ApiRequest) -> Reply:
    fields = Fields(await json_object(request))
    fields.only(("value",))
    fields.required("value")
    value = fields.text("value", empty=False)
    fields.done()
    stored = await services_of(request).secrets.put(workspace_of(request), request.path_params["name"], value or "")
    return shown({"name": stored.name, "updated_at": stored.updated_at})


@get(
    SECRETS,
    guards=[needs("admin")],
    opt=described("List the names of secrets", "admin", None, SecretPage, query="page"),
)
async def list_secrets(request: ApiRequest) -> Reply:
    page, size = page_of(request)
    found = await services_of(request).secrets.list(workspace_of(request))
    rows = [{"name": secret.name, "updated_at": secret.updated_at} for secret in found[(page - 1) * size : page * size]]
    return shown(page_view(rows, len(found), page, size))


@delete(SECRET, guards=[needs("admin")], opt=described("Remove a secret", "admin", None, None, status=204))
async def remove(request: ApiRequest) -> None:
    await services_of(request).secrets.delete(workspace_of(request), request.path_params["name"])


HANDLERS: list[Any] = [write, list_secrets, remove]
