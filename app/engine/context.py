"""What a node sees of its frame while it is being executed: rendering, variables, saying things."""

from __future__ import annotations

from app.engine import citations, expression, messages as said, template
from app.engine.kind import NodeError, Succeeded
from app.engine.path import reserved_words
from app.engine.seal import Sealed
from app.engine.sealing import seal
from app.engine.state import Asking, Received
from app.engine.talk import Message, ModelAnswer, ToolCall
from app.engine.times import to_iso
from app.engine.values import UnstorableValueError, Value, measure, size_of, to_text
from app.engine.walk import OpenFrame, OpenVisit, Walk

TIRED_EXECUTIONS = 1_000  # in one step: 13 ms of no_op in items, measured
SHOWN_BYTES = 16 * 1024  # of a body in an event


class NodeContext:
    """Implements kind.Context and scope.Scope for one execution. What it renders is bounded, all of it together too."""

    __slots__ = ("_args", "_frame", "_rendering", "_variables", "_visit", "_walk", "attempt", "now")

    def __init__(
        self,
        walk: Walk,
        frame: OpenFrame,
        visit: OpenVisit,
        args: dict[str, Value] | None = None,
        variables: dict[str, Value] | None = None,
    ) -> None:
        self._args = args
        self._variables = variables or {}
        self.now = walk.now
        self.attempt = visit.failures
        self._walk = walk
        self._frame = frame
        self._visit = visit
        self._rendering = template.Rendering(self, walk.limits.text_bytes, visit.rendered)

    # ---- scope.Scope

    def read(self, name: str) -> Value:
        """The value of a first segment: a reserved word, then a node's output, then an input. Raises LookupError."""
        if name in reserved_words:
            return self._read_reserved(name)
        frame = self._frame
        for frame in self._frame.sight():
            if name in frame.outputs:
                return frame.outputs[name]
        return frame.inputs[name]  # those of the workflow that the bodies lie in

    def _read_reserved(self, name: str) -> Value:
        match name:
            case "sys":
                return self._sys()
            case "message":
                return self._walk.message
            case "vars":
                return self.variables()
            case "nodes":
                return _merged([frame.outputs for frame in self._frame.sight()])
            case "item" | "index":
                return _merged([frame.values for frame in self._frame.sight()])[name]
            case "args" if self._args is not None:
                return self._args
            case "pause" if isinstance(self._visit.wait, Asking):
                return {"id": self._visit.wait.question.pause_id}
            case _:
                raise LookupError(name)

    def _sys(self) -> Value:
        origin = self._walk.origin
        return {
            "run_id": origin.run_id,
            "workflow_id": origin.workflow_id,
            "version": origin.version,
            "turn_number": self._walk.turn,
            "user": origin.user,
            "started_at": to_iso(origin.started_at),
        }

    def variable(self, name: str) -> Value:
        """A runtime variable. Raises LookupError."""
        if name in self._variables:
            return self._variables[name]
        for frame in self._frame.sight():
            if name in frame.variables:
                return frame.variables[name]
        raise LookupError(name)

    # ---- kind.Context

    def text(self, source: str) -> str:
        return self._rendering.text(source)

    def value(self, source: Value) -> Value:
        return self._rendering.value(source)

    def truth(self, source: str) -> bool:
        return expression.parse(source).truth(self)

    def inputs(self) -> dict[str, Value]:
        return dict(self._frame.inputs)

    def variables(self) -> dict[str, Value]:
        return _merged([self._variables, *(frame.variables for frame in self._frame.sight())])

    def own_variables(self) -> dict[str, Value]:
        return dict(self._frame.variables)

    def set_variables(self, values: dict[str, Value]) -> None:
        most = self._walk.limits.text_bytes
        for name, value in values.items():
            if _may_exceed(most, value) and _measured(name, value) > most:
                raise NodeError("too_large", f"variable {name!r} is over {most} bytes")
        self._frame.variables.update(values)

    def say(self, text: str) -> None:
        self._walk.event_bytes += len(text)
        self._walk.emit_of(self._frame, self._visit, said.Said, text=text)
        self._frame.remember("assistant", text)

    def warn(self, message: str) -> None:
        self._walk.event_bytes += len(message)
        self._walk.emit(said.Warned, message=f"node {self._frame.path + self._visit.node.id!r}: {message}")

    def sealed(self, source: Value) -> Sealed:
        return seal(source, self, self._rendering)

    @property
    def most_items(self) -> int:
        return self._walk.limits.items

    @property
    def most_bytes(self) -> int:
        return self._walk.limits.output_bytes

    @property
    def is_tired(self) -> bool:
        return self._walk.executed >= TIRED_EXECUTIONS

    @property
    def memo(self) -> Value:
        return self._visit.memo

    @memo.setter
    def memo(self, value: Value) -> None:
        self._visit.memo = value

    def transcript(self, window: int) -> list[Message]:
        return list(self._frame.transcript[-window:]) if window else []

    def replied(self, answer: ModelAnswer, *, say: bool = False) -> None:
        wait = self._visit.wait
        call = wait.reply.call if isinstance(wait, Received) and isinstance(wait.reply, Succeeded) else None
        assert call is not None, "only a model's answer is told as one"
        seconds = max(0.0, self.now - call.since)
        self._walk.spend(f"{answer.provider}/{answer.model}", answer.usage, seconds)
        self._walk.event_bytes += len(answer.text) + sum(map(len, answer.misfits))
        if say:
            self._frame.remember("assistant", answer.text)
        self._walk.emit_of(
            self._frame,
            self._visit,
            said.ModelReplied,
            call_seq=call.seq,
            telling=call.telling,
            text=answer.text,
            say=say,
            streamed=answer.streamed,
            tool_calls=len(answer.tool_calls),
            misfits=answer.misfits,
            finish_reason=answer.finish_reason,
            usage=answer.usage,
            provider=answer.provider,
            model=answer.model,
            seconds=seconds,
        )

    def cited(self, texts: Value) -> tuple[str, ...]:
        found: dict[str, list[str]] = {}
        for frame in self._frame.sight():
            for name, output in frame.outputs.items():
                if name in frame.graph.nodes and name not in found:
                    found[name] = citations.addresses(frame.graph.nodes[name].type, output)
        return citations.cited(texts, {name: urls for name, urls in found.items() if urls})

    def with_args(self, args: dict[str, Value]) -> NodeContext:
        return NodeContext(self._walk, self._frame, self._visit, args, self._variables)

    def with_variables(self, variables: dict[str, Value]) -> NodeContext:
        return NodeContext(self._walk, self._frame, self._visit, self._args, variables)

    def tool_started(self, call: ToolCall) -> None:
        shown, truncated = _shown(call.arguments)
        self._walk.tool_calls += 1
        self._walk.event_bytes += size_of(shown)
        self._walk.emit_of(
            self._frame,
            self._visit,
            said.ToolCallStarted,
            tool_call_id=call.id,
            tool_name=call.name,
            arguments=shown,
            truncated=truncated,
        )

    def tool_finished(self, call: ToolCall, status: str, *, result: Value = None, error: str | None = None) -> None:
        shown, truncated = _shown(result)
        self._walk.event_bytes += size_of(shown) + len(error or "") + len(call.id) + len(call.name)
        self._walk.emit_of(
            self._frame,
            self._visit,
            said.ToolCallFinished,
            tool_call_id=call.id,
            tool_name=call.name,
            status=status,
            result=shown,
            error=error,
            truncated=truncated,
        )

    def requested(
        self, sent: Value, *, status_code: Value = None, body: Value = None, error: str | None = None
    ) -> None:
        sent = sent if isinstance(sent, dict) else {}
        shown, truncated = _shown(body)
        self._walk.event_bytes += size_of(shown)
        self._walk.emit_of(
            self._frame,
            self._visit,
            said.HttpRequested,
            method=sent.get("method"),
            url=sent.get("url"),
            status_code=status_code,
            body=shown,
            truncated=truncated,
            error=error,
        )

    def show_variables(self) -> None:
        shown = self.variables()
        self._walk.event_bytes += size_of(shown)
        self._walk.emit_of(self._frame, self._visit, said.StateShown, variables=shown)


def _merged(values: list[dict[str, Value]]) -> dict[str, Value]:
    """The first wins. A copy: a value that held what it is stored in would have no end."""
    return {name: value for one in reversed(values) for name, value in one.items()}


def _shown(body: Value) -> tuple[Value, bool]:
    """A body in an event; a large one as the beginning of its text."""
    if body is None or size_of(body) <= SHOWN_BYTES:
        return body, False
    return to_text(body).encode(errors="replace")[:SHOWN_BYTES].decode(errors="ignore"), True


def _may_exceed(most: int, value: Value) -> bool:
    """Scalars and short texts are not worth measuring."""
    return isinstance(value, (list, dict)) or (isinstance(value, str) and 4 * len(value) > most)


def _measured(name: str, value: Value) -> int:
    try:
        return measure(value)
    except UnstorableValueError as error:
        raise NodeError("invalid_value", f"variable {name!r}: {error}") from error
