"""No run is left behind: finds what is due (lapsed leases, timers, deadlines, retention) and takes it on.

It claims before it steps: a claim counts in `takeovers`, every other commit sets that to 0, and the fifth claim in a row
fails the run instead of performing it. What is due under a live lease is a commit into a leased run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec
import structlog

from app.engine.graph import Graph
from app.engine.messages import Abort, AnyCommand, DeadlinePassed
from app.engine.state import ExecutorState, UnknownFormatError, decode, effects, encode, next_deadline, retold
from app.engine.step import is_due, step
from app.ports import Commit, Lease, Run, StoreUnavailableError
from app.services.commits import LEASE_SECONDS, lease_taken
from app.services.committing import cause_of, follow_up, plan_within_limits
from app.services.follow import either
from app.services.owner import perform
from app.services.world import World

SWEEP_SECONDS = 0.5
BATCH = 50
SKEW_SECONDS = 2.0  # a lease counts as lapsed only this long after its end
MAX_CLAIMS = 5
PUT_OFF_SECONDS = 60.0  # a state too new for this process
KEPT_SECONDS = 24 * 3600.0
REVIEW_SECONDS = 60.0
SETTLE_SECONDS = 0.5
SUSPECT_SECONDS = 0.01  # time to see whether it kills the process

log = structlog.get_logger("antiphon.sweep")


class Sweep:
    """One per process. Its cost depends on what is due, not on how many runs are paused."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._busy: set[str] = set()
        self._reviewed_at = 0.0
        self._claiming = asyncio.Lock()
        self._suspects: list[tuple[int, float, str]] = []
        self._careful = False  # somebody has died: what is due is committed before the next is claimed

    async def run(self) -> None:
        """Until the process drains."""
        while not self._world.draining.is_set():
            await self._world.clock.sleep(SWEEP_SECONDS)  # first, so that one that will be killed serves a little
            try:
                await self.once()
                await self._review()
            except StoreUnavailableError:
                log.debug("the database is away; the sweep tries again")

    async def _review(self) -> None:
        """Now and then: parts of commits that were lost."""
        if self._world.now() - self._reviewed_at >= REVIEW_SECONDS:
            self._reviewed_at = self._world.now()
            await self._world.runs.review_parts(self._reviewed_at)

    async def once(self) -> None:
        """Everything that is due now, the latest first: what kills its takers comes due again and again, and the others
        must not stand behind it. What was claimed in vain comes last and by itself: see what it does before the next."""
        self._suspects, self._careful = [], False
        due = [run_id for run_id in reversed(await self._due()) if run_id not in self._busy]
        for first in range(0, len(due), BATCH):
            await asyncio.gather(*(self._guarded(run_id) for run_id in due[first : first + BATCH]))
        for _, _, run_id in sorted(self._suspects)[:BATCH]:
            await self._guarded(run_id, suspect=True)
            await self._world.clock.sleep(SUSPECT_SECONDS)

    async def _due(self) -> list[str]:
        now, found = self._world.now(), list[tuple[float, str]]()
        while True:
            page = await self._world.runs.due(now, found[-1] if found else None, BATCH)
            found += page
            if len(page) < BATCH:
                return [run_id for _, run_id in found]

    async def _guarded(self, run_id: str, *, suspect: bool = False) -> None:
        self._busy.add(run_id)
        try:
            await self.take(run_id, suspect=suspect)
        except StoreUnavailableError:
            return
        except Exception:
            log.exception("the sweep could not take a run", run_id=run_id)
        finally:
            self._busy.discard(run_id)

    async def take(self, run_id: str, *, suspect: bool = False) -> None:
        """Does what is due for one run; not yet if it is a suspect and not taken as one."""
        world, now = self._world, self._world.now()
        run = await world.runs.read(run_id)
        if run is None or run.wake_at is None or run.wake_at > now:
            return
        if run.ended_at is not None:
            await self._purge(run)
            return
        try:
            state = decode(run.state)
        except UnknownFormatError:
            await world.runs.commit(self._move(run, wake_at=now + PUT_OFF_SECONDS))
            return
        graphs = await world.graphs.of(run)
        if run.lease is not None and run.lease.until > now - SKEW_SECONDS:
            # one that has lapsed waits to be claimed: what kills its process must count
            if run.lease.until > now and graphs is not None and is_due(state, now, world.limits):
                await self._into_a_lease(run, run.lease, state, graphs)
        elif is_due(state, now, world.limits) or effects(state):
            self._careful |= run.lease is not None
            if run.takeovers and not suspect:
                self._suspects.append((run.takeovers, run.wake_at, run_id))
            else:
                await self._claim(run, state, graphs)
        else:
            await world.runs.commit(self._move(run, wake_at=next_deadline(state, world.limits)))

    async def _purge(self, run: Run) -> None:
        """First the turns and parts, a day later the run itself: until then its start key is taken."""
        now = self._world.now()
        if run.deleted_at is None:
            await self._world.runs.commit(self._move(run, deleted_at=now, wake_at=now))
        elif now < run.deleted_at + KEPT_SECONDS:
            await self._world.runs.purge_turns(run.id)
            await self._world.runs.commit(self._move(run, wake_at=run.deleted_at + KEPT_SECONDS))
        else:
            await self._world.runs.purge_turns(run.id)  # an archive under way may have come after the first time
            await self._world.runs.remove(run.id, run.revision)

    def _move(self, run: Run, **changes: object) -> Commit:
        fields = {"revision": run.revision + 1, "commit_id": self._world.ids.commit_id(), **changes}
        return Commit(run_id=run.id, revision=run.revision, set=fields, lease=run.lease, match_lease=True)

    async def _claim(self, run: Run, state: ExecutorState, graphs: Mapping[str, Graph] | None) -> None:
        world, now = self._world, self._world.now()
        why = "every process that took this run died" if run.takeovers + 1 >= MAX_CLAIMS else None
        if graphs is None:
            why = "the graph is not the one that this run started with"
        if why is not None:
            source = "execution_error" if graphs is None else "stale_run_reaper"
            await self._apply(run, state, graphs or {}, Abort(now=now, source=source, error_message=why), "reaper")
            return
        assert graphs is not None, "a run without its graphs was failed"
        lease, deadline = Lease(world.process, now + LEASE_SECONDS), next_deadline(state, world.limits)
        # what is due is ours to apply: others come back to it only when the lease has lapsed
        wake_at = lease.until if deadline is None or deadline <= now else min(lease.until, deadline)
        claim = self._move(run, lease=lease, fence=run.fence + 1, takeovers=run.takeovers + 1, wake_at=wake_at)
        if (anew := retold(state)) is not state:
            claim.set["state"] = encode(anew)
        async with self._claiming:  # one after the other: what is claimed beside a run that kills us shares its blame
            # one that leaves would have to give it back at once, or be cut short before it does
            claimed = None if world.draining.is_set() else await self._claimed(run, claim)
            if claimed is not None:
                with world.follow.listen(run.id) as settled:
                    perform(world, claimed, claimed.fence)
                    if self._careful and deadline is not None and deadline <= now:
                        await either(settled, world.draining, SETTLE_SECONDS)

    async def _claimed(self, run: Run, claim: Commit) -> Run | None:
        """The run under our lease; None: another was first. A lost reply is looked into."""
        try:
            won = await self._world.runs.commit(claim)
        except StoreUnavailableError:
            found = await self._world.runs.read(run.id)
            return found if found is not None and found.commit_id == claim.set["commit_id"] else None
        return msgspec.structs.replace(run, **claim.set) if won else None

    async def _into_a_lease(self, run: Run, lease: Lease, state: ExecutorState, graphs: Mapping[str, Graph]) -> None:
        """What is due under a live lease, which counts no claim: should the step kill this process, the next one looks
        only when the lease has lapsed."""
        mark = self._move(run, wake_at=lease.until)
        if await self._world.runs.commit(mark):
            marked = msgspec.structs.replace(run, **mark.set)
            done = await self._apply(marked, state, graphs, DeadlinePassed(now=self._world.now()))
            if done is not None:
                perform(self._world, done, lease_taken(marked, done))

    async def _apply(
        self, run: Run, state: ExecutorState, graphs: Mapping[str, Graph], command: AnyCommand, cause: str | None = None
    ) -> Run | None:
        """A commit of what is due: the run after it; None: another commit came first. With a lease of ours it is filtered
        on it."""
        world = self._world
        made = step(graphs, state, command, world.limits)
        ours = run.lease is None or run.lease.owner == world.process or run.lease.until <= world.now()
        planned = plan_within_limits(world, graphs, run, state, made, cause=cause or cause_of(made), owner=ours)
        if not await world.runs.commit(planned.commit):
            return None
        await follow_up(world, run, planned.after)
        return planned.after
