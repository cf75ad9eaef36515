"""The owner of a lease: performs a run's effects, renews while they run, settles them as they end.

It commits only while the lease is there and its own (owner and fence); on a lost commit it re-reads, adopts the new
state, cancels what is gone, and applies the results that it holds, or drops everything when the lease is another's.
"""

from __future__ import annotations

import asyncio

import msgspec
import structlog

from app.engine.messages import DeadlinePassed
from app.engine.state import at_rest, decode, effects, next_deadline
from app.engine.step import is_due, step
from app.ports import Commit, Lease, Run, StoreUnavailableError
from app.services import slots
from app.services.attempts import Attempts
from app.services.commits import LEASE_SECONDS
from app.services.committing import cause_of, follow_up, joined, plan_within_limits, unmoved
from app.services.world import World

RENEW_SECONDS = 3.0
AGAIN_SECONDS = 0.2  # after the database did not answer

log = structlog.get_logger("antiphon.owner")


def perform(world: World, run: Run, fence: int | None) -> None:
    """Begins to perform a run under the lease that the caller's own commit took; `fence` None: it took none.

    Each lease is performed by the one who took it, and once. Whoever else reads that a lease is this process's may hold an
    older state than the owner had when it ended: he would begin an effect again whose result is committed.
    """
    if run.lease is not None and run.lease.owner == world.process and run.fence == fence:
        world.spawn(_perform(world, run))


async def _perform(world: World, run: Run) -> None:
    try:
        await Owner(world, run).perform()
    except Exception:
        log.exception("the owner of a run failed; its lease will lapse", run_id=run.id)


class Owner:
    """Performs one leased run in this process until its lease is gone."""

    def __init__(self, world: World, run: Run) -> None:
        self._world = world
        self._run = run
        self._fence = run.fence
        self._attempts = Attempts(world, run.workspace, run.id)
        self._tried: set[str] = set()

    async def perform(self) -> None:
        """Until nothing is in flight or due under this lease."""
        with self._world.follow.listen(self._run.id) as notice:
            try:
                while self._mine() and (effects(decode(self._run.state)) or self._is_due()):
                    try:
                        if self._world.draining.is_set():
                            return await self._give_back()
                        await self._round(notice)
                    except StoreUnavailableError:
                        await self._world.clock.sleep(AGAIN_SECONDS)
                        notice.set()
            finally:
                self._attempts.cancel()

    def _mine(self) -> bool:
        lease = self._run.lease
        return lease is not None and lease.owner == self._world.process and self._run.fence == self._fence

    def _is_due(self) -> bool:
        return is_due(decode(self._run.state), self._world.now(), self._world.limits)

    def _held(self) -> Lease:
        assert self._run.lease is not None, "looked at only while the lease is ours"
        return self._run.lease

    async def _round(self, notice: asyncio.Event) -> None:
        if notice.is_set():
            notice.clear()
            await self._look()
            return
        if self._is_due():
            await self._settle(notice)
            return
        held, now = self._held(), self._world.now()
        self._attempts.match(effects(decode(self._run.state)), alive=now < held.until)
        renewal_in = held.until - LEASE_SECONDS + RENEW_SECONDS - now
        ended = await self._attempts.ended(notice, self._world.draining, max(0.0, renewal_in))
        if ended:
            await self._settle(notice)
        elif not notice.is_set() and self._world.now() >= now + renewal_in:
            await self._renew(notice)

    async def _settle(self, notice: asyncio.Event) -> None:
        """One commit takes every effect that has ended when it starts, and what is due."""
        run, graphs = self._run, await self._world.graphs.of(self._run)
        if graphs is None:
            raise StoreUnavailableError("the graph of a leased run cannot be read")
        before, ended = decode(run.state), self._attempts.results()
        made = unmoved(before)
        for command in ended:
            if not made.state.ended:
                made = joined(made, step(graphs, made.state, command, self._world.limits))
        now, cause = self._world.now(), "command"
        came_to_rest = bool(ended) and at_rest(made.state)  # then what is due opens a turn of its own: the next commit
        if not came_to_rest and is_due(made.state, now, self._world.limits):
            due = step(graphs, made.state, DeadlinePassed(now=now), self._world.limits)
            made, cause = joined(made, due), cause_of(due)
        planned = plan_within_limits(self._world, graphs, run, before, made, cause=cause, owner=True)
        self._tried.add(planned.commit.set["commit_id"])
        notice.clear()  # if this matches, nothing had happened; what happens from now on sets it again
        if await self._world.runs.commit(planned.commit):
            self._attempts.drop(ended)
            self._adopt(planned.after)
            await follow_up(self._world, run, self._run, but=notice)
        else:
            await self._look()

    async def _renew(self, notice: asyncio.Event) -> None:
        held, until = self._held(), self._world.now() + LEASE_SECONDS
        deadline = next_deadline(decode(self._run.state), self._world.limits)
        wake_at = until if deadline is None else min(until, deadline)
        runs, run = self._world.runs, self._run
        if await runs.renew(run.id, self._fence, run.revision, held, until, wake_at):
            lease = msgspec.structs.replace(held, until=until)
            self._run = msgspec.structs.replace(run, lease=lease, wake_at=wake_at)
            if run.limited:
                await slots.keep(self._world, run, self._run)
        else:
            notice.set()

    async def _look(self) -> None:
        """Adopts the run as stored, which others may have committed into."""
        found = await self._world.runs.read(self._run.id)
        if found is None:
            self._run = msgspec.structs.replace(self._run, lease=None)
            return
        if found.commit_id in self._tried and found.revision > self._run.revision:
            # our settle went through and only its reply was lost
            before = self._run
            self._adopt(found)
            await follow_up(self._world, before, found)
        self._run = found

    def _adopt(self, run: Run) -> None:
        """After a commit of ours: where it opened a turn, the lease is a new one."""
        self._run, self._fence = run, run.fence

    async def _give_back(self) -> None:
        """At shutdown: the lease is cleared and the run is due at once, so that another process goes on."""
        run, now = self._run, self._world.now()
        changes = {
            "revision": run.revision + 1,
            "commit_id": self._world.ids.commit_id(),
            "lease": None,
            "wake_at": now,
            "takeovers": 0,
            "updated_at": now,
        }
        commit = Commit(
            run_id=run.id, revision=run.revision, set=changes, fence=self._fence, lease=run.lease, match_lease=True
        )
        try:
            await self._world.runs.commit(commit)
        except StoreUnavailableError:
            log.warning("a lease could not be given back; it will lapse", run_id=run.id)
