"""A database in this process: what is stored, and the single operations on it, each of which happens at once.

They are those that the real store makes of its methods; `fakes.py` makes the stores of the ports out of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from app.ports import Commit, DuplicateError, Lease, Run, StoredVersion, Turn, WorkflowHead

Place = tuple[str, int]  # of a concurrency limit: scope and number
Holder = tuple[str, int, float]  # run, turn, until
Watch = Callable[[Run | None, Run | None], None]


class Memory:
    """Shared by all processes. `watch` is told every change of a run document: before, after."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.turns: dict[tuple[str, int], Turn] = {}
        self.kept: dict[tuple[str, str], bytes] = {}
        self.slots: dict[Place, Holder] = {}
        self.heads: dict[str, WorkflowHead] = {}
        self.versions: dict[tuple[str, int], StoredVersion] = {}
        self.numbers = 0
        self.lapses = 0  # places that were taken over after their time
        self.watch: Watch = _blind

    def put(self, after: Run) -> None:
        before = self.runs.get(after.id)
        self.runs[after.id] = after
        self.watch(before, after)

    # ---- the run document

    def insert(self, run: Run) -> None:
        """Raises DuplicateError."""
        if run.id in self.runs:
            raise DuplicateError("_id")
        if any(other.number == run.number for other in self.runs.values()):
            raise DuplicateError("number")
        if run.start_key is not None and self.keyed(run.start_key) is not None:
            raise DuplicateError("start_key")
        self.put(run)

    def keyed(self, start_key: str) -> Run | None:
        return next((run for run in self.runs.values() if run.start_key == start_key), None)

    def update(self, commit: Commit) -> bool:
        run = self.runs.get(commit.run_id)
        if run is None or not _matches(run, commit):
            return False
        tail = run.tail if commit.push is None else (*run.tail, commit.push)
        self.put(replace(run, **commit.set, tail=tail))
        return True

    def renew(self, run_id: str, fence: int, revision: int, held: Lease, until: float, wake_at: float | None) -> bool:
        run = self.runs.get(run_id)
        if run is None or (run.fence, run.revision, run.lease) != (fence, revision, held):
            return False
        self.put(replace(run, lease=replace(held, until=until), wake_at=wake_at))
        return True

    def pull(self, run_id: str, numbers: Iterable[int]) -> None:
        run = self.runs.get(run_id)
        if run is not None:
            gone = set(numbers)
            self.put(replace(run, tail=tuple(turn for turn in run.tail if turn.number not in gone)))

    def remove(self, run_id: str, revision: int) -> None:
        if run_id in self.runs and self.runs[run_id].revision == revision:
            before = self.runs.pop(run_id)
            self.watch(before, None)

    def due(self, now: float, after: tuple[float, str] | None, limit: int) -> list[tuple[float, str]]:
        found = [(run.wake_at, run.id) for run in self.runs.values() if run.wake_at is not None and run.wake_at <= now]
        return sorted(one for one in found if after is None or one > after)[:limit]

    # ---- older turns

    def insert_turns(self, run_id: str, turns: Iterable[Turn]) -> None:
        """Those that are there are left as they are."""
        for turn in turns:
            self.turns.setdefault((run_id, turn.number), turn)
        if run_id in self.runs:
            self.watch(self.runs[run_id], self.runs[run_id])

    def drop_states(self, run_id: str, numbers: range) -> None:
        for (of, number), turn in self.turns.items():
            if of == run_id and number in numbers:
                self.turns[of, number] = replace(turn, state=None)

    def turns_of(self, run_id: str) -> list[Turn]:
        """By number."""
        return [turn for (of, _), turn in sorted(self.turns.items()) if of == run_id]

    def purge(self, run_id: str) -> None:
        for key in [key for key in self.turns if key[0] == run_id]:
            del self.turns[key]
        for name in [name for name in self.kept if name[0] == run_id]:
            del self.kept[name]

    def keep(self, run_id: str, name: str, body: bytes) -> None:
        self.kept.setdefault((run_id, name), body)

    # ---- places of limits

    def places(self, scope: str) -> dict[int, Holder]:
        return {i: held for (of, i), held in self.slots.items() if of == scope}

    def win_place(self, place: Place, was: Holder | None, holder: Holder) -> bool:
        """An insert, or an update of the place as it was read."""
        if self.slots.get(place) != was:
            return False
        self.lapses += was is not None and was[0] != holder[0]
        self.slots[place] = holder
        return True

    def extend_places(self, run_id: str, turn: int, until: float) -> None:
        for place, holder in self.slots.items():
            if holder[:2] == (run_id, turn):
                self.slots[place] = (run_id, turn, max(until, holder[2]))

    def release_places(self, run_id: str, turn: int) -> None:
        for place in [place for place, holder in self.slots.items() if holder[:2] == (run_id, turn)]:
            del self.slots[place]


def lean(run: Run, after: int) -> Run:
    """As a hot read brings it: the tail without bodies, the open turn without the batches of events up to `after`."""
    opened = run.open
    if opened is not None and opened.batches:
        batches = [replace(batch, body=b"") if batch.last_seq <= after else batch for batch in opened.batches]
        opened = replace(opened, batches=tuple(batches))
    return replace(run, open=opened, tail=tuple(without_bodies(turn) for turn in run.tail), start_reply=None)


def without_bodies(turn: Turn) -> Turn:
    return replace(turn, input=b"", batches=(), events=b"", reply=None, state=None)


def _matches(run: Run, commit: Commit) -> bool:
    if run.revision != commit.revision or (commit.fence is not None and run.fence != commit.fence):
        return False
    return not commit.match_lease or run.lease == commit.lease


def _blind(before: Any, after: Any) -> None:
    """Nobody watches."""
