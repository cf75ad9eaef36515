"""Any JSON at all to validation: never an exception, places that can be found, and what has no fault runs."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import given, strategies as st

from app.engine.kind import Fault
from app.engine.messages import Start
from app.engine.nodes import CATALOGUE
from app.engine.nodes.start import Start as StartNode
from app.engine.state import decode, encode, status
from app.engine.step import step
from app.engine.validate import Checked, check
from app.engine.values import to_json
from tests.engine.graphs import KEY, RUN, WORKFLOW
from tests.engine.strategies import examples, graphs

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(alphabet=st.characters())
    | st.sampled_from([10**400, 10**4_299, "{{", "[[x]]", "{{a.b}}", "out", "error"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
_ids = st.sampled_from(["a", "b", "s", "item", "", "ä"])
_settings = ["text", "join", "retry", "timeout_seconds", "on_error", "default_output", "disabled", "inputs", "cases"]
_settings += ["seconds", "until", "values", "prompt", "choices", "schema", "outputs", "simulate_failure", "odd key"]
_settings += ["branch_on_choice", "expires_in_seconds", "on_expiry", "output", "delay_seconds"]
_good = st.sampled_from(
    [
        *("all", "branch", "default", True, 1, 1.5, "{{a}}", "{{", {"max_attempts": 2}, [{"name": "sys"}], ["a", "a"]),
        [{"handle": "x", "expression": "1 < 2"}, {"handle": "else", "expression": "1 ="}, {"handle": 1, "more": 2}],
        [{"name": "n", "type": "select"}, {"name": "n", "type": "file"}, {"type": "number", "default": "1"}],
        *({"x": ["{{", "{{ 1 + 1 }}"]}, ["yes", {"id": "no", "title": "{%"}, {"id": ""}], "2024-01-01T00:00:00Z"),
    ]
)
_nodes = st.fixed_dictionaries(
    {"id": _ids | anything, "type": st.sampled_from([*CATALOGUE]) | anything},
    optional={
        "config": st.dictionaries(st.sampled_from(_settings), _good | anything, max_size=5) | anything,
        "name": _ids,
    },
)
_edges = st.fixed_dictionaries(
    {"source": _ids | anything, "target": _ids},
    optional={"id": _ids, "source_handle": _ids | st.sampled_from(["error", "x", "else", 1]), "target_handle": _ids},
)
_sources = st.fixed_dictionaries(
    {"nodes": st.lists(_nodes | anything, max_size=5), "edges": st.lists(_edges | anything, max_size=5)}
)
_step = re.compile(r'\.?([\w-]+)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]')


def check_places(source: Any, faults: tuple[Fault, ...]) -> None:
    for fault in faults:
        assert fault.message
        steps = [found for found in _step.finditer(fault.path)]
        assert "".join(found.group() for found in steps) == fault.path, f"{fault.path!r} is no place"
        assert is_there(source, steps), f"{fault.path!r} is nowhere"


def is_there(source: Any, steps: list[re.Match[str]]) -> bool:
    """The place exists, or only its last step is missing; a config that is not given is an empty one."""
    for number, found in enumerate(steps):
        name, index, quoted = found.groups()
        if index is not None:
            if not (isinstance(source, list) and int(index) < len(source)):
                return False
            source = source[int(index)]
            continue
        key = name if quoted is None else json.loads(quoted)
        if not isinstance(source, dict):
            return False
        if key not in source or (key == "config" and source[key] is None):
            if key == "config" and number < len(steps) - 1:
                source = {}
                continue
            return number == len(steps) - 1
        source = source[key]
    return True


def check_verdict(source: Any, checked: Checked) -> None:
    assert (checked.graph is None) == bool(checked.faults)
    check_places(
        source, (*checked.faults, *checked.warnings, *(Fault(claim.path, claim.about) for claim in checked.claims))
    )
    if checked.graph is not None:
        assert check(source, CATALOGUE).graph == checked.graph
        run(checked)


def run(checked: Checked) -> None:
    """A graph without faults can be started, whatever it does then."""
    assert checked.graph is not None and isinstance(checked.graph.start.kind, StartNode)
    inputs, _ = checked.graph.start.kind.accept({})
    start = Start(now=1.0, run_id=RUN, workflow_id=WORKFLOW, version=0, user=None, inputs=inputs)
    made = step({KEY: checked.graph}, None, start)
    assert decode(encode(made.state)) == made.state
    assert status(made.state) in ("running", "waiting_for_user_input", "completed", "failed", "aborted_looping_risk")
    assert to_json([*made.events])


@examples(150)
@given(_sources | anything)
def test_no_json_raises(source: Any) -> None:
    check_verdict(source, check(source, CATALOGUE))


@st.composite
def _nearly_good(draw: st.DrawFn) -> Any:
    """A good graph with one thing in it changed."""
    source = draw(graphs(CATALOGUE))
    node = draw(st.sampled_from(source["nodes"]))
    node["config"][draw(st.sampled_from(_settings))] = draw(_good)
    return source


@examples(100)
@given(_nearly_good())
def test_nearly_good_graphs_are_good_or_have_their_fault_placed(source: Any) -> None:
    check_verdict(source, check(source, CATALOGUE))


@examples(50)
@given(graphs(CATALOGUE))
def test_good_graphs_have_no_fault(source: Any) -> None:
    checked = check(source, CATALOGUE)
    assert checked.faults == ()
    check_verdict(source, checked)
