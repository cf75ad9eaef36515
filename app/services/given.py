"""What a request brings along: its stored form, and the limits that it may cross by itself."""

from __future__ import annotations

from app.engine.values import Value, size_of
from app.services.errors import Detail, ServiceError
from app.services.facts import GivenInput, TurnRequest


def given_input(request: TurnRequest) -> GivenInput:
    """What is stored of a request with its turn."""
    return GivenInput(
        command=request.command or ("data" if request.run_id else "start"),
        message=request.message or request.answer_text,
        data=request.answer if request.answer_given else None,
        answers=request.answers or {},
        variables=request.variables,
    )


def check_sizes(values: dict[str, Value], limit: int, place: str) -> None:
    """Raises ServiceError too_large with every value that is over the limit of a variable."""
    too_large = [name for name, value in values.items() if size_of(value) > limit]
    large = [Detail(f"{place}.{name}", f"may have {limit} bytes") for name in too_large]
    if large:
        raise ServiceError("too_large", "a variable is too large", details=large)
