"""Exports that take along what a workflow can reach, and their import."""

from __future__ import annotations

from typing import Any

import pytest

from app.ports import StoreUnavailableError
from app.services.errors import ServiceError
from app.services.exported import MOST_WORKFLOWS, redirected
from app.services.world import GraphCache
from tests.conformance.samples import version
from tests.engine.graphs import line, node
from tests.services.performing import OTHER, OURS
from tests.services.transfers import Desk, Failing, named_in, plain, refers
from tests.stores import mock_database

NOBODY = "f" * 24


@pytest.fixture
async def desk() -> Desk:
    return Desk(await mock_database())


# ---- a reference is checked when a graph is saved


async def test_a_graph_may_name_workflows_of_its_own_workspace_that_can_run(desk: Desk) -> None:
    child = await desk.made("child", plain("0"), plain("1"))
    foreign = await desk.made("foreign", plain("x"), workspace=OTHER)
    deleted = await desk.made("deleted", plain("x"))
    await desk.workflows.delete(OURS, deleted)
    await desk.store.insert_version(version(child, 7, graph_hash=None))
    wanted = [
        (child, None),
        (child, 0),
        (foreign, None),
        (deleted, 0),
        (child, 2),
        (child, 7),
        (NOBODY, None),
    ]
    for boxed, place in ((False, "config.workflow_id"), (True, "config.body.nodes[0].config.workflow_id")):
        checked = await desk.checks.check(OURS, refers(*wanted, boxed=boxed))
        assert [(fault.path, fault.message) for fault in checked.faults] == [
            (f"nodes[3].{place}", "no such workflow"),
            (f"nodes[4].{place}", "no such workflow"),
            (f"nodes[5].{place}", "no version 2 of this workflow"),
            (f"nodes[6].{place}", "version 7 was saved with faults and cannot run"),
            (f"nodes[7].{place}", "no such workflow"),
        ]
    assert (await desk.checks.check(OURS, refers((child, 1), (child, None)))).graph is not None


# ---- there and back


async def family(desk: Desk) -> tuple[str, str, str]:
    """A parent, whose version 1 is the active one, a child that names it, and a grandchild with two versions."""
    parent = await desk.made("parent", plain("the parent"))
    grandchild = await desk.made("grandchild", plain("old"), plain("new"))
    child = await desk.made("child", refers((grandchild, 0), (grandchild, None), (parent, None)))
    await desk.workflows.update(OURS, parent, source=refers((child, None), (child, 0), boxed=True))
    return parent, child, grandchild


async def test_an_export_has_every_version_that_can_be_reached_and_no_other(desk: Desk) -> None:
    parent, child, grandchild = await family(desk)
    await desk.made("unrelated", plain("x"))
    file = await desk.file(parent)
    assert (file["id"], file["version"], file["name"], file["description"]) == (parent, 1, "parent", "parent!")
    assert named_in(file["graph"]) == [(child, None), (child, 0)]
    assert {
        one["id"]: (one["name"], one["active_version"], [v["version"] for v in one["versions"]])
        for one in file["children"]
    } == {
        child: ("child", 0, [0]),
        grandchild: ("grandchild", 1, [0, 1]),
    }
    old = await desk.file(parent, 0)
    assert (old["version"], old["graph"], old["children"]) == (0, plain("the parent"), [])


async def test_an_import_is_new_workflows_that_refer_to_each_other(desk: Desk) -> None:
    parent, child, grandchild = await family(desk)
    graph = await desk.taken(await desk.file(parent))
    theirs = await desk.theirs()
    ids = {name: head.id for name, head in theirs.items()}
    assert set(ids) == {"parent", "child", "grandchild"}
    assert not set(ids.values()) & {parent, child, grandchild}
    assert {name: (head.active_version, head.next_version) for name, head in theirs.items()} == {
        "parent": (0, 1),
        "child": (0, 1),
        "grandchild": (1, 2),
    }
    assert named_in(graph) == [(ids["child"], None), (ids["child"], 0)]
    assert graph == await desk.graph(ids["parent"], 0)
    inner = await desk.graph(ids["child"], 0)
    assert named_in(inner) == [(ids["grandchild"], 0), (ids["grandchild"], None), (ids["parent"], None)]
    assert [await desk.graph(ids["grandchild"], number) for number in (0, 1)] == [plain("old"), plain("new")]
    for head in theirs.values():  # they can be saved again, and started
        for number in range(head.next_version):
            checked = await desk.checks.check(OTHER, await desk.graph(head.id, number))
            compiled = await GraphCache(desk.store).get(head.id, number)
            stored = await desk.store.version(head.id, number)
            assert checked.graph is not None and compiled is not None and stored is not None
            assert checked.graph.hash == compiled.hash == stored.graph_hash
    again = await desk.file(ids["parent"], workspace=OTHER)
    assert len(again["children"]) == 2


async def test_a_reference_without_a_version_goes_on_to_mean_the_same(desk: Desk) -> None:
    """Version 1 is exported; to the child, the parent is version 0, which is the active one."""
    parent, *_ = await family(desk)
    await desk.workflows.activate(OURS, parent, 0)
    file = await desk.file(parent, 1)
    itself = next(one for one in file["children"] if one["id"] == parent)
    assert (file["version"], itself["active_version"], [v["version"] for v in itself["versions"]]) == (1, 0, [0])
    await desk.taken(file)
    theirs = await desk.theirs()
    ids = {name: head.id for name, head in theirs.items()}
    assert (theirs["parent"].active_version, theirs["parent"].next_version) == (0, 2)
    assert named_in(await desk.graph(ids["parent"], 0)) == [(ids["child"], None), (ids["child"], 0)]
    assert await desk.graph(ids["parent"], 1) == plain("the parent")
    assert named_in(await desk.graph(ids["child"], 0))[2] == (ids["parent"], 1)


