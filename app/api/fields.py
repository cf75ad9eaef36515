"""Reading a JSON object field by field and keeping every fault, so that a caller learns of all at once."""

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from litestar.exceptions import InternalServerException

from app.api.services import ApiRequest
from app.services.errors import Code, Detail, ServiceError

MAX_INT: Final = 2**63 - 1
_surrogate: Final = re.compile(rb"\\u[dD][89a-fA-F]")
MAX_DEPTH: Final = 128  # of JSON; what is built of it recurs, and Python ends at about 1,000


class UnsupportedMediaTypeError(Exception):
    """The body is not declared to be JSON."""


async def json_object(request: ApiRequest) -> dict[str, Any]:
    """The body. Raises UnsupportedMediaTypeError, and invalid_request unless it is a JSON object."""
    try:
        body = await request.body()
    except InternalServerException as error:  # Litestar's word for a client that hung up; nobody reads the answer
        raise ServiceError("invalid_request", "the body ended early") from error
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedMediaTypeError
    try:
        found = msgspec.json.decode(body)
    except RecursionError as error:
        raise ServiceError("invalid_request", _too_deep) from error
    except ValueError as error:  # also UnicodeDecodeError and what msgspec raises
        why = "half of a surrogate pair is no text" if _surrogate.search(body) else error
        raise ServiceError("invalid_request", f"the body is no valid JSON: {why}") from error
    if not isinstance(found, dict):
        raise ServiceError("invalid_request", "the body must be a JSON object")
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and _is_deeper(found, MAX_DEPTH):
        raise ServiceError("invalid_request", _too_deep)
    return found


_too_deep: Final = f"the body is nested deeper than {MAX_DEPTH} levels"


def _is_deeper(value: Any, depth: int) -> bool:
    level = [value]
    for _ in range(depth):
        inner = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list)]
        level = [item for items in inner for item in items]
        if not level:
            return False
    return any(isinstance(item, dict | list) for item in level)


class Fields:
    """Takes typed fields out of an object. JSON null is absent. `place` goes before the names in `faults`."""

    def __init__(self, body: dict[str, Any], place: str = "", faults: list[Detail] | None = None) -> None:
        self.body = body
        self.place = place
        self.faults: list[Detail] = [] if faults is None else faults

    def fault(self, name: str, message: str) -> None:
        self.faults.append(Detail(f"{self.place}.{name}" if self.place else name, message))

    def only(self, names: Iterable[str]) -> None:
        """Every other field is a fault."""
        known = frozenset(names)
        for name in self.body:
            if name not in known:
                self.fault(name, "is unknown")

    def required(self, *names: str) -> None:
        for name in names:
            if self.body.get(name) is None:
                self.fault(name, "is required")

    def text(self, name: str, *, longest: int | None = None, empty: bool = True) -> str | None:
        value = self.body.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            self.fault(name, "must be a string")
            return None
        if (not value.strip() and not empty) or (longest is not None and len(value) > longest):
            bounds = f"must have at most {longest} characters" if value.strip() else "must not be blank"
            self.fault(name, bounds)
            return None
        return value

    def choice(self, name: str, options: Iterable[str]) -> str | None:
        value, known = self.body.get(name), tuple(options)
        if value is None:
            return None
        if not isinstance(value, str) or value not in known:
            self.fault(name, f"must be one of {', '.join(known)}")
            return None
        return value

    def integer(self, name: str, least: int = 0, most: int = MAX_INT) -> int | None:
        value = self.body.get(name)
        if value is None:
            return None
        if isinstance(value, float) and value.is_integer():  # to JSON, 1.0 is an integer
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            self.fault(name, f"must be an integer from {least}" + ("" if most == MAX_INT else f" to {most}"))
            return None
        return value

    def number(self, name: str, least: float, most: float) -> float | None:
        value = self.body.get(name)
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
            self.fault(name, f"must be a number from {least:g} to {most:g}")
            return None
        return float(value)

    def boolean(self, name: str) -> bool | None:
        value = self.body.get(name)
        if value is not None and not isinstance(value, bool):
            self.fault(name, "must be true or false")
            return None
        return value

    def object(self, name: str) -> dict[str, Any] | None:
        value = self.body.get(name)
        if value is not None and not isinstance(value, dict):
            self.fault(name, "must be an object")
            return None
        return value

    def done(self, code: Code = "invalid_value", message: str = "the request is not valid") -> None:
        """Raises ServiceError with all faults, if there are any."""
        if self.faults:
            raise ServiceError(code, message, details=self.faults)


def digits(text: str, field: str, least: int = 0, most: int = MAX_INT) -> int:
    """An integer in a path or query. Raises invalid_value naming it."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 19 else -1
    if not least <= number <= most:
        bounds = f"must be an integer from {least}" + ("" if most == MAX_INT else f" to {most}")
        raise ServiceError("invalid_value", f"{field} {bounds}", details=[Detail(field, bounds)])
    return number
