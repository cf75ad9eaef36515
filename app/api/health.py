"""Whether the process lives, and whether it can serve: for load balancers, without a key."""

from typing import Annotated, Any, ClassVar, Literal

from litestar import Response, get
from msgspec import Meta

from app.api.describe import Shape, described
from app.api.errors import answer
from app.api.services import ApiRequest, services_of
from app.ports import StoreUnavailableError

Reply = Response[bytes]


class Alive(Shape, frozen=True, kw_only=True):
    """The process answers."""

    examples: ClassVar[dict[str, Any]] = {"live": {"status": "live"}}

    status: Literal["live"]


class Ready(Shape, frozen=True, kw_only=True):
    """The database answers."""

    examples: ClassVar[dict[str, Any]] = {"ready": {"status": "ready"}}

    status: Annotated[Literal["ready"], Meta(description="Otherwise it is 503.")]


@get("/health/live", opt=described("Does the process live?", None, None, Alive))
async def live() -> Reply:
    return answer(200, {"status": "live"})


@get("/health/ready", opt=described("Does the database answer?", None, None, Ready, errors=(503,)))
async def ready(request: ApiRequest) -> Reply:
    if not await services_of(request).ready():
        raise StoreUnavailableError
    return answer(200, {"status": "ready"})


HANDLERS: list[Any] = [live, ready]
