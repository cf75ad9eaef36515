"""Whether a graph can be saved: the engine's own faults, and those that only others can find."""

from __future__ import annotations

import time
from typing import Final

import msgspec

from app.engine import rich
from app.engine.kind import Claim, Fault
from app.engine.nodes import CATALOGUE
from app.engine.validate import Checked, check
from app.engine.values import Value
from app.ports import AnswerChecker, CodeRunner, TemplateRenderer
from app.services.performing.web_search import NOT_CONFIGURED
from app.services.providers import Providers

MOST_CLAIMS: Final = 2_000  # each costs a call to another process
MOST_SECONDS: Final = 20.0


class Checks:
    """What every graph goes through before it is kept."""

    def __init__(
        self,
        schemas: AnswerChecker,
        code: CodeRunner,
        templates: TemplateRenderer,
        providers: Providers,
        *,
        searches_the_web: bool,
    ) -> None:
        self._schemas = schemas
        self._providers = providers
        self._code = code
        self._templates = templates
        self._searches_the_web = searches_the_web

    async def check(self, workspace: str, source: Value) -> Checked:
        """Every fault and warning of a graph that is to belong to a workspace. Raises StoreUnavailableError."""
        checked = check(source, CATALOGUE)
        faults = list(checked.faults)
        until = time.monotonic() + MOST_SECONDS
        for claim in checked.claims[:MOST_CLAIMS]:
            if time.monotonic() > until:
                faults.append(Fault(claim.path, f"the graph takes longer than {MOST_SECONDS:g} seconds to check"))
                break
            if fault := await self._fault(workspace, claim):
                faults.append(Fault(claim.path, fault))
        if len(checked.claims) > MOST_CLAIMS:
            faults.append(Fault("nodes", f"there are over {MOST_CLAIMS} schemas, rich templates and pieces of code"))
        return msgspec.structs.replace(checked, graph=None, faults=tuple(faults)) if faults else checked

    async def _fault(self, workspace: str, claim: Claim) -> str | None:
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
            case "workflow":
                return None
            case "dataset":
                return None
            case "web_search":
                return None if self._searches_the_web else NOT_CONFIGURED
