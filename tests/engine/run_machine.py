"""What always holds of a run, checked after every step of a Hypothesis state machine."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis.stateful import RuleBasedStateMachine, invariant

from app.engine import messages as said
from app.engine.graph import Graph
from app.engine.messages import AnyCommand, Resume
from app.engine.state import (
    Asking,
    BackingOff,
    Entering,
    ExecutorState,
    Failed,
    Gathering,
    Limits,
    Received,
    Sleeping,
    Working,
    at_rest,
    decode,
    effects,
    encode,
    next_deadline,
    questions,
    status,
    visits,
)
from app.engine.step import RefusedError, Step, step
from tests.engine.graphs import BEGIN, KEY, compiled

LIMITS = Limits(turn_executions=60, node_executions=12, branches=10)
TIGHT = Limits(turn_executions=20, node_executions=4, branches=3, text_bytes=12, output_bytes=60, events_bytes=300)
CLOSINGS = (said.ReadyForInput, said.RunPaused, said.RunFailed, said.RunEnded)


class RunMachine(RuleBasedStateMachine):
    """One run: its commands, steps and events. `announced`: effects that a performer knows of; `succeeded`: that are done."""

    def __init__(self) -> None:
        super().__init__()
        self.now = BEGIN
        self.limits = LIMITS
        self.source: dict[str, Any] = {}
        self.graphs: dict[str, Graph] = {}
        self.history: list[AnyCommand] = []
        self.steps: list[Step] = []
        self.events: list[Any] = []
        self.announced: set[tuple[str, int]] = set()
        self.succeeded: set[str] = set()
        self.state: ExecutorState | None = None

    @property
    def at(self) -> ExecutorState:
        assert self.state is not None
        return self.state

    def do(self, command: AnyCommand) -> Step | None:
        """The step; None: refused, and nothing has changed."""
        before, stored = self.state, encode(self.state) if self.state else b""
        try:
            made = step(self.graphs, before, command, self.limits)
        except RefusedError:
            made = None
        assert self.state is None or encode(self.state) == stored, "a state was changed in its place"
        if made is not None:
            self.history.append(command)
            self.steps.append(made)
            self._follow(before, made)
        return made

    def _follow(self, before: ExecutorState | None, made: Step) -> None:
        self.state = made.state
        self.events += made.events
        in_flight = {(effect.id, effect.attempt) for effect in effects(made.state)}
        fresh = [(effect.id, effect.attempt) for effect in made.effects]
        kept = self.announced & in_flight
        assert sorted(fresh) == sorted(in_flight - kept), "every effect in flight is announced once"
        assert not self.succeeded & {name for name, _ in fresh}, "what has succeeded is not done again"
        self.announced = in_flight
        if before is not None and not before.ended:
            opened = int(at_rest(before) and made.state is not before)
            assert made.state.turn == before.turn + opened
        closed = [event for event in made.events if isinstance(event, said.TurnEnded)]
        assert [event.turn for event in closed] == (
            [made.state.turn] if at_rest(made.state) and made.state is not before else []
        )

    # ---- what always holds

    @invariant()
    def events_are_numbered_without_holes(self) -> None:
        assert [event.seq for event in self.events] == list(range(1, len(self.events) + 1))
        assert self.at.next_seq == len(self.events) + 1

    @invariant()
    def the_state_survives_storage(self) -> None:
        assert decode(encode(self.at)) == self.at

    @invariant()
    def the_derived_facts_agree(self) -> None:
        state = self.at
        word = status(state)
        assert at_rest(state) == (word != "running")
        assert (state.ended is not None) == (word in ("completed", "failed", "cancelled", "aborted_looping_risk"))
        assert not (at_rest(state) and effects(state))
        if at_rest(state) or self.steps[-1].events:
            assert isinstance(self.events[-1], CLOSINGS) == at_rest(state)
        if state.ended or state.held_at is not None:
            assert (effects(state), next_deadline(state, self.limits), state.working_since) == ([], None, None)
        if word == "waiting_for_user_input":
            assert questions(state)
        if state.pausing:
            assert any(effect.once for effect in effects(state))
        assert (state.working_since is not None) == bool(effects(state))

    @invariant()
    def something_can_move(self) -> None:
        waits = [visit.wait for visit in visits(self.at)]
        if self.at.ended:
            assert not waits
        elif self.at.held_at is not None:
            assert not any(isinstance(wait, Working) and wait.effect.once for wait in waits)
            assert waits
        elif self.at.pausing:
            assert waits
        else:
            assert any(isinstance(wait, Working | Sleeping | BackingOff | Asking) for wait in waits)
            assert not any(isinstance(wait, Entering | Received | Failed) for wait in waits)

    @invariant()
    def tokens_wait_only_where_all_are_awaited(self) -> None:
        graph = self.graphs[KEY]
        for frame in self.at.frames:
            numbers = [visit.number for visit in frame.visits]
            assert numbers == sorted(set(numbers)) and all(number < self.at.next_visit for number in numbers)
            for node_id, tokens in frame.arrivals.items():
                assert graph.nodes[node_id].join == "all" and tokens > 0
                if not self.at.held_at and not self.at.pausing:
                    before = graph.ancestors(node_id)
                    assert any(v.node_id in before for v in frame.visits) or before & frame.arrivals.keys()

    @invariant()
    def every_visit_begins_and_ends_once(self) -> None:
        begun = [event.visit for event in self.events if isinstance(event, said.NodeStarted)]
        ended = [event.visit for event in self.events if isinstance(event, said.NodeFinished)]
        assert len(begun) == len(set(begun)) and len(ended) == len(set(ended)) and set(ended) <= set(begun)
        open_visits = {visit.number for visit in visits(self.at) if visit.holder is None}
        assert self.at.ended or open_visits - set(begun) == self._not_entered()
        assert self.at.ended or set(begun) - set(ended) == open_visits & set(begun)

    @invariant()
    def what_is_beside_a_visit_goes_with_it(self) -> None:
        for frame in self.at.frames:
            holders = {visit.number: visit for visit in frame.visits if visit.holder is None}
            for visit in frame.visits:
                if visit.holder is not None:
                    holder = holders[visit.holder]
                    assert (holder.number < visit.number, holder.node_id) == (True, visit.node_id)
                    quiet = not (self.at.pausing or self.at.held_at)
                    assert isinstance(visit.wait, Working | BackingOff | Asking) or not quiet
                    assert isinstance(visit.wait, Working | BackingOff | Asking | Received | Failed)
                    assert isinstance(holder.wait, Asking if visit.part is None else Gathering) or not quiet
                    assert isinstance(holder.wait, Gathering) or visit.part is None

    @invariant()
    def who_gathers_has_parts_under_way(self) -> None:
        for frame in self.at.frames:
            for visit in frame.visits:
                parts = [one.part for one in frame.visits if one.holder == visit.number and one.part is not None]
                assert len(parts) == len(set(parts))
                assert isinstance(visit.wait, Gathering) == bool(parts)

    @invariant()
    def every_call_of_a_tool_is_made_and_ends_once(self) -> None:
        started = [event.tool_call_id for event in self.events if isinstance(event, said.ToolCallStarted)]
        finished = [event.tool_call_id for event in self.events if isinstance(event, said.ToolCallFinished)]
        assert len(started) == len(set(started)) and len(finished) == len(set(finished))
        denied = [event for event in self.events if isinstance(event, said.ToolCallFinished)]
        assert not {one.tool_call_id for one in denied if one.status in ("denied", "expired")} & {*started}

    @invariant()
    def every_call_of_a_model_ends_once(self) -> None:
        begun = [event.seq for event in self.events if isinstance(event, said.ModelCalled)]
        ended = [event.call_seq for event in self.events if isinstance(event, said.ModelReplied | said.ModelFailed)]
        assert len(ended) == len(set(ended)) and set(ended) <= set(begun)
        waiting = {effect.seq for effect in effects(self.at) if effect.seq is not None}
        assert waiting <= set(begun) - set(ended)

    @invariant()
    def votes_are_by_distinct_voters_and_too_few(self) -> None:
        for _, _, question in questions(self.at):
            if (ballot := question.ballot) is not None:
                voters = [vote.voter for vote in ballot.votes]
                assert len(voters) == len(set(voters)) < ballot.required
                assert not ballot.approvers or set(voters) <= {*ballot.approvers}
                assert not ballot.forbid_self_approval or self.at.origin.starter not in voters

    def _not_entered(self) -> set[int]:
        """Tokens that have arrived while the run was about to be held."""
        waiting = [visit for visit in visits(self.at) if isinstance(visit.wait, Entering) and not visit.failures]
        return {visit.number for visit in waiting}

    @invariant()
    def no_token_is_lost_or_doubled(self) -> None:
        """Every edge taken is one visit, or waits at a join that uses up all that wait there."""
        waiting: dict[str, int] = {}
        joins = {node.id for node in self.graphs[KEY].nodes.values() if node.join == "all"}
        for event in self.events:
            if isinstance(event, said.EdgeTaken):
                waiting[event.target] = waiting.get(event.target, 0) + 1
            elif isinstance(event, said.NodeStarted) and event.visit > 1:
                assert waiting[event.node_id] > 0
                waiting[event.node_id] = 0 if event.node_id in joins else waiting[event.node_id] - 1
        if not self.at.ended:
            entering = [visit.node_id for visit in visits(self.at) if visit.number in self._not_entered()]
            arrivals = self.at.frames[0].arrivals
            assert {name: number for name, number in waiting.items() if number} == {
                **arrivals,
                **{name: entering.count(name) for name in entering},
            }

    @invariant()
    def executions_are_counted(self) -> None:
        turns: list[int] = [0]
        for event in self.events:
            turns[-1] += isinstance(event, said.NodeStarted)
            if isinstance(event, said.TurnEnded):
                assert event.executions in (turns[-1], turns[-1] + (self.at.ended == "aborted_looping_risk"))
                turns.append(0)
        assert max(turns) <= self.limits.turn_executions
        assert not self.at.since_input or max(self.at.since_input.values()) <= self.limits.node_executions + 1

    def teardown(self) -> None:
        """The same commands give the same states and events, also when every state comes from storage."""
        if self.state is None:
            return
        graphs_again, state = {KEY: compiled(copy.deepcopy(self.source))}, None
        for command, made in zip(self.history, self.steps, strict=True):
            again = step(graphs_again, decode(encode(state)) if state else None, command, self.limits)
            assert again == made
            state = again.state
        if state is not None and state.ended:
            with pytest.raises(RefusedError, match="has ended"):
                step(self.graphs, state, Resume(now=self.now), self.limits)
