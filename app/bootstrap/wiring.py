"""Wires adapters to ports: the only file that knows which adapter fills which port."""

from __future__ import annotations

import os
from collections.abc import Mapping

from prometheus_client import CollectorRegistry

from app.adapters.addresses import AddressGuard
from app.adapters.clock import SystemClock
from app.adapters.http_client import GuardedHttp
from app.adapters.ids import SystemIds
from app.adapters.json_schema import SchemaChecker
from app.adapters.meter import PrometheusMeter
from app.adapters.models.client import OpenAIModels
from app.adapters.models.mcp_client import McpToolServers
from app.adapters.mongo.database import Database
from app.adapters.sandbox.both import Sandboxes
from app.adapters.signing import Signatures
from app.adapters.vault import Vault, key_of_folder
from app.adapters.web_search import SearxSearch
from app.api.interactive.views import turn_reply
from app.api.services import Services
from app.engine.state import Limits
from app.ports import Clock, HttpClient, Performer
from app.ports.web import WebSearch
from app.services.approvals import Approvals
from app.services.checks import Checks
from app.services.exports import Exports
from app.services.follow import Follow
from app.services.forks import Forks
from app.services.imports import Imports
from app.services.keys import Keys
from app.services.links import Links
from app.services.performing.code import CodePerformer
from app.services.performing.http import HttpPerformer
from app.services.performing.model import ModelPerformer
from app.services.performing.render import RenderPerformer
from app.services.performing.results import KeepPerformer, KeptPerformer, RestPerformer
from app.services.performing.tools import ToolCallPerformer, ToolListPerformer
from app.services.performing.web_search import WebSearchPerformer
from app.services.provider_fields import place_of
from app.services.providers import Providers
from app.services.runs import Runs
from app.services.secrets import Secrets
from app.services.turns import Turns
from app.services.workflows import Workflows
from app.services.workspaces import Workspaces
from app.services.world import GraphCache, World
from app.settings import Settings

# Further performers by operation: a node kind that awaits an effect names one of these, or of `_performers`.
PERFORMERS: dict[str, Performer] = {}


def _performers(database: Database, settings: Settings, world: World) -> dict[str, Performer]:
    """Which performer does which operation."""
    clock, client = world.clock, GuardedHttp(AddressGuard(settings.outgoing_allow))
    secrets, workspaces = build_secrets(database, settings, clock), Workspaces(database.accounts, clock)
    providers, models = build_providers(database, settings, clock), OpenAIModels(client, clock)
    tools = McpToolServers(client, clock)
    return {
        "http": HttpPerformer(client, secrets, workspaces, clock, build_links(settings)),
        "code": CodePerformer(world.code),
        "render": RenderPerformer(world.templates),
        "model": ModelPerformer(models, providers.endpoint, world.texts, world.checker, clock, world.meter),
        "keep_results": KeepPerformer(database.runs),
        "kept_results": KeptPerformer(database.runs),
        "rest": RestPerformer(),
        "mcp_list": ToolListPerformer(tools, secrets, workspaces, clock),
        "mcp_call": ToolCallPerformer(tools, secrets, workspaces, clock),
        "web_search": WebSearchPerformer(_web_search(settings, client, clock)),
    }


def _web_search(settings: Settings, client: HttpClient, clock: Clock) -> WebSearch | None:
    """The operator's, which may be at an inner address: this one place is allowed to it."""
    url = settings.web_search_url
    return None if url is None else SearxSearch(client, clock, url, allowed=(place_of(url),))


def build_secrets(database: Database, settings: Settings, clock: Clock) -> Secrets:
    """Secrets of workspaces."""
    return Secrets(database.secrets, _vault(settings), clock)


def build_providers(database: Database, settings: Settings, clock: Clock) -> Providers:
    """Providers of models, with the operator's."""
    return Providers(
        database.providers,
        _vault(settings),
        clock,
        build_secrets(database, settings, clock),
        Workspaces(database.accounts, clock),
        settings.shared_providers(),
    )


def build_links(settings: Settings) -> Links:
    """Links to vote by, to the address that people reach us by."""
    base_url = settings.public_url or f"http://{settings.host}:{settings.port}"
    return Links(Signatures(_keys(settings), "approval links"), base_url)


def _vault(settings: Settings) -> Vault:
    return Vault(_keys(settings))


def _keys(settings: Settings) -> list[str]:
    """The operator's, else the one in the data folder."""
    keys = settings.secret_keys.get_secret_value() if settings.secret_keys else key_of_folder(settings.data_dir)
    return [key.strip() for key in keys.split(",") if key.strip()]


def limits_of(settings: Settings) -> Limits:
    """The engine's bounds as set in the environment."""
    return Limits(
        turn_executions=settings.limit_turn_executions,
        turn_seconds=settings.limit_turn_seconds,
        node_executions=settings.limit_node_executions,
        branches=settings.limit_parallel_branches,
        text_bytes=settings.limit_text_bytes,
        output_bytes=settings.limit_output_bytes,
        state_bytes=settings.limit_state_bytes,
        events_bytes=settings.limit_events_bytes,
        reply_bytes=settings.limit_reply_bytes,
        items=settings.limit_iteration_items,
        run_tokens=settings.limit_run_tokens,
    )


def build_world(
    database: Database,
    settings: Settings,
    performers: Mapping[str, Performer],
    registry: CollectorRegistry | None = None,
) -> World:
    """The services' world over a database; what it does is counted in `registry`. Closing it ends the sandboxes."""
    ids, clock, sandboxes = SystemIds(), SystemClock(), Sandboxes(settings.limit_output_bytes)
    world = World(
        runs=database.runs,
        workflows=database.workflows,
        slots=database.slots,
        clock=clock,
        ids=ids,
        checker=SchemaChecker(),
        code=sandboxes.code,
        templates=sandboxes.templates,
        meter=PrometheusMeter(registry or CollectorRegistry()),
        performers={},
        render=turn_reply,
        limits=limits_of(settings),
        process=f"{os.getpid()}-{ids.object_id()}",
        retention_seconds=settings.run_retention_days * 86_400.0,
        graphs=GraphCache(database.workflows),
        follow=Follow(database.runs, clock),
        closing=[sandboxes.close],
    )
    world.performers.update({**_performers(database, settings, world), **performers})
    return world


def build_services(database: Database, settings: Settings, world: World) -> Services:
    """What the HTTP handlers call."""
    providers = build_providers(database, settings, world.clock)
    searches = settings.web_search_url is not None
    checks = Checks(
        world.checker, world.code, world.templates, providers, database.workflows, searches_the_web=searches
    )
    turns = Turns(world)
    return Services(
        turns=turns,
        approvals=Approvals(world, turns, build_links(settings)),
        runs=Runs(world),
        forks=Forks(world),
        workflows=Workflows(database.workflows, world.clock, world.ids, checks),
        exports=Exports(database.workflows, checks),
        imports=Imports(database.workflows, world.clock, world.ids, checks),
        keys=Keys(database.accounts, world.clock, world.ids),
        secrets=build_secrets(database, settings, world.clock),
        providers=providers,
        ready=database.ping,
    )
