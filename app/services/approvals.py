"""Approvals from outside a dialect: the links of a pause, what a link shows, and a vote by it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from app.engine.ballot import Ballot
from app.engine.state import ExecutorState, Question, decode, questions
from app.engine.values import Value
from app.ports import Run
from app.services.answers import check_open, check_voter
from app.services.errors import ServiceError
from app.services.facts import TurnReply, TurnRequest
from app.services.links import Link, Links
from app.services.turns import Turns
from app.services.world import World

WAIT_SECONDS = 5.0  # for a run that is busy, and for what a vote sets going


class Opened(msgspec.Struct, frozen=True):
    """An open pause as the holder of a link sees it. `voter`: who votes by the link."""

    run: Run
    question: Question
    ballot: Ballot
    voter: str


class Approvals:
    """Raises ServiceError, StoreUnavailableError."""

    def __init__(self, world: World, turns: Turns, links: Links) -> None:
        self._world = world
        self._turns = turns
        self._links = links

    async def links(self, workspace: str, run_id: str, pause_id: str) -> tuple[Run, Sequence[Link]]:
        """Of an open pause that takes votes. Raises not_found, pause_already_answered, pause_expired."""
        run = await self._world.runs.read(run_id)
        if run is None or run.deleted_at or run.workspace != workspace:
            raise ServiceError("not_found", "no such run")
        question, ballot = self._open(decode(run.state), pause_id, run)
        return run, self._links.of(run.id, question.pause_id, ballot.approvers)

    async def look(self, token: str) -> Opened:
        """What may be voted on by a link. Raises not_found for no link of ours, pause_already_answered, pause_expired,
        run_ended, already_voted, self_approval."""
        place = self._links.read(token)
        run = None if place is None else await self._world.runs.read(place.run_id)
        if place is None or run is None or run.deleted_at:
            raise ServiceError("not_found", "there is no such link")
        state = decode(run.state)
        question, ballot = self._open(state, place.pause_id, run)
        voter = place.voter(ballot.approvers)
        if voter is None:
            raise ServiceError("not_found", "there is no such link")
        check_voter([question], voter, state)
        return Opened(run, question, ballot, voter)

    def _open(self, state: ExecutorState, pause_id: str, run: Run) -> tuple[Question, Ballot]:
        if state.ended and pause_id not in state.expired:
            raise ServiceError("run_ended", f"the run has ended: {state.ended}", run_id=run.id)
        try:
            check_open([pause_id], state)
        except ServiceError as error:
            unknown = error.code == "unknown_pause"
            raise ServiceError("not_found" if unknown else error.code, error.message, run_id=run.id) from None
        question = next(question for _, _, question in questions(state) if question.pause_id == pause_id)
        if question.ballot is None:
            raise ServiceError("not_found", f"{pause_id} takes no votes", run_id=run.id)
        now = self._world.now() if state.held_at is None else state.held_at
        if question.expires_at is not None and question.expires_at <= now:
            raise ServiceError("pause_expired", f"{pause_id} has expired", run_id=run.id)
        return question, question.ballot

    async def vote(self, token: str, value: Value) -> TurnReply:
        """A turn that votes as the link's approver. Raises what `look` does, and what an answer may be refused for."""
        opened = await self.look(token)
        pause_id = opened.question.pause_id
        return await self._turns.execute(
            TurnRequest(
                workspace=opened.run.workspace,
                workflow_id=opened.run.workflow_id,
                run_id=opened.run.id,
                answers={pause_id: value},
                voter=opened.voter,
                on_busy="wait",
                wait_seconds=WAIT_SECONDS,
                body_hash=f"link:{pause_id}:{opened.voter}",
            )
        )
