"""The protocol as a Hypothesis state machine: what goes wrong is told as the shortest story in which it does."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tests.protocol.moves import Budget, Move, moves
from tests.protocol.scenarios import ALL, Scenario
from tests.protocol.story import Story
from tests.protocol.watch import Violation

WHICH = st.integers(0, 11)


def offered(*names: str) -> object:
    """Only while there is such a move."""
    return precondition(lambda self: bool(self.found(*names)))


class Protocol(RuleBasedStateMachine):
    """Several processes that interleave at every await, with everything that may go wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.story: Story | None = None
        self.moves: list[Move] | None = None

    @initialize(scenario=st.sampled_from(ALL))
    def begin(self, scenario: Scenario) -> None:
        self.story, self.budget = Story(scenario), Budget(scenario)

    def found(self, *names: str) -> list[Move]:
        if self.story is None:
            return []
        if self.moves is None:
            self.moves = [move for move in moves(self.story) if self.budget.allows(move)]
        return [move for move in self.moves if move.name in names]

    def make(self, which: int, *names: str) -> None:
        found = self.found(*names)
        if found:
            move = found[which % len(found)]
            self.budget.pay(move)
            self.moves = None
            self.tell(move.do)

    def tell(self, do: object) -> None:
        try:
            do()  # type: ignore[operator]
        except Violation as fault:
            story, self.story = self.story, None
            assert story is not None, "it is being told"
            story.close()
            raise Violation(f"{story}\n\n{fault}") from fault

    @offered("happen")
    @rule(which=st.lists(WHICH, min_size=1, max_size=5))
    def operations_happen(self, which: list[int]) -> None:
        for one in which:
            self.make(one, "happen")

    @offered("apply")
    @rule(which=WHICH)
    def an_answer_is_on_its_way(self, which: int) -> None:
        self.make(which, "apply")

    @offered("lose", "refuse", "delay", "fail")
    @rule(which=WHICH)
    def an_operation_fails(self, which: int) -> None:
        self.make(which, "lose", "refuse", "delay", "fail")

    @offered("arrive")
    @rule(which=WHICH)
    def a_late_write_arrives(self, which: int) -> None:
        self.make(which, "arrive")

    @offered("send")
    @rule(which=WHICH)
    def a_client_sends(self, which: int) -> None:
        self.make(which, "send")

    @offered("repeat")
    @rule(which=WHICH)
    def a_client_repeats(self, which: int) -> None:
        self.make(which, "repeat")

    @offered("sweep", "poll")
    @rule(which=WHICH)
    def a_process_looks_around(self, which: int) -> None:
        self.make(which, "sweep", "poll")

    @offered("tick")
    @rule(which=WHICH)
    def time_goes_by(self, which: int) -> None:
        self.make(which, "tick")

    @offered("kill", "freeze", "jump", "retire")
    @rule(which=WHICH)
    def a_process_is_hit(self, which: int) -> None:
        self.make(which, "kill", "freeze", "jump", "retire")

    @offered("start", "thaw")
    @rule(which=WHICH)
    def a_process_comes_back(self, which: int) -> None:
        self.make(which, "start", "thaw")

    def teardown(self) -> None:
        if self.story is not None:
            self.tell(self.story.conclude)
            self.story.close()


def test_no_interleaving_of_processes_and_faults_breaks_the_protocol(long_form: bool) -> None:
    run_state_machine_as_test(
        Protocol,
        settings=settings(
            max_examples=20_000 if long_form else 200,
            stateful_step_count=60,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
