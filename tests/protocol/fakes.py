"""The stores of the ports over a Memory. Each single operation goes through a gate, which says when it happens and how.

They pass the same contract as the real ones (`tests/conformance`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

from msgspec.structs import replace

from app.ports import Commit, Lease, Run, RunFilter, StoredVersion, Turn, WorkflowHead
from tests.protocol.memory import Holder, Memory, Place, lean, without_bodies

T = TypeVar("T")


class Gate(Protocol):
    """Carries out `act` and brings its result, or raises StoreUnavailableError. `words` say what it is."""

    def __call__(self, words: str, act: Callable[[], T], *, writes: bool = False, what: Any = None) -> Awaitable[T]: ...


async def open_gate(words: str, act: Callable[[], T], *, writes: bool = False, what: Any = None) -> T:
    """Lets everything happen at once."""
    return act()


class FakeRuns:
    """Implements ports.RunStore."""

    def __init__(self, memory: Memory, gate: Gate = open_gate) -> None:
        self._memory = memory
        self._gate = gate

    async def insert(self, run: Run) -> None:
        await self._gate(f"insert {run.id}", lambda: self._memory.insert(run), writes=True, what=run)

    async def read(self, run_id: str, *, bodies: bool = False, after: int = 0) -> Run | None:
        return await self._gate(
            "read the run", lambda: self._as_read(self._memory.runs.get(run_id), bodies, after), what="read"
        )

    async def read_by_start_key(self, start_key: str, *, bodies: bool = False) -> Run | None:
        return await self._gate("read by start key", lambda: self._as_read(self._memory.keyed(start_key), bodies))

    def _as_read(self, run: Run | None, bodies: bool, after: int = 0) -> Run | None:
        return run if run is None or bodies else lean(run, after)

    async def id_by_number(self, workspace: str, number: int) -> str | None:
        def find() -> str | None:
            own = (run for run in self._memory.runs.values() if run.workspace == workspace)
            return next((run.id for run in own if run.number == number), None)

        return await self._gate("find by number", find)

    async def commit(self, commit: Commit) -> bool:
        words = f"commit on revision {commit.revision}"
        return await self._gate(words, lambda: self._memory.update(commit), writes=True, what=commit)

    async def renew(
        self, run_id: str, fence: int, revision: int, held: Lease, until: float, wake_at: float | None
    ) -> bool:
        def renew() -> bool:
            return self._memory.renew(run_id, fence, revision, held, until, wake_at)

        return await self._gate(f"renew on revision {revision}", renew, writes=True)

    async def due(self, now: float, after: tuple[float, str] | None, limit: int) -> Sequence[tuple[float, str]]:
        return await self._gate("look for what is due", lambda: self._memory.due(now, after, limit))

    async def revisions(self, run_ids: Sequence[str]) -> dict[str, int]:
        def find() -> dict[str, int]:
            return {run_id: self._memory.runs[run_id].revision for run_id in run_ids if run_id in self._memory.runs}

        return await self._gate("poll revisions", find)

    # ---- older turns

    async def archive(self, run_id: str, keep: int, states: int) -> None:
        memory = self._memory
        run = await self._gate("archive: read", lambda: memory.runs.get(run_id))
        old = run.tail[:-keep] if run is not None else ()
        if run is None or not old:
            return
        await self._gate("archive: insert", lambda: memory.insert_turns(run_id, old), writes=True)
        drop = range(max(1, old[0].number - states + 1), run.tail[-1].number - states + 1)
        if drop:
            await self._gate("archive: drop states", lambda: memory.drop_states(run_id, drop), writes=True)
        await self._gate("archive: pull", lambda: memory.pull(run_id, [turn.number for turn in old]), writes=True)

    async def turn(self, run_id: str, number: int) -> Turn | None:
        return await self._gate(f"read older turn {number}", lambda: self._memory.turns.get((run_id, number)))

    async def turn_by_key(self, run_id: str, key: str) -> Turn | None:
        return await self._gate(f"look for {key} in older turns", lambda: self._older(run_id, {key}, "key"))

    async def turn_by_commit(self, run_id: str, commit_ids: Sequence[str]) -> Turn | None:
        ids = set(commit_ids)
        return await self._gate("look for commits in older turns", lambda: self._older(run_id, ids, "commit_id"))

    def _older(self, run_id: str, wanted: set[str], field: str) -> Turn | None:
        turns = self._memory.turns_of(run_id)
        return next((turn for turn in turns if any(getattr(c, field) in wanted for c in turn.commands)), None)

    async def turns_after(self, run_id: str, seq: int) -> AsyncIterator[Turn]:
        found = await self._gate("read older turns", lambda: self._memory.turns_of(run_id))
        for turn in found:
            if (turn.last_seq or 0) > seq:
                yield replace(turn, reply=None, state=None)

    async def turn_heads(self, run_id: str) -> Sequence[Turn]:
        found = await self._gate("read heads of older turns", lambda: self._memory.turns_of(run_id))
        return [replace(without_bodies(turn), input=turn.input) for turn in found]

    # ---- lists, retention, numbers

    async def find(self, wanted: RunFilter, skip: int, limit: int) -> tuple[Sequence[Run], int]:
        def page() -> tuple[Sequence[Run], int]:
            found = [run for run in self._memory.runs.values() if _is_wanted(run, wanted)]
            found.sort(key=lambda run: (run.created_at, run.id), reverse=True)
            return [_row(run) for run in found[skip : skip + limit]], len(found)

        return await self._gate("list runs", page)

    async def keep_results(self, run_id: str, name: str, body: bytes) -> None:
        await self._gate(f"keep {name}", lambda: self._memory.keep(run_id, name, body), writes=True)

    async def kept_results(self, run_id: str, names: Sequence[str]) -> Sequence[bytes | None]:
        return await self._gate("read what was kept", lambda: [self._memory.kept.get((run_id, name)) for name in names])

    async def copy_results(self, run_id: str, to: str) -> None:
        for name in [name for owner, name in self._memory.kept if owner == run_id]:
            body = self._memory.kept[run_id, name]
            await self.keep_results(to, name, body)

    async def purge_turns(self, run_id: str) -> None:
        await self._gate("purge turns", lambda: self._memory.purge(run_id), writes=True)

    async def remove(self, run_id: str, revision: int) -> None:
        await self._gate("remove the run", lambda: self._memory.remove(run_id, revision), writes=True)

    async def review_parts(self, now: float) -> int:
        return 0

    async def next_number(self) -> int:
        self._memory.numbers += 1
        return self._memory.numbers


def _is_wanted(run: Run, wanted: RunFilter) -> bool:
    return (
        run.workspace == wanted.workspace
        and run.deleted_at is None
        and wanted.workflow_id in (None, run.workflow_id)
        and wanted.status in (None, run.status)
        and (wanted.among is None or run.id in wanted.among.runs or run.workflow_id in wanted.among.workflows)
        and (wanted.start is None or run.created_at >= wanted.start)
        and (wanted.end is None or run.created_at <= wanted.end)
    )


def _row(run: Run) -> Run:
    return replace(run, state=b"", tail=(), open=None, fingerprints=b"", start_reply=None)


class FakeSlots:
    """Implements ports.SlotStore."""

    def __init__(self, memory: Memory, gate: Gate = open_gate) -> None:
        self._memory = memory
        self._gate = gate

    async def take(self, scope: str, places: int, run_id: str, turn: int, until: float, now: float) -> bool:
        while True:
            held = await self._gate(f"read places of {scope}", lambda: self._memory.places(scope))
            own = next((i for i, holder in held.items() if holder[0] == run_id), None)
            live = {i for i, (_, _, end) in held.items() if end > now}
            i = own if own is not None else next((i for i in range(places) if i not in live), None)
            if i is None or (own is None and len(live) >= places):
                return False
            if await self._win((scope, i), held.get(i), (run_id, turn, until)):
                return True

    async def _win(self, place: Place, was: Holder | None, holder: Holder) -> bool:
        words = f"take place {place[1]} of {place[0]}"
        return await self._gate(words, lambda: self._memory.win_place(place, was, holder), writes=True)

    async def extend(self, run_id: str, turn: int, until: float) -> None:
        await self._gate("extend places", lambda: self._memory.extend_places(run_id, turn, until), writes=True)

    async def release(self, run_id: str, turn: int) -> None:
        await self._gate("release places", lambda: self._memory.release_places(run_id, turn), writes=True)


class FakeWorkflows:
    """As much of ports.WorkflowStore as runs need."""

    def __init__(self, memory: Memory, gate: Gate = open_gate) -> None:
        self._memory = memory
        self._gate = gate

    async def head(self, workflow_id: str) -> WorkflowHead | None:
        return await self._gate("read the workflow", lambda: self._memory.heads.get(workflow_id))

    async def version(self, workflow_id: str, number: int) -> StoredVersion | None:
        return await self._gate(f"read version {number}", lambda: self._memory.versions.get((workflow_id, number)))
