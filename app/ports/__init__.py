"""What the services need from the world, as Protocols, the stored shapes, and the errors that adapters raise.

The stored shapes follow the data model. Times are unix seconds (float, UTC) everywhere inside.
"""

from app.ports.accounts import AccountStore, ApiKey, SecretStore, SlotStore, StoredSecret, Workspace
from app.ports.errors import DuplicateError, StoreUnavailableError, UnreadableSecretError
from app.ports.meter import Meter
from app.ports.models import Endpoint, Models, Reach, Reaching, TextSink
from app.ports.names import Id, Scope
from app.ports.outside import (
    AnswerChecker,
    Clock,
    EffectContext,
    EffectError,
    HttpClient,
    HttpRequest,
    HttpResponse,
    Ids,
    Performer,
    Signer,
    Vault,
)
from app.ports.providers import ProviderStore, StoredProvider
from app.ports.runs import (
    AcceptedCommand,
    Among,
    Commit,
    EventBatch,
    Lease,
    Origin,
    Pinned,
    Run,
    RunFilter,
    RunStore,
    Turn,
)
from app.ports.sandbox import CodeResult, CodeRunner, TemplateRenderer
from app.ports.workflows import StoredVersion, WorkflowHead, WorkflowStore

__all__ = [
    "AcceptedCommand",
    "AccountStore",
    "Among",
    "AnswerChecker",
    "ApiKey",
    "Clock",
    "CodeResult",
    "CodeRunner",
    "Commit",
    "DuplicateError",
    "EffectContext",
    "EffectError",
    "Endpoint",
    "EventBatch",
    "HttpClient",
    "HttpRequest",
    "HttpResponse",
    "Id",
    "Ids",
    "Lease",
    "Meter",
    "Models",
    "Origin",
    "Performer",
    "Pinned",
    "ProviderStore",
    "Reach",
    "Reaching",
    "Run",
    "RunFilter",
    "RunStore",
    "Scope",
    "SecretStore",
    "Signer",
    "SlotStore",
    "StoreUnavailableError",
    "StoredProvider",
    "StoredSecret",
    "StoredVersion",
    "TemplateRenderer",
    "TextSink",
    "Turn",
    "UnreadableSecretError",
    "Vault",
    "WorkflowHead",
    "WorkflowStore",
    "Workspace",
]
