"""Where all operations of all processes wait, and the ways in which they can happen."""

from __future__ import annotations

from typing import Any

from app.engine.state import at_rest, decode
from app.ports import DuplicateError, EffectContext, StoreUnavailableError
from app.services.answers import pause_ids
from tests.protocol.loop import Loop
from tests.protocol.memory import Memory
from tests.protocol.op import Op
from tests.protocol.outside import failure
from tests.protocol.processes import BACKGROUND, Process
from tests.protocol.watch import Watch


class Desk:
    """Operations in the order in which they were asked for. `late`: writes that may still arrive, or never."""

    def __init__(self, loop: Loop, memory: Memory, watch: Watch) -> None:
        self.loop = loop
        self.watch = watch
        self.ops: list[Op] = []
        self.late: list[Op] = []
        self.log: list[str] = []
        memory.watch = self._changed
        self._applied: Op | None = None

    def tell(self, line: str) -> None:
        self.log.append(f"{self.loop.time():7.2f}  {line}")

    # ---- called by processes

    def take_in(self, op: Op) -> None:
        self.ops.append(op)

    def withdraw(self, op: Op) -> None:
        """Nobody waits for it any more. A write that is on its way cannot be called back."""
        if op in self.ops:
            self.ops.remove(op)
            if op.writes and not op.done:
                self.late.append(op)

    def begun(self, process: Process, context: EffectContext, telling: int | None) -> None:
        self.watch.effect_begins(process, context, telling)

    def _changed(self, before: Any, after: Any) -> None:
        self.watch.run_changed(self._applied, before, after)

    # ---- what can happen to an operation

    def happen(self, op: Op) -> None:
        """It is carried out and answered."""
        if op.words not in BACKGROUND or op.done:
            self.tell(f"{op}{': answered' if op.done else ''}")
        if not op.done:
            self._apply(op)
        self._answer(op)

    def apply(self, op: Op) -> None:
        """It is carried out; the answer is still on its way."""
        self.tell(f"{op}: carried out")
        self._apply(op)

    def lose(self, op: Op) -> None:
        """It is carried out, but its answer never comes."""
        self.tell(f"{op}: carried out, the answer is lost")
        if not op.done:
            self._apply(op)
        self._fail(op)

    def refuse(self, op: Op) -> None:
        """It is not carried out."""
        self.tell(f"{op}: fails")
        self._fail(op)

    def delay(self, op: Op) -> None:
        """It seems to fail, and may be carried out at any later time."""
        self.tell(f"{op}: seems to fail, and is late")
        self.late.append(op)
        self._fail(op)

    def arrive(self, op: Op) -> None:
        """A late write is carried out."""
        self.tell(f"{op}: arrives late")
        self.late.remove(op)
        self._apply(op)

    def bring(self, op: Op, result: Any) -> None:
        """An effect comes back."""
        self.tell(f"{op}: {result!r}")
        op.result, op.raised = (None, result) if isinstance(result, Exception) else (result, None)
        op.done = True
        self._answer(op)

    def fail_effect(self, op: Op, *, retryable: bool) -> None:
        self.bring(op, failure(retryable=retryable))

    def _apply(self, op: Op) -> None:
        op.done, self._applied = True, op
        try:
            op.result = op.act()
        except DuplicateError as error:
            op.raised = error
        finally:
            self._applied = None
        if op.kind == "send":
            self.watch.effect_sent(op.process, op.what)

    def _answer(self, op: Op) -> None:
        self.ops.remove(op)
        if op.what == "read" and op.is_requests and op.result is not None:
            _take_aim(op)
        if op.future.cancelled():  # by a process that froze before it could withdraw it
            return
        if op.raised is not None:
            op.future.set_exception(op.raised)
        else:
            op.future.set_result(op.result)
        self.loop.run()

    def _fail(self, op: Op) -> None:
        self.watch.faults += 1
        self.ops.remove(op)
        if op.future.cancelled():
            return
        op.future.set_exception(StoreUnavailableError("no answer"))
        self.loop.run()


def _take_aim(op: Op) -> None:
    state = decode(op.result.state)
    if op.cause.aim is None and at_rest(state) and not state.ended:
        op.cause.aim = pause_ids(state)
