"""The process that renders: it takes one request after the other from its socket, and may do nothing else.

A request is msgpack after four bytes of length: `[work, texts, scope, max_bytes]`, where `scope` is packed once more, so
that each text gets names of its own. The answer is `["done", values]` or `["failed", error_type, message]`. Where the
template engine or a limit brings the process down there is no answer, and that is how it is meant.
"""

from __future__ import annotations

import os
import resource
import time
from typing import Any, Final

import msgspec
from minijinja import Environment, TemplateError

from app.adapters.sandbox.template_values import BigInteger, TooLargeError, UnfitValueError, joined, kept, shown
from app.engine.values import BIG_INT, UnstorableValueError, ext_hook, pack

ADDRESS_BYTES: Final = 512 * 1024 * 1024
CPU_SECONDS: Final = 10  # a request; the server kills sooner, this is for when there is none any more
FUEL: Final = 1_000_000  # instructions of the template engine, for one text
SOCKET: Final = 0  # standard input, which is a socket
LENGTH: Final = 4
SHOWN_CHARACTERS: Final = 1_000
# The engine imports what it needs for errors and marked text when it first needs it; later it could not.
REHEARSED: Final = (
    "{{ x.y + 1 }}",
    "{{ x | tojson }} {{ 'x' | safe }} {{ '<' | e }}",
    "{{ z }}",
    "{{",
    "{{ x.pop(1) }}",
)
REMOVED: Final = ("debug",)  # shows everything that is in scope


class Renderer:
    """Renders texts of one environment; nothing of one text reaches the next."""

    def __init__(self) -> None:
        self._values: list[Any] = []
        self._is_single = False
        self._room = 0
        self._environment = Environment(
            fuel=FUEL,
            undefined_behavior="strict",
            auto_escape_callback=lambda name: False,
            keep_trailing_newline=True,
            finalizer=self._insert,
            filters={"string": shown, "join": joined},
        )
        for name in REMOVED:
            self._environment.remove_global(name)

    def render(self, text: str, scope: dict[str, Any], max_bytes: int) -> Any:
        """The text, or the value of the one expression that it is. Raises TemplateError, TooLargeError, UnfitValueError."""
        self._values.clear()
        self._room = max_bytes
        self._is_single = self._is_expression(text)
        scope.pop("self", None)  # the engine's own name for something else
        rendered = self._environment.render_str(text, None, **scope)
        value = kept(self._values[0]) if self._is_single else rendered
        if len(value.encode() if isinstance(value, str) else pack(value)) > max_bytes:
            raise TooLargeError
        return value

    def parse(self, text: str) -> None:
        """Raises TemplateError."""
        self._environment.add_template("text", text)
        self._environment.remove_template("text")

    def _insert(self, value: Any) -> str:
        """What stands in the place of `{{ value }}`."""
        if self._is_single:
            self._values.append(value)
            return ""
        text = shown(value)
        self._room -= len(text)
        if self._room < 0:
            raise TooLargeError
        return text

    def _is_expression(self, text: str) -> bool:
        """Is all of it one `{{ }}`? The engine tells: what is between the braces must be an expression."""
        if not (text.startswith("{{") and text.endswith("}}") and len(text) > 4):
            return False
        inner = text[2:-2]
        inner = inner[1:] if inner[0] in "-+" else inner
        inner = inner[:-1] if inner[-1:] in ("-", "+") else inner
        try:
            self._environment.eval_expr(f"0 if true else ({inner})")  # parsed, and not evaluated
        except TemplateError:
            return False
        return True


def answer(renderer: Renderer, request: bytes) -> list[Any]:
    """The answer to one request."""
    work, texts, scope, max_bytes = msgspec.msgpack.decode(request)
    try:
        if work == "parse":
            for text in texts:
                renderer.parse(text)
            return ["done", []]
        return ["done", [renderer.render(text, _names(scope), max_bytes) for text in texts]]
    except TemplateError as error:
        return ["failed", *_failure(error)]
    except TooLargeError:
        return ["failed", "too_large", f"the text is larger than {max_bytes} bytes"]
    except RecursionError:
        return ["failed", "invalid_value", "a value is nested too deeply"]
    except (UnfitValueError, UnstorableValueError) as error:
        return ["failed", "invalid_value", str(error)[:SHOWN_CHARACTERS]]
    except (TypeError, ValueError, LookupError, AttributeError) as error:  # of methods that a template called
        return ["failed", "invalid_value", f"{type(error).__name__}: {error}"[:SHOWN_CHARACTERS]]


def _names(scope: bytes) -> dict[str, Any]:
    names: dict[str, Any] = msgspec.msgpack.decode(scope, ext_hook=_integer)
    return names


def _integer(code: int, data: memoryview) -> Any:
    """The engine counts with 128 bits and would make a float of a longer one."""
    value = ext_hook(code, data)
    return BigInteger(value) if code == BIG_INT and not -(2**127) <= value < 2**128 else value


def _failure(error: TemplateError) -> tuple[str, str]:
    """Error type and message of what the engine says."""
    if error.message.startswith("panic"):
        os._exit(1)  # the engine was left in the middle of something
    place = f" (line {error.line})" if error.line else ""
    said = (error.detail or error.message.partition(" (in <")[0])[:SHOWN_CHARACTERS]
    match error.kind:
        case "UndefinedError":
            return "invalid_reference", said + place
        case "OutOfFuel":
            return "sandbox_limit", "the template takes too many steps" + place
        case _:
            return "invalid_value", said + place


def confine() -> None:
    """From here on: no more memory than that, no files, no processes."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_BYTES, ADDRESS_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))  # standard input, output and errors are open already


def serve() -> None:
    """Until the other side closes."""
    renderer = Renderer()
    for text in REHEARSED:
        answer(renderer, msgspec.msgpack.encode(["render", [text], pack({"x": {"y": 1}}), 100]))
    confine()
    while header := _read(LENGTH):
        request = _read(int.from_bytes(header, "big"))
        used = int(time.process_time())
        resource.setrlimit(resource.RLIMIT_CPU, (used + CPU_SECONDS, resource.RLIM_INFINITY))
        reply = pack(answer(renderer, request))
        _write(len(reply).to_bytes(LENGTH, "big") + reply)


def _read(size: int) -> bytes:
    """So many bytes; none at the end."""
    parts = bytearray()
    while len(parts) < size:
        part = os.read(SOCKET, min(size - len(parts), 1024 * 1024))
        if not part:
            return b""
        parts += part
    return bytes(parts)


def _write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(SOCKET, view) :]
