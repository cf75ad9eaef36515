"""Pauses over HTTP: the links by which the approvers of one may vote."""

from typing import Any, ClassVar

from litestar import get

from app.api.auth import needs, workspace_of
from app.api.describe import Shape, described
from app.api.errors import run_headers
from app.api.interactive.requests import Reply, about, page_of, run_exists, run_id_of, shaped, shown
from app.api.interactive.schemas import Page
from app.api.interactive.views import page_view
from app.api.services import ApiRequest, services_of

LINKS = "/v1/workflow-runs/{run_id:str}/pauses/{pause_id:str}/links"


class Link(Shape, frozen=True, kw_only=True):
    """Whoever has the address may vote as this approver. `approver` null: the approval names none, and this is its only
    link."""

    approver: str | None
    url: str


class LinkPage(Page, frozen=True, kw_only=True):
    """In the order of the approvers."""

    examples: ClassVar[dict[str, Any]] = {
        "links": {
            "items": [{"approver": "ann", "url": "https://antiphon.example/a/ZrDJovHT5KW2x9jpAAAAAQAAAV0…"}],
            "total": 1,
            "page": 1,
            "size": 20,
            "pages": 1,
        }
    }

    items: list[Link]


@get(
    LINKS,
    guards=[needs("admin")],
    opt=described(
        "List the links by which an open pause can be voted on", "admin", None, LinkPage, query="page", errors=(409,)
    ),
)
async def list_links(request: ApiRequest) -> Reply:
    run_id = await run_id_of(request)
    page, size = await shaped(_page(request), lambda: run_exists(request, run_id))
    approvals, pause_id = services_of(request).approvals, request.path_params["pause_id"]
    run, links = await about(request, run_id, approvals.links(workspace_of(request), run_id, pause_id))
    items = [link.shown() for link in links[(page - 1) * size : page * size]]
    headers = {**run_headers(run.id, run.turn), "Cache-Control": "no-store"}
    return shown(page_view(items, len(links), page, size), headers=headers)


async def _page(request: ApiRequest) -> tuple[int, int]:
    return page_of(request)


HANDLERS: list[Any] = [list_links]
