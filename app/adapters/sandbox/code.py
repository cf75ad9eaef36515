"""Python of users, in worker processes of Monty: an interpreter without files, network, processes or imports of its own
choice. What comes back crosses over as JSON text, written inside under the same limits, never as objects."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic_monty import (
    Monty,
    MontyConversionError,
    MontyCrashedError,
    MontyError,
    MontySession,
    ResourceLimits,
)

from app.adapters.sandbox.code_errors import SHOWN_CHARACTERS, described, failure
from app.adapters.sandbox.threads import Threads
from app.ports import CodeResult, EffectError

WORKERS: Final = 4
MEMORY_BYTES: Final = 64 * 1024 * 1024
PRINTED_BYTES: Final = 64 * 1024
OUTPUT_BYTES: Final = 1024 * 1024
MOST_SECONDS: Final = 30.0
FAULT_SECONDS: Final = 5.0
GRACE_SECONDS: Final = 1.0  # for the worker to stop by itself; then it is killed
CLOSING_SECONDS: Final = 1.0
RUNS_PER_WORKER: Final = 500

# The user's code runs under names of its own and sees none of these. The last line's value is what comes back: a text,
# or None where it is too long.
RUN: Final = """\
_names = dict(_inputs)
exec(_code, _names)
_main = _names.get("main")
if type(_main).__name__ == "function":
    _output = _main(**_inputs)
else:
    _output = _names.get("output")
import json as _json
_text = _json.dumps(_output, allow_nan=False, ensure_ascii=False)
_text if len(_text) <= _most else None
"""
# All of a text is compiled before its first line runs, and the first line ends it.
COMPILE: Final = "exec(_code, {})"
STOP: Final = "raise KeyboardInterrupt('compiled')"


def limits_for(seconds: float) -> ResourceLimits:
    """Every limit is given: one that is left out is none."""
    return ResourceLimits(
        max_feed_duration_secs=seconds,
        max_turn_duration_secs=seconds,
        max_memory=MEMORY_BYTES,
        gc_interval=10_000,
        max_recursion_depth=1_000,
        max_suspensions=1_000,
        max_total_sleep_secs=0.0,
    )


class Printed:
    """Keeps the first 64 KiB of what is printed."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def __call__(self, stream: str, text: str) -> None:
        room = PRINTED_BYTES - len(self._kept)
        self._kept += text[:room].encode(errors="replace")[:room]

    @property
    def text(self) -> str:
        return self._kept.decode(errors="ignore")  # a character may have been cut in two


class SandboxedCode:
    """Implements ports.CodeRunner. `output_bytes`: the most that an output may take as JSON. Workers are started when they
    are first needed; `close` ends them."""

    def __init__(self, output_bytes: int = OUTPUT_BYTES) -> None:
        self._output_bytes = output_bytes
        self._threads = Threads(WORKERS)
        self._lock = threading.Lock()
        self._pool: Monty | None = None
        self._is_closed = False

    async def run(self, code: str, inputs: Mapping[str, Any], timeout_seconds: float) -> CodeResult:
        """Waits for a free worker first; the time counts from then on. A cancelled run goes on to its own end."""
        seconds = min(timeout_seconds, MOST_SECONDS)
        return await self._threads.run(lambda: self._run(code, dict(inputs), seconds))

    async def fault(self, code: str) -> str | None:
        for _ in range(2):  # a worker may end for reasons that are not the code's
            try:
                return await self._threads.run(lambda: self._fault(code))
            except EffectError as error:
                said = error.message
                if not error.retryable:
                    break
        return "it cannot be compiled: " + said

    async def close(self) -> None:
        """Work that is under way gets a second; then it is left alone and ends with its worker, at its own limit."""
        self._is_closed = True
        await self._threads.idle(CLOSING_SECONDS)
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.__exit__(None, None, None)

    # ---- in threads

    def _run(self, code: str, inputs: dict[str, Any], seconds: float) -> CodeResult:
        printed = Printed()
        given = {"_code": code, "_inputs": inputs, "_most": self._output_bytes}

        def feed(session: MontySession) -> Any:
            return session.feed_run(RUN, inputs=given, print_callback=printed)

        try:
            text = self._in_worker(seconds, feed)
        except MontyConversionError as error:
            raise EffectError("invalid_value", "the inputs cannot be passed: " + str(error)) from error
        except MontyError as error:
            raise failure(error, seconds, RUN) from error
        except (ValueError, TypeError) as error:  # found on this side, before anything ran
            raise EffectError("invalid_value", "the inputs cannot be passed: " + str(error)) from error
        return CodeResult(_read(text, self._output_bytes), printed.text)

    def _fault(self, code: str) -> str | None:
        def feed(session: MontySession) -> Any:
            return session.feed_run(COMPILE, inputs={"_code": f"{STOP}\n{code}"}, print_callback=Printed())

        try:
            self._in_worker(FAULT_SECONDS, feed)
        except MontyError as error:
            found = described(error, lines_before=1)
            return None if found.startswith("KeyboardInterrupt: compiled") else found
        return None

    def _in_worker(self, seconds: float, feed: Callable[[MontySession], Any]) -> Any:
        """In a session of its own, which the next run of that worker knows nothing of. Raises EffectError, MontyError."""
        session = self._started().checkout(limits=limits_for(seconds), assert_message_annotations=False)
        try:
            with session:
                return feed(session)
        except MontyCrashedError as error:
            if error.timed_out:
                raise EffectError("timeout", f"the code took longer than {seconds:g} seconds") from error
            message = "the process that ran the code ended unexpectedly"
            raise EffectError("sandbox_limit", message, retryable=True) from error

    def _started(self) -> Monty:
        with self._lock:
            if self._is_closed:
                raise EffectError("sandbox_limit", "the server is being stopped", retryable=True)
            if self._pool is None:
                pool = Monty(
                    min_processes=1,
                    max_processes=WORKERS,
                    request_timeout=MOST_SECONDS + 2 * GRACE_SECONDS,
                    max_checkouts_per_worker=RUNS_PER_WORKER,
                    feed_duration_limit_grace=GRACE_SECONDS,
                    turn_duration_limit_grace=GRACE_SECONDS,
                )
                self._pool = pool.__enter__()
            return self._pool


def _read(text: Any, most: int) -> Any:
    """The value of what a worker gave back."""
    if text is None or (isinstance(text, str) and len(text.encode()) > most):
        raise EffectError("too_large", f"the output is larger than {most} bytes")
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise EffectError("code_error", f"the output cannot be kept: {str(error)[:SHOWN_CHARACTERS]}") from error
