"""Recorded histories: a graph, the commands in order, and what each of them brought. One JSON file each.

Every step has the state after it in its stored form, so that today's code goes on from what was written on the day of the
recording. `python -m tests.engine.record` records anew; look at what changed before you keep it.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import msgspec

from app.engine.messages import AnyCommand, AnyEvent
from app.engine.state import Effect, ExecutorState, Limits, decode, encode
from app.engine.step import RefusedError, Step
from tests.engine.graphs import Bench

FOLDER = Path(__file__).parent / "histories"


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """One command and what it brought. `refused`: the code of the refusal, which changed nothing."""

    command: AnyCommand
    refused: str | None = None
    events: tuple[AnyEvent, ...] = ()
    effects: tuple[Effect, ...] = ()
    stored: str

    def state(self) -> ExecutorState:
        """The state after it, from its stored form."""
        return decode(base64.b64decode(self.stored))


class History(msgspec.Struct, frozen=True, kw_only=True):
    """`state` is the last state, for people to read and to compare with."""

    about: str
    graph: dict[str, Any]
    limits: Limits
    steps: tuple[Recorded, ...]
    state: dict[str, Any]


class Recorder(Bench):
    """A bench that remembers its steps."""

    def __init__(self, graph: dict[str, Any], limits: Limits | None = None, **start: Any) -> None:
        self.graph = graph
        self.steps: list[Recorded] = []
        super().__init__(graph, limits, **start)

    def do(self, command: Any) -> Step:
        made = super().do(command)
        self._remember(command, events=made.events, effects=made.effects)
        return made

    def try_(self, command: Any) -> None:
        """A command that is refused."""
        try:
            self.do(command)
        except RefusedError as error:
            self._remember(command, refused=error.code)

    def _remember(self, command: Any, **more: Any) -> None:
        stored = base64.b64encode(encode(self.at)).decode()
        self.steps.append(Recorded(command=command, stored=stored, **more))

    def history(self, about: str) -> History:
        return History(
            about=about,
            graph=self.graph,
            limits=self.limits,
            steps=tuple(self.steps),
            state=plain(self.at),
        )


def plain(value: Any) -> Any:
    """As JSON would give it back."""
    return json.loads(json.dumps(msgspec.to_builtins(value)))


def read(path: Path) -> History:
    return msgspec.convert(json.loads(path.read_text()), History)


def write(path: Path, history: History) -> None:
    """One line for each command and event, so that a change can be read."""
    path.write_text(_lines(plain(history), 0) + "\n")


def _lines(value: Any, depth: int) -> str:
    text = json.dumps(value)
    if depth > 3 or len(text) < 100 or not isinstance(value, dict | list):
        return text
    pad, end = " " * (depth + 1), " " * depth
    if isinstance(value, dict):
        body = [f"{pad}{json.dumps(key)}: {_lines(item, depth + 1)}" for key, item in value.items()]
        return "{\n" + ",\n".join(body) + f"\n{end}}}"
    return "[\n" + ",\n".join(pad + _lines(item, depth + 1) for item in value) + f"\n{end}]"
