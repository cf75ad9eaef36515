"""Requests made of the OpenAPI document, at a server that has what they ask for: runs, turns and workflows by their ids."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings, strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi import checks

from tests.system import graphs
from tests.system.servers import Server

Json = dict[str, Any]
CHECKS: Final = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
CHECK_NAMES: Final = ",".join(check.__name__ for check in CHECKS)
REQUEST_SECONDS: Final = 20.0
_spare: Final = 12  # of what the requests delete


@dataclass
class Stock:
    """Ids of what is there. `ended`: runs whose streams end; `spare_…`: to be deleted."""

    workflows: list[str]
    paused: list[str]
    ended: list[str]
    spare_workflows: list[str]
    spare_runs: list[str]


async def stocked(server: Server) -> Stock:
    """Workflows, and runs with several turns, paused and ended."""
    asking, endless = await server.workflow(graphs.asking("One?")), await server.workflow(graphs.asking_for_ever())
    ended, paused = [], []
    for _ in range(_spare):
        ended.append(str((await server.started(asking))["run_id"]))
        await server.execute(asking, ended[-1], message="hello")
        paused.append(str((await server.started(endless))["run_id"]))
        await server.execute(endless, paused[-1], message="hello")
    spare = [await server.workflow(graphs.asking("One?")) for _ in range(_spare)]
    return Stock([asking, endless], paused, ended[:2], spare, ended[2:])


def fuzz(server: Server, stock: Stock, examples: int, start: int) -> list[str]:
    """So many requests of every operation, half of them against its schema. What is wrong with the replies, in words with
    a curl command each."""
    schema = schemathesis.openapi.from_url(f"{server.url}/schema/openapi.json")
    found = []
    with requests.Session() as session:
        for operation in (result.ok() for result in schema.get_all_operations()):
            for mode in GenerationMode:
                found += _fuzz_one(operation, mode, stock, session, server.key, examples // 2, start)
    return found


def _fuzz_one(
    operation: Any, mode: GenerationMode, stock: Stock, session: requests.Session, key: str, examples: int, start: int
) -> Iterator[str]:
    @seed(start)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(mode), chance=st.randoms(use_true_random=False))
    def send(case: Any, chance: Any) -> None:
        _aim(case, stock, chance)
        headers = {"Authorization": f"Bearer {key}"}
        case.call_and_validate(session=session, headers=headers, checks=CHECKS, timeout=REQUEST_SECONDS)

    try:
        send()
    except Unsatisfiable:  # it takes nothing that could be wrong
        return
    except (Exception, FailureGroup) as error:
        yield f"{operation.label}, {mode.value}: {error}"


def _aim(case: Any, stock: Stock, chance: Any) -> None:
    """Most requests at what is there; and none that waits."""
    path = case.path_parameters
    deletes, streams = case.method == "DELETE", case.path.endswith("/events")
    if "workflow_id" in path and chance.random() < 0.8:
        path["workflow_id"] = chance.choice(stock.spare_workflows if deletes else stock.workflows)
    if "run_id" in path and (streams or chance.random() < 0.8):
        runs = [*stock.paused, *stock.ended]
        path["run_id"] = chance.choice(stock.spare_runs if deletes else stock.ended if streams else runs)
    if "number" in path and chance.random() < 0.5:
        path["number"] = chance.choice(["0", "1", "2", "3"])
    if isinstance(case.body, dict) and case.path.endswith("/execute"):
        _aim_turn(case, stock, chance)


def _aim_turn(case: Any, stock: Stock, chance: Any) -> None:
    """A start, or a turn of a run of this workflow; its body as made, or as the inputs or the answer."""
    asking, endless = stock.workflows
    workflow, runs = chance.choice([(asking, stock.ended), (endless, stock.paused), (endless, stock.paused)])
    body, what = case.body, chance.random()
    if what < 0.6:
        case.path_parameters["workflow_id"] = workflow
    if what < 0.2:
        case.body = {**body, "run_id": chance.choice(runs)}
    elif what < 0.4:
        case.body = {"run_id": chance.choice(runs), "run_input": {"data": body}}
    elif what < 0.6:
        case.body = {"run_input": {"dynamic_variables": body}}
