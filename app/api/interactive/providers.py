"""Providers of models over HTTP: set, read and removed; their keys are taken and never shown."""

from typing import Annotated, Any, ClassVar

from litestar import delete, get, put
from msgspec import Meta

from app.api.auth import needs, workspace_of
from app.api.describe import Shape, described
from app.api.fields import Fields, json_object
from app.api.interactive.requests import Reply, page_of, shown
from app.api.interactive.schemas import Page, Seconds
from app.api.interactive.views import page_view
from app.api.services import ApiRequest, services_of
from app.services.providers import KnownProvider, NewProvider

PROVIDERS = "/v1/providers"
PROVIDER = "/v1/providers/{name:str}"
_hidden = "…"
_own = {
    "name": "openai",
    "base_url": "https://api.openai.com/v1",
    "default_model": "gpt-5-mini",
    "embedding_model": None,
    "api_key": f"{_hidden}x7Qa",
    "shared": False,
    "created_at": 1767225600.0,
    "updated_at": 1767225600.0,
}
_shared = {
    "name": "in_house",
    "base_url": "http://models.internal:8000/v1",
    "default_model": None,
    "embedding_model": "embed-small",
    "api_key": _hidden,
    "shared": True,
    "created_at": None,
    "updated_at": None,
}


class ProviderGiven(Shape, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An OpenAI-compatible server; `base_url` and `api_key` may have `{{secret.name}}` in them."""

    examples: ClassVar[dict[str, Any]] = {
        "key": {"base_url": _own["base_url"], "api_key": "sk-proj-0123456789x7Qa", "default_model": "gpt-5-mini"},
        "secret": {"base_url": "https://{{secret.model_host}}/v1", "api_key": "{{secret.model_key}}"},
    }

    base_url: Annotated[str, Meta(min_length=1, max_length=2048, description="http or https; no user, no query.")]
    api_key: Annotated[str, Meta(min_length=1, max_length=8192, description="1 to 8,192 bytes of printable ASCII.")]
    default_model: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    embedding_model: Annotated[str, Meta(min_length=1, max_length=256)] | None = None


class Provider(Shape, frozen=True, kw_only=True):
    """What may be known of a provider. `shared`: the operator's, for all workspaces; it has no times."""

    examples: ClassVar[dict[str, Any]] = {"own": _own, "shared": _shared}

    name: str
    base_url: str
    default_model: str | None
    embedding_model: str | None
    api_key: Annotated[str, Meta(description="… and the last four characters of a key with twelve or more.")]
    shared: bool
    created_at: Seconds | None
    updated_at: Seconds | None


class ProviderPage(Page, frozen=True, kw_only=True):
    """By name."""

    examples: ClassVar[dict[str, Any]] = {
        "page": {"items": [_shared, _own], "total": 2, "page": 1, "size": 20, "pages": 1}
    }

    items: list[Provider]


def _view(provider: KnownProvider) -> dict[str, Any]:
    return {
        "name": provider.name,
        "base_url": provider.base_url,
        "default_model": provider.default_model,
        "embedding_model": provider.embedding_model,
        "api_key": _hidden + provider.last4,
        "shared": provider.shared,
        "created_at": provider.created_at,
        "updated_at": provider.updated_at,
    }


@put(PROVIDER, guards=[needs("admin")], opt=described("Set a provider of models", "admin", ProviderGiven, Provider))
async def write(request: ApiRequest) -> Reply:
    fields = Fields(await json_object(request))
    fields.only(("base_url", "api_key", "default_model", "embedding_model"))
    fields.required("base_url", "api_key")
    base_url, api_key = fields.text("base_url"), fields.text("api_key")
    default_model, embedding_model = fields.text("default_model"), fields.text("embedding_model")
    fields.done()
    new = NewProvider(
        base_url=base_url or "", api_key=api_key or "", default_model=default_model, embedding_model=embedding_model
    )
    services, workspace = services_of(request), workspace_of(request)
    return shown(_view(await services.providers.put(workspace, request.path_params["name"], new)))


@get(PROVIDER, guards=[needs("admin")], opt=described("Read a provider of models", "admin", None, Provider))
async def read(request: ApiRequest) -> Reply:
    found = await services_of(request).providers.get(workspace_of(request), request.path_params["name"])
    return shown(_view(found))


@get(
    PROVIDERS,
    guards=[needs("admin")],
    opt=described("List providers of models", "admin", None, ProviderPage, query="page"),
)
async def list_providers(request: ApiRequest) -> Reply:
    page, size = page_of(request)
    found = await services_of(request).providers.list(workspace_of(request))
    rows = [_view(provider) for provider in found[(page - 1) * size : page * size]]
    return shown(page_view(rows, len(found), page, size))


@delete(
    PROVIDER, guards=[needs("admin")], opt=described("Remove a provider of models", "admin", None, None, status=204)
)
async def remove(request: ApiRequest) -> None:
    await services_of(request).providers.delete(workspace_of(request), request.path_params["name"])


HANDLERS: list[Any] = [write, read, list_providers, remove]
