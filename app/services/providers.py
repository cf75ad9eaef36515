"""Providers of models: a workspace's own and the operator's, and which of them a request of a model goes to."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from app.ports import (
    Clock,
    EffectError,
    Endpoint,
    ProviderStore,
    Reach,
    StoredProvider,
    UnreadableSecretError,
    Vault,
)
from app.services import provider_fields as fields
from app.services.errors import Detail, ServiceError
from app.services.secrets import Secrets
from app.services.shared_providers import SharedProvider
from app.services.workspaces import Workspaces

LEAST_KEY = 8  # characters: the key of a server next door may be any word, and texts are full of words

Chosen = tuple[str, SharedProvider | StoredProvider]
Opened = tuple[str, str, tuple[str, ...]]


class NewProvider(msgspec.Struct, frozen=True, kw_only=True):
    """A provider as a workspace gives it."""

    base_url: str
    api_key: str
    default_model: str | None = None
    embedding_model: str | None = None

    def __repr__(self) -> str:
        """Without the key."""
        return f"NewProvider(base_url={self.base_url!r})"


class KnownProvider(msgspec.Struct, frozen=True, kw_only=True):
    """What may be known of a provider. `last4`: of its key, or nothing; shared ones have no times."""

    name: str
    base_url: str
    last4: str
    default_model: str | None
    embedding_model: str | None
    shared: bool
    created_at: float | None = None
    updated_at: float | None = None


class Providers:
    """Raises ServiceError (invalid_value, not_found), StoreUnavailableError."""

    def __init__(
        self,
        store: ProviderStore,
        vault: Vault,
        clock: Clock,
        secrets: Secrets,
        workspaces: Workspaces,
        shared: Mapping[str, SharedProvider],
    ) -> None:
        self._store = store
        self._vault = vault
        self._clock = clock
        self._secrets = secrets
        self._workspaces = workspaces
        self._shared = shared

    # ---- what a workspace does with them

    async def put(self, workspace: str, name: str, new: NewProvider) -> KnownProvider:
        """Sets or replaces an own one, which from then on stands before a shared one of this name."""
        faults = _faults(name, new)
        if faults:
            raise ServiceError("invalid_value", "the provider cannot be used", details=faults)
        now = self._clock.now()
        provider = StoredProvider(
            workspace=workspace,
            name=name,
            base_url=new.base_url,
            sealed=self._vault.seal(_label(workspace, name), new.api_key),
            last4=fields.last4_of(new.api_key),
            default_model=new.default_model,
            embedding_model=new.embedding_model,
            created_at=now,
            updated_at=now,
        )
        return _own(await self._store.put(provider))

    async def get(self, workspace: str, name: str) -> KnownProvider:
        own = await self._read(workspace, name)
        if own is not None:
            return _own(own)
        if name in self._shared:
            return _of_operator(name, self._shared[name])
        raise ServiceError("not_found", "no such provider")

    async def list(self, workspace: str) -> list[KnownProvider]:
        """By name; a shared one that an own one stands before is left out."""
        shared = {name: _of_operator(name, provider) for name, provider in self._shared.items()}
        own = {provider.name: _own(provider) for provider in await self._store.list(workspace)}
        return sorted((shared | own).values(), key=lambda provider: provider.name)

    async def delete(self, workspace: str, name: str) -> None:
        """An own one; a shared one of this name, which nobody can delete here, is there again."""
        if not fields.NAME.fullmatch(name) or not await self._store.delete(workspace, name):
            message = "the provider is the operator's" if name in self._shared else "no such provider"
            raise ServiceError("not_found", message)

    # ---- what a request of a model needs

    async def endpoint(self, workspace: str, name: str | None, model: str | None) -> Reach | None:
        """Of the named provider, else of the only one there is; None: the echo provider answers. Raises EffectError:
        `provider_not_configured`; `invalid_reference` when a secret is missing or the key cannot be read; `invalid_value`
        when the fields cannot be used with the secrets in them."""
        chosen = await self._choose(workspace, name, model)
        if chosen is None:
            return None
        found, provider = chosen
        base_url, api_key, secrets = await self._opened(workspace, found, provider)
        fault = fields.filled_fault(base_url, api_key)
        if fault is not None:
            raise EffectError("invalid_value", f"the provider {found!r} cannot be used: {fault}")
        allowed = await self._workspaces.allowed_hosts(workspace)
        if isinstance(provider, SharedProvider):  # may be an inner address: the operator is trusted, for this place
            allowed = (*allowed, fields.place_of(base_url))
        wanted = model or provider.default_model or ""
        endpoint = Endpoint(name=found, base_url=base_url, api_key=api_key, model=wanted, allowed=allowed)
        is_shared = isinstance(provider, SharedProvider)
        masked = (api_key, *secrets) if len(api_key) >= LEAST_KEY else secrets
        return Reach(endpoint=endpoint, secrets=tuple(dict.fromkeys(masked)), shared=is_shared)

    async def fault(self, workspace: str, name: str | None, model: str | None) -> str | None:
        """What speaks against a node that names these; None: nothing. Secrets are not looked for."""
        try:
            await self._choose(workspace, name, model)
        except EffectError as error:
            return error.message
        return None

    async def _choose(self, workspace: str, name: str | None, model: str | None) -> Chosen | None:
        """None: echo. Raises EffectError `provider_not_configured`."""
        if name == fields.ECHO:
            return None
        chosen = await (self._only(workspace) if name is None else self._named(workspace, name))
        if chosen is not None and not (model or chosen[1].default_model):
            raise _not_configured(f"the provider {chosen[0]!r} has no default model: name the model")
        return chosen

    async def _only(self, workspace: str) -> Chosen | None:
        found: dict[str, SharedProvider | StoredProvider] = dict(self._shared)
        found |= {provider.name: provider for provider in await self._store.list(workspace)}
        if len(found) > 1:
            raise _not_configured(f"there are several providers: name one of {', '.join(sorted(found))}")
        return next(iter(found.items()), None)

    async def _named(self, workspace: str, name: str) -> Chosen:
        own = await self._read(workspace, name)
        if own is not None:
            return name, own
        if name not in self._shared:
            raise _not_configured(f"there is no provider {name[:80]!r}")
        return name, self._shared[name]

    async def _read(self, workspace: str, name: str) -> StoredProvider | None:
        """What can be no name is not looked up: not every text fits into a query."""
        return await self._store.read(workspace, name) if fields.NAME.fullmatch(name) else None

    async def _opened(self, workspace: str, name: str, provider: SharedProvider | StoredProvider) -> Opened:
        """Its base URL and key with the secrets in them, and these secrets. Raises EffectError `invalid_reference`."""
        if isinstance(provider, SharedProvider):
            return provider.base_url, provider.api_key, ()
        try:
            api_key = self._vault.open(_label(workspace, name), provider.sealed)
        except UnreadableSecretError as error:
            message = f"the key of the provider {name!r} cannot be read: {error}"
            raise EffectError("invalid_reference", message) from error
        secrets = await self._secrets.reveal(workspace, fields.secrets_of(provider.base_url, api_key))
        filled = [fields.filled(text, secrets) for text in (provider.base_url, api_key)]
        return filled[0], filled[1], tuple(secrets.values())


def _not_configured(message: str) -> EffectError:
    return EffectError("provider_not_configured", message)


def _label(workspace: str, name: str) -> str:
    """Never that of a secret: a workspace's id has no slash."""
    return f"provider/{workspace}/{name}"


def _faults(name: str, new: NewProvider) -> list[Detail]:
    models = {"default_model": new.default_model, "embedding_model": new.embedding_model}
    found = {
        "name": fields.name_fault(name),
        "base_url": fields.url_fault(new.base_url),
        "api_key": fields.key_fault(new.api_key),
        **{field: fields.model_fault(model) for field, model in models.items() if model is not None},
    }
    return [Detail(field, fault) for field, fault in found.items() if fault is not None]


def _own(provider: StoredProvider) -> KnownProvider:
    return KnownProvider(
        name=provider.name,
        base_url=provider.base_url,
        last4=provider.last4,
        default_model=provider.default_model,
        embedding_model=provider.embedding_model,
        shared=False,
        created_at=provider.created_at,
        updated_at=provider.updated_at,
    )


def _of_operator(name: str, provider: SharedProvider) -> KnownProvider:
    return KnownProvider(
        name=name,
        base_url=provider.base_url,
        last4=fields.last4_of(provider.api_key),
        default_model=provider.default_model,
        embedding_model=provider.embedding_model,
        shared=True,
    )
