"""Graphs with approvals, their links and their pages."""

from __future__ import annotations

import base64
import hashlib
import re
from html import unescape
from html.parser import HTMLParser
from typing import Any

import httpx

from tests.api.sites import Site
from tests.engine.graphs import edge, node, source

Json = dict[str, Any]


def decision(**config: Any) -> Json:
    """An approval that ends with its output; `expired` ends with nothing."""
    nodes = [node("start", "start"), node("ok", "approval", **{"message": "Pay {{amount?}}?", **config})]
    nodes += [node("yes", "end", outputs={"yes": "{{ok}}"}), node("no", "end", outputs={"no": "{{ok}}"})]
    edges = [edge("start", "ok"), edge("ok", "yes", "approve"), edge("ok", "no", "reject")]
    if config.get("on_expiry") == "branch":
        nodes.append(node("late", "end", outputs={"late": True}))
        edges.append(edge("ok", "late", "expired"))
    return source(nodes, edges)


THREE: Json = {"approvers": ["ann", "bob", "cy"], "required_approvals": 2}
FORM: list[Json] = [
    {"name": "amount", "type": "number", "label": "How much?", "required": True, "default": 5},
    {"name": "note", "type": "paragraph", "max_length": 20},
    {"name": "who <b>", "required": True},
    {"name": "currency", "type": "select", "options": ["EUR", 'C"HF'], "default": "EUR"},
    {"name": "urgent", "type": "boolean"},
]


async def links(site: Site, run_id: str, pause_id: str = "pause_1") -> dict[str | None, str]:
    """Paths of the pages by approver."""
    reply = await site.get(f"/v1/workflow-runs/{run_id}/pauses/{pause_id}/links")
    assert reply.status_code == 200, reply.text
    return {link["approver"]: link["url"].partition("8000")[2] for link in reply.json()["items"]}


async def look(site: Site, path: str) -> httpx.Response:
    return checked(await site.get(path, key=None))


async def submit(site: Site, path: str, **form: str) -> httpx.Response:
    return checked(await site.call("POST", path, key=None, data=form))


def checked(reply: httpx.Response) -> httpx.Response:
    """Every page has what keeps it closed."""
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    policy = reply.headers["content-security-policy"].split("; ")
    assert policy[0] == "default-src 'none'" and "frame-ancestors 'none'" in policy and "form-action 'self'" in policy
    assert not any("unsafe" in rule or rule.startswith("script") for rule in policy)
    names = ("referrer-policy", "cache-control", "x-frame-options", "x-content-type-options")
    assert [reply.headers[name] for name in names] == ["no-referrer", "no-store", "DENY", "nosniff"]
    (style,) = re.findall(r"<style>(.*?)</style>", reply.text, re.S)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    outline_of(reply)
    return reply


def title(reply: httpx.Response) -> tuple[int, str]:
    """Status and heading of a page."""
    return reply.status_code, unescape(re.findall(r"<h1>(.*?)</h1>", reply.text)[0])


class Outline(HTMLParser):
    """What a browser makes of a page: elements that are closed in their order, and the text in them."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        assert len(attrs) == len(dict(attrs)), f"{tag} has an attribute twice"
        if tag not in ("meta", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def outline_of(page: httpx.Response) -> Outline:
    """Whole, and without anything that is run or fetched."""
    found = Outline()
    found.feed(page.text)
    found.close()
    assert found.open == []
    assert not {tag for tag, _ in found.seen} & {"script", "img", "iframe", "link", "object"}
    assert not any(name.startswith("on") or name in ("src", "style") for _, given in found.seen for name in given)
    return found


async def opened(
    site: Site, *, amount: Any = 5, run_by: str = "starter", **config: Any
) -> tuple[str, str, dict[Any, str]]:
    """Workflow, run, and the paths of the pages."""
    workflow_id, run_id = await site.started(decision(**config), run_by=run_by, dynamic_variables={"amount": amount})
    return workflow_id, run_id, await links(site, run_id)


async def run_of(site: Site, run_id: str) -> Any:
    return (await site.get(f"/v1/workflow-runs/{run_id}")).json()
