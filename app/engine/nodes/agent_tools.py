"""The tools of an agent: how they are configured, offered to the model, called, and what is told of what they brought."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Final, Literal

import msgspec

from app.engine import template
from app.engine.kind import Await, Child, Claim, Context, Fail, Fault, NodeError, Succeeded
from app.engine.nodes.code import PATIENCE_SECONDS
from app.engine.nodes.http import Http
from app.engine.nodes.web_search import LIMIT, MOST_RESULTS, SECONDS, checked_query, search_of
from app.engine.nodes.workflow import Version, child_claim, id_faults
from app.engine.talk import Tool, ToolCall
from app.engine.validate_config import text_faults
from app.engine.values import Value, as_stored, to_json, to_text

NO_PARAMETERS: Final = {"type": "object", "properties": {}}
QUERY_PARAMETERS: Final = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
SEARCHES: Final = ("search", "web_search")
OWN_FIELDS: Final = {
    "http": "request",
    "code": "code",
    "mcp": "url",
    "search": "dataset",
    "workflow": "workflow_id",
}  # of one type, which needs it
MCP_SECONDS: Final = 60.0
TOLD_CHARACTERS: Final = 64 * 1024  # of a result, to the model
_name = re.compile(r"[A-Za-z0-9_-]{1,64}")


class DeclaredTool(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tool as the author configured it. `parameters`: JSON Schema of its arguments, which `request` reads as `{{args.x}}`
    and code gets by name; searches read `query`, a workflow has them as inputs. Of `mcp`, a server's tools are offered as
    `name__tool`; `allow`: only these; `needs_approval` may name some of them."""

    name: str
    type: Literal["http", "code", "mcp", "search", "web_search", "workflow"]
    description: str = ""
    parameters: Value = None
    needs_approval: bool | tuple[str, ...] = False
    request: Http | None = None
    code: str | None = None
    timeout_seconds: Annotated[float, msgspec.Meta(gt=0, le=300)] | None = None
    url: str | None = None
    headers: dict[str, str] = {}
    allow: tuple[str, ...] | None = None
    dataset: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=50)] | None = None
    workflow_id: str | None = None
    version: Version | None = None

    # ---- as configured

    def faults(self, path: str) -> Iterator[Fault]:
        if not _name.fullmatch(self.name):
            yield Fault(f"{path}.name", "a name is 1 to 64 ASCII letters, digits, _ or -")
        yield from self._field_faults(path)
        if self.parameters is not None and not isinstance(self.parameters, dict):
            yield Fault(f"{path}.parameters", "must be a JSON Schema of an object")
        if self.request is not None:
            yield from self.request.faults(f"{path}.request")
        if self.type != "mcp" and not isinstance(self.needs_approval, bool):
            yield Fault(f"{path}.needs_approval", "names tools of a server; this one is true or false")
        if self.type == "code" and (self.timeout_seconds or 0) > 30:
            yield Fault(f"{path}.timeout_seconds", "code may take 30 seconds")
        for place, value in self._texts(path):
            yield from text_faults(value, place, "a tool", reads_secrets=True)
        yield from text_faults(self.dataset, f"{path}.dataset", "a search", reads_secrets=False)

    def _field_faults(self, path: str) -> Iterator[Fault]:
        for kind, field in OWN_FIELDS.items():
            if kind == self.type and getattr(self, field) is None:
                yield Fault(f"{path}.{field}", f"is required with type {self.type}")
            if kind != self.type and getattr(self, field) is not None:
                yield Fault(f"{path}.{field}", f"is not for a tool of type {self.type}")
        if self.workflow_id is not None:
            yield from id_faults(self.workflow_id, path)
        if self.version is not None and self.type != "workflow":
            yield Fault(f"{path}.version", f"is not for a tool of type {self.type}")
        if self.limit is not None and self.type not in SEARCHES:
            yield Fault(f"{path}.limit", f"is not for a tool of type {self.type}")
        if self.type == "web_search" and (self.limit or 0) > MOST_RESULTS:
            yield Fault(f"{path}.limit", f"the web is searched for {MOST_RESULTS} results at most")

    def _texts(self, path: str) -> Iterator[tuple[str, Value]]:
        if self.request is not None:
            yield f"{path}.request", msgspec.to_builtins(self.request)
        yield f"{path}.url", self.url
        yield f"{path}.headers", dict(self.headers)

    def claims(self, path: str) -> Iterable[Claim]:
        if self.parameters is not None:
            yield Claim(f"{path}.parameters", "schema", self.parameters)
        if self.code is not None:
            yield Claim(f"{path}.code", "code", self.code)
        if self.type == "web_search":
            yield Claim(f"{path}.type", "web_search", None)
        if self.dataset is not None and template.is_literal(self.dataset):
            yield Claim(f"{path}.dataset", "dataset", self.dataset)
        if self.workflow_id is not None:
            yield child_claim(self.workflow_id, self.version, path)

    def texts(self) -> list[Value]:
        """Its templates."""
        return [value for _, value in self._texts("")] + [self.dataset]

    # ---- offered

    def offered(self, listed: Iterable[Tool]) -> Iterator[Tool]:
        """As the model knows it; of a server, what it has `listed`, but for names that providers do not take."""
        if self.type != "mcp":
            usual = QUERY_PARAMETERS if self.type in SEARCHES else NO_PARAMETERS
            yield Tool(name=self.name, description=self.description, parameters=self.parameters or usual)
        seen: set[str] = set()
        for tool in listed:
            name = f"{self.name}__{tool.name}"
            if (self.allow is None or tool.name in self.allow) and name not in seen and _name.fullmatch(name):
                seen.add(name)
                yield msgspec.structs.replace(tool, name=name)

    def own_name(self, called: str) -> str | None:
        """Of a tool that the model calls `called`, what the server calls it; None: it is not of this one."""
        if self.type != "mcp":
            return called if called == self.name else None
        prefix = f"{self.name}__"
        return called.removeprefix(prefix) if called.startswith(prefix) else None

    def asks_first(self, own_name: str) -> bool:
        """Does a person have to approve its calls?"""
        return self.needs_approval if isinstance(self.needs_approval, bool) else own_name in self.needs_approval

    # ---- called

    def listing(self, ctx: Context) -> Await:
        """Asks a server for its tools. Raises NodeError."""
        request: dict[str, Value] = {"fields": self._server(ctx)}
        return Await("mcp_list", request, once=False, timeout_seconds=self.timeout_seconds or MCP_SECONDS)

    def _server(self, ctx: Context) -> Value:
        return as_stored(ctx.sealed({"url": self.url, "headers": dict(self.headers)}))

    def work(self, ctx: Context, call: ToolCall, own_name: str) -> Await | Child:
        """What the call does. Raises NodeError."""
        if not isinstance(call.arguments, dict):
            raise NodeError("invalid_value", "the arguments are no object")
        ctx = ctx.with_args(call.arguments)
        if self.request is not None:
            request, _ = self.request.request(ctx)
            return Await("http", request, once=True, timeout_seconds=self.request.timeout_seconds)
        if self.code is not None:
            seconds = self.timeout_seconds or 5.0
            asked: Value = {"code": self.code, "inputs": call.arguments, "timeout_seconds": seconds}
            return Await("code", asked, once=False, timeout_seconds=seconds + PATIENCE_SECONDS)
        if self.workflow_id is not None:
            return Child(self.workflow_id, self.version, call.arguments)
        if self.type in SEARCHES:
            return self._search(ctx, call.arguments.get("query"))
        wanted: Value = {"fields": self._server(ctx), "name": own_name, "arguments": call.arguments}
        return Await("mcp_call", wanted, once=True, timeout_seconds=self.timeout_seconds or MCP_SECONDS)

    def _search(self, ctx: Context, query: Value) -> Await:
        limit, seconds = self.limit or LIMIT, self.timeout_seconds or SECONDS
        if self.dataset is None:
            return search_of(query, limit, seconds)
        wanted: dict[str, Value] = {"datasets": [ctx.text(self.dataset)], "query": checked_query(query)}
        wanted |= {"mode": "auto", "limit": limit, "min_score": None}
        return Await("search", wanted, once=False, timeout_seconds=seconds)

    def came(self, ctx: Context, ended: Succeeded | Fail) -> tuple[Value, str | None]:
        """What a call brought: the result, and what went wrong."""
        if isinstance(ended, Fail):
            body = ended.details.get("body")
            if self.request is not None:
                self.request.failed(ctx, ended)  # makes an event of it
            return None, f"{ended.error_message}: {to_text(body)}" if body else ended.error_message
        result = ended.result
        if self.request is not None and isinstance(result, dict):
            self.request.receive(ctx, ended)
            return {name: result.get(name) for name in ("status_code", "body")}, None
        if self.code is not None and isinstance(result, dict):
            return result.get("output") if result.get("output") is not None else result.get("printed"), None
        if self.type in SEARCHES or self.workflow_id is not None:
            return result, None
        return result.get("result") if isinstance(result, dict) else result, None


def told(result: Value, error: str | None) -> str:
    """What the model reads of a call."""
    text = f"error: {error}" if error is not None else result if isinstance(result, str) else to_json(result).decode()
    return text if len(text) <= TOLD_CHARACTERS else text[:TOLD_CHARACTERS] + " [cut]"