async def test_versions_get_new_numbers_and_the_active_one_is_kept(desk: Desk) -> None:
    child = await desk.made("child", *(plain(str(number)) for number in range(6)))
    await desk.workflows.activate(OURS, child, 3)
    parent = await desk.made("parent", refers((child, 5), (child, 1), (child, None)))
    graph = await desk.taken(await desk.file(parent))
    made = (await desk.theirs())["child"]
    assert (made.active_version, made.next_version) == (1, 3)
    assert named_in(graph) == [(made.id, 2), (made.id, 0), (made.id, None)]
    assert [await desk.graph(made.id, number) for number in range(3)] == [plain("1"), plain("3"), plain("5")]


async def test_a_tool_of_an_agent_goes_along(desk: Desk) -> None:
    child = await desk.made("child", plain("0"), plain("1"))
    tools = [{"name": "ask_it", "type": "workflow", "workflow_id": child, "version": 1}]
    parent = await desk.made("parent", line(node("a", "agent", prompt="x", tools=tools)))
    graph = await desk.taken(await desk.file(parent))
    made = (await desk.theirs())["child"]
    assert graph["nodes"][1]["config"]["tools"] == [{**tools[0], "workflow_id": made.id, "version": 0}]
    assert await desk.graph(made.id, 0) == plain("1")


async def test_a_workflow_that_names_itself_names_its_copy(desk: Desk) -> None:
    itself = await desk.made("itself", plain("x"))
    await desk.workflows.update(OURS, itself, source=refers((itself, None), (itself, 0)))
    graph = await desk.taken(await desk.file(itself))
    made = (await desk.theirs())["itself"]
    assert named_in(graph) == [(made.id, None), (made.id, 1)]
    assert made.next_version == 2


# ---- what is refused


async def refusal(work: Any) -> tuple[str, list[tuple[str, str]]]:
    with pytest.raises(ServiceError) as caught:
        await work
    return caught.value.code, [(detail.path, detail.message) for detail in caught.value.details]


async def test_a_file_with_a_fault_anywhere_makes_nothing(desk: Desk) -> None:
    parent, child, grandchild = await family(desk)
    file = await desk.file(parent)
    places = {one["id"]: f"children[{at}]" for at, one in enumerate(file["children"])}
    bad = next(one for one in file["children"] if one["id"] == child)
    bad["versions"][0]["graph"] = refers((grandchild, 3), (NOBODY, None), (parent, 1))
    bad["versions"][0]["graph"]["nodes"].append(node("bad", "nope"))
    code, details = await refusal(desk.taken(file))
    at = f"{places[child]}.versions[0].graph.nodes"
    assert (code, set(details)) == (
        "invalid_graph",
        {
            (f"{at}[1].config.workflow_id", "no version 3 of it in the file"),
            (f"{at}[2].config.workflow_id", "no such workflow in the file"),
            (f"{at}[4].type", "there is no node type 'nope'"),
        },
    )
    assert await desk.theirs() == {}


async def test_an_import_that_breaks_off_leaves_nothing_to_be_seen(desk: Desk) -> None:
    parent, *_ = await family(desk)
    file = await desk.file(parent)
    for heads in range(3):
        with pytest.raises(StoreUnavailableError):
            await desk.taken(file, Failing(desk.store, heads))
        assert await desk.theirs() == {}
    await desk.taken(file, Failing(desk.store, 3))
    assert len(await desk.theirs()) == 3


async def test_an_export_refuses_what_refers_to_something_gone(desk: Desk) -> None:
    parent, child, grandchild = await family(desk)
    await desk.workflows.delete(OURS, grandchild)
    code, details = await refusal(desk.exports.export(OURS, parent, None))
    assert (code, [message for _, message in details]) == ("invalid_graph", ["no such workflow"])
    assert details[0][0].startswith(f"{child}.versions[0].graph.nodes[")
    assert await refusal(desk.exports.export(OURS, parent, 9)) == ("not_found", [])
    assert await refusal(desk.exports.export(OTHER, parent, None)) == ("not_found", [])


async def test_an_export_is_bounded(desk: Desk) -> None:
    children = [await desk.made(f"child {number}", plain("x")) for number in range(MOST_WORKFLOWS)]
    parent = await desk.made("parent", refers(*((child, None) for child in children[1:])))
    assert len((await desk.file(parent))["children"]) == MOST_WORKFLOWS - 1
    await desk.workflows.update(OURS, parent, source=refers(*((child, None) for child in children)))
    assert (await refusal(desk.exports.export(OURS, parent, None)))[0] == "too_large"


def test_a_reference_is_redirected_wherever_it_stands() -> None:
    graph = {"nodes": [{"a.b": [{"workflow_id": "old", "n": 10**30}]}, {"workflow_id": "old", "version": 3}]}
    moved = redirected(graph, {'nodes[0]["a.b"][0].workflow_id': ("new", None), "nodes[1].workflow_id": ("new", 0)})
    assert moved == {"nodes": [{"a.b": [{"workflow_id": "new", "n": 10**30}]}, {"workflow_id": "new", "version": 0}]}
    assert graph["nodes"][1] == {"workflow_id": "old", "version": 3}
