"""Whether a graph can be saved: the engine's own faults, and those that only others can find."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec

from app.engine import rich
from app.engine.kind import Claim, Fault, NodeKind
from app.engine.nodes import CATALOGUE
from app.engine.validate import Checked, check
from app.engine.values import Value
from app.ports import AnswerChecker, CodeRunner, TemplateRenderer, WorkflowStore
from app.services.performing.web_search import NOT_CONFIGURED
from app.services.providers import Providers

MOST_CLAIMS: Final = 2_000  # each costs a call to another process, or of the database
MOST_SECONDS: Final = 20.0
MOST_SECONDS_TOGETHER: Final = 60.0  # of graphs that arrive together

Arriving = Mapping[str, Collection[int]]  # versions by the ids that graphs call their workflows by
Reference = tuple[str, int | None]  # a workflow, and its version; None: the active one


class Checks:
    """What every graph goes through before it is kept."""

    def __init__(
        self,
        schemas: AnswerChecker,
        code: CodeRunner,
        templates: TemplateRenderer,
        providers: Providers,
        workflows: WorkflowStore,
        catalogue: Mapping[str, type[NodeKind]] = CATALOGUE,
        *,
        searches_the_web: bool,
    ) -> None:
        self._schemas = schemas
        self._providers = providers
        self._code = code
        self._templates = templates
        self._searches_the_web = searches_the_web
        self._workflows = workflows
        self._catalogue = catalogue

    def compiled(self, source: Value) -> Checked:
        """As far as the engine can tell; faults or not, with its claims."""
        return check(source, self._catalogue)

    async def check(self, workspace: str, source: Value) -> Checked:
        """Every fault and warning of a graph that is to belong to a workspace. Raises StoreUnavailableError."""
        return await self._check(workspace, source, None, time.monotonic() + MOST_SECONDS)

    async def check_together(self, workspace: str, sources: Sequence[Value], arriving: Arriving) -> list[Checked]:
        """The same of graphs that are to be kept together: the workflows that they refer to are those that arrive."""
        until = time.monotonic() + MOST_SECONDS_TOGETHER
        found = []
        for source in sources:
            found.append(await self._check(workspace, source, arriving, until))
            await asyncio.sleep(0)  # others have a turn
        return found

    async def _check(self, workspace: str, source: Value, arriving: Arriving | None, until: float) -> Checked:
        checked = self.compiled(source)
        faults = list(checked.faults)
        judged: dict[Reference, str | None] = {}
        for claim in checked.claims[:MOST_CLAIMS]:
            if time.monotonic() > until:
                faults.append(Fault(claim.path, "the graph takes too long to check"))
                break
            if fault := await self._fault(workspace, claim, arriving, judged):
                faults.append(Fault(claim.path, fault))
        if len(checked.claims) > MOST_CLAIMS:
            faults.append(Fault("nodes", f"there are over {MOST_CLAIMS} schemas, rich templates and pieces of code"))
        return msgspec.structs.replace(checked, graph=None, faults=tuple(faults)) if faults else checked

    async def _fault(
        self, workspace: str, claim: Claim, arriving: Arriving | None, judged: dict[Reference, str | None]
    ) -> str | None:
        """`judged`: references looked at before, each costs two reads."""
        match claim.about:
            case "schema":
                return self._schemas.schema_fault(claim.value)
            case "code":
                return await self._code.fault(claim.value)
            case "template":
                return await self._templates.fault(rich.source_of(claim.value))
            case "model":
                provider, model = claim.value
                return await self._providers.fault(workspace, provider, model)
            case "dataset":
                return "no such data set"  # there is none in any workspace yet
            case "web_search":
                return None if self._searches_the_web else NOT_CONFIGURED
            case "workflow":
                named = reference_of(claim)
                if arriving is not None:
                    return _arrives(named, arriving)
                if named not in judged:
                    judged[named] = await self._workflow_fault(workspace, *named)
                return judged[named]

    async def _workflow_fault(self, workspace: str, workflow_id: str, version: int | None) -> str | None:
        head = await self._workflows.head(workflow_id)
        if head is None or head.deleted_at or head.workspace != workspace:
            return NO_WORKFLOW
        number = head.active_version if version is None else version
        stored = await self._workflows.version(workflow_id, number)
        if stored is None:
            return no_version(number)
        return f"version {number} was saved with faults and cannot run" if stored.graph_hash is None else None


NO_WORKFLOW: Final = "no such workflow"


def no_version(number: int) -> str:
    return f"no version {number} of this workflow"


def reference_of(claim: Claim) -> Reference:
    """What a claim about a workflow names."""
    workflow_id, version = claim.value
    return workflow_id, version


def _arrives(named: Reference, arriving: Arriving) -> str | None:
    workflow_id, version = named
    if workflow_id not in arriving:
        return "no such workflow in the file"
    return None if version is None or version in arriving[workflow_id] else f"no version {version} of it in the file"
