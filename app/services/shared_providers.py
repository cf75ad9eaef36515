"""The operator's providers of models, which all workspaces share, as one setting holds them."""

from __future__ import annotations

import msgspec

from app.services.provider_fields import key_fault, model_fault, name_fault, secrets_of, url_fault


class SharedProvider(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of them. No field refers to secrets: those are the workspaces' own, and this is nobody's."""

    base_url: str
    api_key: str
    default_model: str | None = None
    embedding_model: str | None = None

    def __repr__(self) -> str:
        """Without the key."""
        return f"SharedProvider(base_url={self.base_url!r})"


def parse_shared(text: str) -> dict[str, SharedProvider]:
    """By name. Raises ValueError, which says what is wrong and where, and nothing of a key."""
    try:
        found = msgspec.json.decode(text, type=dict[str, SharedProvider])
    except (ValueError, RecursionError) as error:  # not chained: a decoder's error may hold the text
        raise ValueError(f"is no JSON object of providers: {_told(error)}") from None
    for name, provider in found.items():
        for field, fault in _faults(name, provider):
            raise ValueError(f"{name[:80]!r}: {field} {fault}")
    return found


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, msgspec.DecodeError) else "it cannot be read"


def _faults(name: str, provider: SharedProvider) -> list[tuple[str, str]]:
    fields = {"base_url": provider.base_url, "api_key": provider.api_key}
    models = {"default_model": provider.default_model, "embedding_model": provider.embedding_model}
    found = [
        ("the name", name_fault(name)),
        ("base_url", url_fault(provider.base_url)),
        ("api_key", key_fault(provider.api_key)),
        *((field, model_fault(model)) for field, model in models.items() if model is not None),
    ]
    faults = [(field, fault) for field, fault in found if fault is not None]
    if not faults:
        faults += [(field, "must not refer to a secret") for field, text in fields.items() if secrets_of(text)]
    return faults
