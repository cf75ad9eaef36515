"""Any graph, any commands, in any order: `run_machine` says what always holds."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from app.engine.ballot import bar
from app.engine.messages import (
    Abort,
    Answer,
    AnyCommand,
    DeadlinePassed,
    EffectFailed,
    EffectSucceeded,
    GivenAnswer,
    Pause,
    Resume,
    Start,
    Stop,
)
from app.engine.state import Limits, Question, effects, next_deadline, questions, status
from app.engine.step import Step, is_due
from tests.engine.graphs import BEGIN, KEY, RUN, WORKFLOW, compiled
from tests.engine.outside import result_of
from tests.engine.probe import AGAIN, KINDS
from tests.engine.run_machine import LIMITS, TIGHT, RunMachine
from tests.engine.strategies import examples, graphs, json_values

seconds = st.sampled_from([*[0] * 8, *[1, 10, 60] * 3, -5, 301])
WORKING = ("agent", "llm", "code", "template", "http", "ask", "end")
ENDLESS = Limits(turn_seconds=1e9)


class AnyRun(RunMachine):
    """Commands that are in order, and commands that are not."""

    @initialize(
        graph=graphs(),
        values=st.dictionaries(st.sampled_from("av"), json_values),
        message=st.none() | st.just("hi"),
        limits=st.sampled_from([LIMITS, LIMITS, LIMITS, TIGHT]),
    )
    def start(self, graph: dict[str, Any], values: dict[str, Any], message: str | None, limits: Limits) -> None:
        self.begin(graph, values, message, limits)

    def begin(self, graph: dict[str, Any], values: dict[str, Any], message: str | None, limits: Limits) -> None:
        self.source, self.limits = graph, limits
        self.graphs = {KEY: compiled(graph)}
        words: dict[str, Any] = {"run_id": RUN, "workflow_id": WORKFLOW, "version": 0, "user": "u", "message": message}
        words["starter"] = "u"
        self.do(Start(now=BEGIN, inputs=values, variables=values, **words))

    # ---- what is in order

    @rule(passing=seconds, value=json_values, which=st.integers(0, 3), several=st.booleans())
    @precondition(lambda self: status(self.at) == "waiting_for_user_input")
    def answer(self, passing: int, value: Any, which: int, several: bool) -> None:
        self.now += passing
        before = questions(self.at)
        made = self.do(Answer(now=self.now, answers=self._fitting(value, which, several), variables={"w": value}))
        if made is None:
            assert any(q.expires_at is not None and q.expires_at <= self.now for _, _, q in before)
        else:
            assert made.state.frames[0].variables["w"] == value or made.state.ended

    def _fitting(self, value: Any, which: int, several: bool) -> tuple[GivenAnswer, ...]:
        opened = [question for _, _, question in questions(self.at)]
        wanted = opened if several else [opened[which % len(opened)]]
        return tuple(self._fit(question, value, which) for question in wanted)

    def _fit(self, question: Question, value: Any, which: int) -> GivenAnswer:
        if question.ballot is None:
            given = question.choices[which % len(question.choices)].id if question.choices else value
            return GivenAnswer(question.pause_id, given, "text")
        ballot = question.ballot
        fields = {field.name: which for field in ballot.fields}
        vote: dict[str, Any] = {"action": ballot.actions[which == 3].id, "fields": fields}
        if ballot.tool_name is not None and which == 1:
            vote["arguments"] = {"q": value}
        voters = [v for v in ballot.approvers or ("x", None, "y", "z") if bar(ballot, v, "u") is None]
        return GivenAnswer(question.pause_id, vote, "text", voters[which % len(voters)])

    @rule(
        passing=seconds,
        which=st.integers(0, 5),
        outcome=st.sampled_from([AGAIN, AGAIN, "done", None, "fail", "retry", "retry"]),
    )
    @precondition(lambda self: bool(effects(self.at)))
    def settle(self, passing: int, which: int, outcome: str | None) -> None:
        self.bring(passing, which, outcome)

    def bring(self, passing: int, which: int, outcome: str | None) -> None:
        self.now += passing
        effect = effects(self.at)[which % len(effects(self.at))]
        attempt = effect.attempt if which % 2 else None
        made = self.do(self._settled(effect.id, outcome, attempt, result_of(effect, outcome, which)))
        assert made is not None and (effect.id, effect.attempt) not in self.announced
        if outcome not in ("fail", "retry"):
            self.succeeded.add(effect.id)

    def _settled(
        self, effect_id: str, outcome: str | None, attempt: int | None, result: Any = None
    ) -> EffectSucceeded | EffectFailed:
        if outcome not in ("fail", "retry"):
            return EffectSucceeded(now=self.now, effect_id=effect_id, attempt=attempt, result=result)
        return EffectFailed(
            now=self.now,
            effect_id=effect_id,
            attempt=attempt,
            error_type="timeout",
            error_message="too late",
            retryable=outcome == "retry",
        )

    @rule()
    @precondition(lambda self: (next_deadline(self.at, ENDLESS) or 1e9) < 1e9)
    def wait_for_the_next_deadline(self) -> None:
        self.now = max(self.now, next_deadline(self.at, ENDLESS) or 0.0)
        made = self.do(DeadlinePassed(now=self.now))
        assert made is not None and made.state != self.steps[-2].state
        assert not is_due(made.state, self.now, self.limits), "what is due fires at once"

    @rule(passing=seconds)
    @precondition(lambda self: not self.at.ended)
    def let_time_go_by(self, passing: int) -> None:
        self.now += passing
        before, due = self.at, is_due(self.at, self.now, self.limits)
        made = self.do(DeadlinePassed(now=self.now))
        assert made is None or due == (made.state is not before)

    @rule(passing=seconds)
    @precondition(lambda self: not self.at.ended)
    def pause(self, passing: int) -> None:
        self.now += passing
        refused = self.at.held_at is not None or self.at.pausing
        once = any(effect.once for effect in effects(self.at))
        made = self.do(Pause(now=self.now))
        assert (made is None) == refused
        if made is not None and not made.state.ended:  # it may have been out of time
            assert (made.state.pausing, made.state.held_at is not None) == (once, not once)

    @rule(passing=seconds, value=json_values, which=st.integers(0, 3), answers=st.booleans())
    @precondition(lambda self: self.at.held_at is not None)
    def resume(self, passing: int, value: Any, which: int, answers: bool) -> None:
        self.now += passing
        given = self._fitting(value, which, False) if answers and questions(self.at) else ()
        late = [q for _, _, q in questions(self.at) if given and q.pause_id == given[0].pause_id and self._is_late(q)]
        made = self.do(Resume(now=self.now, answers=given))
        assert (made is None) == bool(late)
        if made is not None:
            assert made.state.held_at is None and not is_due(made.state, self.now, self.limits)

    def _is_late(self, question: Question) -> bool:
        """It had expired when the run was held. A clock that was put back since then makes it open again."""
        return question.expires_at is not None and question.expires_at <= min(self.now, self.at.held_at or 0.0)

    # ---- what is not

    @rule(
        wrong=st.sampled_from(["answer", "choice", "resume", "twice", "none", "done", "retry"]), which=st.integers(1, 9)
    )
    def command_wrongly(self, wrong: str, which: int) -> None:
        """Refused, or idle; nothing changes."""
        before = self.at
        command: AnyCommand = self._settled(f"n{which % 7}#{which}.9", wrong, None)
        if wrong not in ("done", "retry"):
            make = Resume if wrong == "resume" else Answer
            command = make(now=self.now, answers=self._wrong_answers(which)[wrong])
        made = self.do(command)
        assert made is None or (made == Step(before, (), ()) and wrong in ("done", "retry"))
        for effect in effects(self.at):
            assert self.do(self._settled(effect.id, wrong, effect.attempt + 1)) == Step(before, (), ())

    def _wrong_answers(self, which: int) -> dict[str, tuple[GivenAnswer, ...]]:
        opened = [question for _, _, question in questions(self.at)]
        chosen = next((q.pause_id for q in opened if q.choices or q.ballot), "pause_0")
        mine = opened[0].pause_id if opened else "pause_0"
        never = (GivenAnswer(f"pause_{which}000", 1, "1"),)
        return {
            "answer": never,
            "resume": never,
            "choice": (GivenAnswer(chosen, "neither", "neither"),),
            "twice": (GivenAnswer(mine, "yes", "yes"), GivenAnswer(mine, "no", "no")),
            "none": (),
        }

    @rule(
        command=st.sampled_from([Stop(now=0.0), Abort(now=0.0, source="limit", error_message="!")]), lacks=st.booleans()
    )
    @precondition(lambda self: len(self.history) > 12 or self.at.ended)
    def end(self, command: Stop | Abort, lacks: bool) -> None:
        """Also when the graph is gone."""
        graphs, before = self.graphs, self.at
        self.graphs = {} if lacks else graphs
        made = self.do(command)
        self.graphs = graphs
        assert (made is None) == (before.ended is not None)
        if made is not None:
            assert made.state.ended == ("cancelled" if isinstance(command, Stop) else "failed")


class AnyAgent(AnyRun):
    """The same with an agent in front, and others of the kinds that work outside behind it."""

    @initialize(
        graph=graphs({kind: KINDS[kind] for kind in WORKING}, "agent"),
        values=st.dictionaries(st.sampled_from("av"), json_values),
        message=st.none() | st.just("hi"),
        limits=st.just(LIMITS),
    )
    def start(self, graph: dict[str, Any], values: dict[str, Any], message: str | None, limits: Limits) -> None:
        self.begin(graph, values, message, limits)

    @rule(which=st.integers(0, 5), outcome=st.sampled_from([AGAIN, AGAIN, "done"]), steps=st.integers(1, 6))
    def go_on_well(self, which: int, outcome: str, steps: int) -> None:
        """Several effects and votes in a row, none of which goes wrong."""
        for number in range(which, which + steps):
            if effects(self.at):
                self.bring(0, number % 6, outcome)
            elif status(self.at) == "waiting_for_user_input":
                self.do(Answer(now=self.now, answers=self._fitting("hm", number, False)))


AnyRun.TestCase.settings = examples(150, stateful_step_count=40)
AnyAgent.TestCase.settings = examples(400, stateful_step_count=40)
TestAnyRun, TestAnyAgent = AnyRun.TestCase, AnyAgent.TestCase
