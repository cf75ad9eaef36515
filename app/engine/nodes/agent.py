"""Lets a model call tools until it has an answer. The loop is a state machine of effects: each request of the model and each
call of a tool is one, so that nothing that was done is done again after a restart, and people can approve calls.

Of one answer's calls those that need no approval run at once, the others each open a pause; the next request waits for all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, ClassVar, Literal

import msgspec

from app.engine.ballot import Action, Ballot
from app.engine.citations import addresses, joined
from app.engine.kind import (
    Ask,
    Await,
    Beside,
    Child,
    Claim,
    Context,
    Decided,
    Expired,
    Fail,
    Fault,
    Leave,
    NodeError,
    Outcome,
    Part,
    Reply,
    Succeeded,
)
from app.engine.nodes.agent_memo import Made, Memo, keep, lighter, memo_of, refused, replaced, shown
from app.engine.nodes.agent_tools import DeclaredTool, told
from app.engine.nodes.model import answer_of
from app.engine.nodes.prompted import Prompted, answer_output
from app.engine.talk import Message, ModelAnswer, Tool, ToolCall
from app.engine.values import Value

MOST_CALLS = 32  # of one answer
LIST = "list "  # begins the name of the part that lists a server's tools
APPROVE, DENY = Action("approve", "Approve"), Action("deny", "Deny")


class Agent(Prompted, frozen=True, kw_only=True):
    """Its output is llm's with `iterations` and `tool_calls[] {id, name, arguments, status, result?, error?}`."""

    kind: ClassVar[str] = "agent"
    plain_texts: ClassVar[frozenset[str]] = frozenset({"schema", "tools"})

    tools: tuple[DeclaredTool, ...] = ()
    max_iterations: Annotated[int, msgspec.Meta(ge=1, le=50)] = 10
    max_total_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    parallel_tool_calls: bool = True
    approval_expires_in_seconds: Annotated[float, msgspec.Meta(ge=0, le=10 * 31_536_000)] = 259_200

    def faults(self, path: str) -> Iterable[Fault]:
        yield from super().faults(path)
        servers = [f"{tool.name}__" for tool in self.tools if tool.type == "mcp"]
        seen: set[str] = set()
        for index, tool in enumerate(self.tools):
            if tool.name in seen:
                yield Fault(f"{path}.tools[{index}].name", f"{tool.name!r} is there twice")
            elif any(tool.name.startswith(prefix) for prefix in servers):
                yield Fault(
                    f"{path}.tools[{index}].name", "begins like the tools of a server, which could take its place"
                )
            seen.add(tool.name)
            yield from tool.faults(f"{path}.tools[{index}]")

    def claims(self, path: str) -> Iterable[Claim]:
        yield from super().claims(path)
        for index, tool in enumerate(self.tools):
            yield from tool.claims(f"{path}.tools[{index}]")

    def texts(self) -> list[Value]:
        return [*super().texts(), *(tool.texts() for tool in self.tools)]

    def children(self) -> Iterable[tuple[str, int | None]]:
        return [(tool.workflow_id, tool.version) for tool in self.tools if tool.workflow_id is not None]

    # ---- requests of the model

    def enter(self, ctx: Context) -> Outcome:
        memo = Memo(messages=self.opening(ctx), citations=self.cited(ctx))
        servers = [index for index, tool in enumerate(self.tools) if tool.type == "mcp"]
        if not servers:
            return self._request(ctx, memo)
        keep(ctx, memo)
        return Beside(tuple([Part(f"{LIST}{index}", self.tools[index].listing(ctx)) for index in servers]))

    def _request(self, ctx: Context, memo: Memo) -> Outcome:
        if memo.iterations >= self.max_iterations:
            return Fail("max_iterations", f"there was no answer after {self.max_iterations} requests of the model")
        keep(ctx, memo)
        tools = tuple(
            offer for index, tool in enumerate(self.tools) for offer in tool.offered(memo.servers.get(str(index), ()))
        )
        return self.call(
            ctx,
            memo.messages,
            schema=self.schema,
            tools=tools,
            parallel=self.parallel_tool_calls,
            stream=self.streams(),
        )

    def receive(self, ctx: Context, reply: Reply) -> Outcome:
        if not isinstance(reply, Succeeded):
            return super().receive(ctx, reply)
        answer, memo = answer_of(reply.result), memo_of(ctx)
        ctx.replied(answer, say=self.say and not answer.misfits and not answer.tool_calls)
        usage = memo.usage.plus(answer.usage)
        memo = msgspec.structs.replace(memo, usage=usage, iterations=memo.iterations + 1)
        if self.max_total_tokens is not None and usage.total_tokens > self.max_total_tokens:
            return Fail(
                "token_limit", f"the agent used {usage.total_tokens} tokens, it may use {self.max_total_tokens}"
            )
        if answer.tool_calls:
            return self._called(ctx, memo, answer)
        if not answer.misfits:
            return Leave(self._output(answer, memo))
        if memo.repairs >= self.repair_attempts:
            return self.misfit(answer)
        messages = (*memo.messages, *self.repair(answer))
        return self._request(ctx, msgspec.structs.replace(memo, messages=messages, repairs=memo.repairs + 1))

    def _output(self, answer: ModelAnswer, memo: Memo) -> dict[str, Value]:
        output = answer_output(answer, memo.usage, self.schema, memo.citations)
        return {**output, "iterations": memo.iterations, "tool_calls": [shown(made) for made in memo.done]}

    # ---- calls of tools

    def _called(self, ctx: Context, memo: Memo, answer: ModelAnswer) -> Outcome:
        """The model wants tools to be called."""
        said = Message(role="assistant", text=answer.text, tool_calls=answer.tool_calls, opaque=answer.opaque)
        calls: list[Made] = []
        parts: list[Part] = []
        for index, call in enumerate(answer.tool_calls):
            work = self._work(ctx, memo, call) if index < MOST_CALLS else "there are too many calls at once"
            if isinstance(work, str):
                calls.append(refused(ctx, call, work))
            else:
                calls.append(Made(call=call))
                parts.append(Part(str(index), work))
        memo = msgspec.structs.replace(memo, messages=(*memo.messages, said), calls=tuple(calls))
        return self._go_on(ctx, memo, parts)

    def _work(self, ctx: Context, memo: Memo, call: ToolCall) -> Await | Ask | Child | str:
        """What comes of a call: the work itself, a question to a person, or why it cannot be made."""
        found = self._tool(memo, call.name)
        if found is None:
            return f"there is no tool {call.name!r}"
        if not isinstance(call.arguments, dict):
            return "the arguments are no JSON object"
        if call.misfits:
            return "the arguments do not fit: " + "; ".join(call.misfits)
        tool, own_name, schema = found
        if tool.asks_first(own_name):
            return self._question(ctx, call, schema)
        return self._start(ctx, tool, call, own_name)

    def _tool(self, memo: Memo, called: str) -> tuple[DeclaredTool, str, Value] | None:
        """The declaration, the tool's own name, and the schema of its arguments."""
        for index, tool in enumerate(self.tools):
            own_name = tool.own_name(called)
            for offer in tool.offered(memo.servers.get(str(index), ())) if own_name is not None else ():
                if offer.name == called and own_name is not None:
                    return tool, own_name, offer.parameters
        return None

    def _question(self, ctx: Context, call: ToolCall, schema: Value) -> Ask:
        seconds = self.approval_expires_in_seconds
        ballot = Ballot(actions=(APPROVE, DENY), tool_name=call.name, tool_call_id=call.id, arguments=call.arguments)
        prompt = f"May {call.name} be called?"
        return Ask("tool", prompt, schema, expires_at=ctx.now + seconds if seconds else None, ballot=ballot)

    def _start(self, ctx: Context, tool: DeclaredTool, call: ToolCall, own_name: str) -> Await | Child | str:
        try:
            work = tool.work(ctx, call, own_name)
        except NodeError as error:
            return error.error_message
        ctx.tool_started(call)
        return work

    # ---- what comes of them

    def part_ended(self, ctx: Context, name: str, ended: Reply | Fail) -> Outcome:
        memo = memo_of(ctx)
        if name.startswith(LIST):
            return self._listed(ctx, memo, name.removeprefix(LIST), ended)
        index = int(name)
        made = memo.calls[index]
        if isinstance(ended, Decided) and ended.action == APPROVE.id:
            return self._approved(ctx, memo, index, made.call, ended)
        return self._go_on(ctx, replaced(memo, index, self._over(ctx, memo, made.call, ended)))

    def _listed(self, ctx: Context, memo: Memo, server: str, ended: Reply | Fail) -> Outcome:
        if isinstance(ended, Fail):
            return ended
        assert isinstance(ended, Succeeded), "a list is an effect"
        try:
            tools = msgspec.convert(ended.result["tools"], tuple[Tool, ...])  # type: ignore[index,call-overload]
        except (msgspec.ValidationError, KeyError, TypeError) as error:
            return Fail("invalid_output", f"the list of tools cannot be read: {error}")
        memo = msgspec.structs.replace(memo, servers={**memo.servers, server: tools})
        if len(memo.servers) == sum(tool.type == "mcp" for tool in self.tools):
            return self._request(ctx, memo)
        keep(ctx, memo)
        return Beside()

    def _approved(self, ctx: Context, memo: Memo, index: int, call: ToolCall, decided: Decided) -> Outcome:
        if isinstance(decided.arguments, dict):
            call = msgspec.structs.replace(call, arguments=decided.arguments)
        found = self._tool(memo, call.name)
        assert found is not None, "it was found when the pause was opened"
        work = self._start(ctx, found[0], call, found[1])
        if isinstance(work, str):
            return self._go_on(ctx, replaced(memo, index, refused(ctx, call, work)))
        keep(ctx, replaced(memo, index, Made(call=call)))
        return Beside((Part(str(index), work),))

    def _over(self, ctx: Context, memo: Memo, call: ToolCall, ended: Reply | Fail) -> Made:
        """The call has come to its end."""
        if isinstance(ended, Expired):
            ctx.tool_finished(call, "expired")
            return Made(call=call, status="expired", told="nobody approved this call in time")
        if isinstance(ended, Decided):
            reason = ended.votes[-1].reason
            ctx.tool_finished(call, "denied", error=reason)
            text = "this call was denied" + (f": {reason}" if reason else "")
            return Made(call=call, status="denied", error=reason, told=text)
        assert isinstance(ended, (Succeeded, Fail)), "calls are effects or questions"
        found = self._tool(memo, call.name)
        assert found is not None, "only what is there is called"
        result, error = found[0].came(ctx, ended)
        status: Literal["ok", "error"] = "ok" if error is None else "error"
        ctx.tool_finished(call, status, result=result, error=error)
        return Made(call=call, status=status, result=result, error=error, told=told(result, error))

    def _go_on(self, ctx: Context, memo: Memo, parts: Sequence[Part] = ()) -> Outcome:
        """Waits for what is open; when nothing is, the model reads what came of its calls."""
        if any(made.status == "open" for made in memo.calls):
            keep(ctx, memo)
            return Beside(tuple(parts))
        results = [
            Message(role="tool", text=made.told, tool_call_id=made.call.id, tool_name=made.call.name)
            for made in memo.calls
        ]
        memo = msgspec.structs.replace(
            memo,
            messages=(*memo.messages, *results),
            citations=joined(memo.citations, [url for made in memo.calls for url in self._addresses(memo, made)]),
            calls=(),
            done=(*memo.done, *(lighter(made) for made in memo.calls)),
        )
        return self._request(ctx, memo)

    def _addresses(self, memo: Memo, made: Made) -> list[str]:
        """Of what the call found, when it was a search."""
        found = self._tool(memo, made.call.name) if made.status == "ok" else None
        return addresses(found[0].type, made.result) if found is not None else []
