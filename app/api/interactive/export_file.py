"""An export as a document, and back. Its format is ours: `format_version` rises with every change that a reader must know."""

from typing import Any, Final

import msgspec

from app.api.fields import Fields
from app.api.ids import object_id_form
from app.services.errors import Detail
from app.services.exported import MOST_VERSIONS, MOST_WORKFLOWS, Export, Exported
from app.services.workflows import LONGEST_NAME

Json = dict[str, Any]
Places = dict[tuple[str, int], str]  # of the graphs in the file, by workflow and version
FORMAT: Final = "antiphon.workflow"
FORMAT_VERSION: Final = 1


def file_of(export: Export) -> Json:
    """The document. Other versions of the workflow itself stand among the children, under its own id."""
    root = export.root
    others = {number: graph for number, graph in root.graphs.items() if number != root.active}
    meant = root.active if export.meant is None else export.meant
    again = [_child(root, meant, others)] if others else []
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "id": root.id,
        "version": root.active,
        "name": root.name,
        "description": root.description,
        "graph": root.graphs[root.active],
        "children": [*again, *(_child(child, child.active, dict(child.graphs)) for child in export.children)],
        "requires": msgspec.structs.asdict(export.needs),
    }


def _child(one: Exported, active: int, graphs: dict[int, Any]) -> Json:
    versions = [{"version": number, "graph": graph} for number, graph in graphs.items()]
    named = {"id": one.id, "name": one.name, "description": one.description}
    return {**named, "active_version": active, "versions": versions}


def parse_file(body: Json) -> tuple[Export, Places]:
    """Raises invalid_value with every fault and its place; for another format or version, only that."""
    top = Fields(body)
    _check_format(top)
    top.only(("format", "format_version", "id", "version", "name", "description", "graph", "children", "requires"))
    top.required("id", "version", "name", "graph")
    version = top.integer("version") or 0
    root = _workflow(top, version, {version: top.object("graph") or {}})
    places: Places = {(root.id, version): "graph"}
    children = _children(top, root, places)
    top.object("requires")
    top.done("invalid_value", "the file cannot be read")
    again = children.pop(root.id, None)
    if again is None:
        return Export(root=root, children=tuple(children.values())), places
    whole = msgspec.structs.replace(root, graphs={**root.graphs, **again.graphs})
    meant = None if again.active == version else again.active
    return Export(root=whole, meant=meant, children=tuple(children.values())), places


def _check_format(top: Fields) -> None:
    found, version = top.body.get("format"), top.body.get("format_version")
    if found != FORMAT:
        top.fault("format", f"must be {FORMAT}")
    elif version != FORMAT_VERSION or isinstance(version, bool):
        top.fault("format_version", f"must be {FORMAT_VERSION}: this server knows no other")
    top.done("invalid_value", "this is no export that can be read here")


def _workflow(fields: Fields, active: int, graphs: dict[int, Any]) -> Exported:
    workflow_id = fields.text("id") or ""
    if fields.body.get("id") is not None and not object_id_form.fullmatch(workflow_id):
        fields.fault("id", "must be 24 hexadecimal digits")
    name = fields.text("name", longest=LONGEST_NAME, empty=False) or ""
    description = fields.text("description") or ""
    return Exported(id=workflow_id, name=name, description=description, active=active, graphs=graphs)


def _children(top: Fields, root: Exported, places: Places) -> dict[str, Exported]:
    """By id; under the root's own id, its other versions."""
    found: dict[str, Exported] = {}
    for fields in _objects(top, "children", MOST_WORKFLOWS - 1):
        child = _child_in(fields, root, places)
        if child.id in found:
            fields.fault("id", "is another child's too")
        found[child.id] = child
    if len(places) > MOST_VERSIONS:
        top.fault("children", f"have over {MOST_VERSIONS} versions")
    return found


def _child_in(fields: Fields, root: Exported, places: Places) -> Exported:
    fields.only(("id", "name", "description", "active_version", "versions"))
    fields.required("id", "name", "active_version", "versions")
    graphs: dict[int, Any] = {}
    active = fields.integer("active_version")
    child = _workflow(fields, active or 0, graphs)
    own = root.graphs if child.id == root.id else {}
    for version in _objects(fields, "versions", MOST_VERSIONS):
        version.only(("version", "graph"))
        version.required("version", "graph")
        number, graph = version.integer("version"), version.object("graph")
        if number is None or graph is None:
            continue
        if number in graphs or number in own:
            version.fault("version", "is there twice")
        graphs[number] = graph
        places.setdefault((child.id, number), f"{version.place}.graph")
    if active is not None and active not in graphs and active not in own:
        fields.fault("active_version", "is none of the versions")
    return child


def _objects(holder: Fields, name: str, most: int) -> list[Fields]:
    """The objects of a list, each with its place."""
    place = f"{holder.place}.{name}" if holder.place else name
    listed = holder.body.get(name)
    if listed is None:
        return []
    if not isinstance(listed, list) or len(listed) > most:
        holder.fault(name, f"must be a list of at most {most}")
        return []
    holder.faults += [
        Detail(f"{place}[{at}]", "must be an object") for at, one in enumerate(listed) if not isinstance(one, dict)
    ]
    return [Fields(one, f"{place}[{at}]", holder.faults) for at, one in enumerate(listed) if isinstance(one, dict)]
