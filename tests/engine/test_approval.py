"""Approvals in the engine: who may vote, what a vote may say, when it decides, and what comes out."""

from __future__ import annotations

from typing import Any

import pytest

from app.engine.ballot import Action, Ballot, Field, Vote
from app.engine.messages import Answer, GivenAnswer, Pause, Resume
from app.engine.state import decode, encode, questions
from app.engine.step import RefusedError, Step
from tests.engine.graphs import BEGIN, Bench, edge, node, source

AMOUNT = {"name": "amount", "type": "number", "required": True, "default": "{{limit}}"}
NOTE = {"name": "note", "type": "paragraph", "max_length": 5}
EURO = {"name": "euro", "type": "select", "options": ["EUR", "{{other}}"], "default": "EUR"}


def decision(**config: Any) -> dict[str, Any]:
    """An approval whose ways out end with its output."""
    ends = [node(name, "end", outputs={name: "{{ok}}"}) for name in ("yes", "no")]
    nodes = [node("start", "start"), node("ok", "approval", **{"message": "Pay {{limit}}?", **config}), *ends]
    return source(nodes, [edge("start", "ok"), edge("ok", "yes", "approve"), edge("ok", "no", "reject")])


def bench(starter: str | None = None, **config: Any) -> Bench:
    return Bench(decision(**config), inputs={"limit": 5, "other": "CHF", "boss": "ann"}, starter=starter)


def vote(run: Bench, value: Any, voter: str | None = None) -> Step:
    pause_id = questions(run.at)[0][2].pause_id
    return run.do(Answer(now=run.now, answers=(GivenAnswer(pause_id, value, "", voter),)))


def refused(run: Bench, value: Any, voter: str | None) -> str:
    before = run.state
    with pytest.raises(RefusedError) as caught:
        vote(run, value, voter)
    assert run.state is before
    return caught.value.code


def ballot(run: Bench) -> Ballot:
    found = questions(run.at)[0][2].ballot
    assert found is not None
    return found


def shown(voter: str | None, action: str, fields: Any = None, reason: str | None = None, at: str = "40") -> Any:
    return {
        "voter": voter,
        "action": action,
        "fields": fields or {},
        "reason": reason,
        "at": f"1970-01-01T00:16:{at}Z",
    }


# ---- the question


def test_an_approval_asks_with_its_texts_rendered() -> None:
    run = bench(
        fields=[AMOUNT, NOTE, EURO],
        actions=[{"id": "approve", "title": "Pay {{limit}}"}, {"id": "reject"}],
        approvers=["{{boss}}", "bob"],
        required_approvals=2,
        forbid_self_approval=True,
    )
    question = questions(run.at)[0][2]
    assert (question.kind, question.prompt, question.schema, question.choices) == ("approval", "Pay 5?", None, ())
    assert question.expires_at == BEGIN + 259_200
    assert question.ballot == Ballot(
        actions=(Action("approve", "Pay 5"), Action("reject", "reject")),
        fields=(
            Field(name="amount", type="number", required=True, default=5),
            Field(name="note", type="paragraph", max_length=5),
            Field(name="euro", type="select", default="EUR", options=("EUR", "CHF")),
        ),
        required=2,
        approvers=("ann", "bob"),
        forbid_self_approval=True,
    )
    (opened,) = run.those("QuestionOpened")
    assert (opened.pause_id, opened.ballot) == ("pause_1", question.ballot)


def test_a_bare_approval_offers_two_actions_to_anybody_for_three_days() -> None:
    run = bench()
    assert ballot(run) == Ballot(actions=(Action("approve", "Approve"), Action("reject", "Reject")))
    assert run.status == "waiting_for_user_input"
    assert bench(expires_in_seconds=0).at.frames[0].visits[0].wait.question.expires_at is None  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"approvers": ["{{boss}}", "ann"], "required_approvals": 2}, "approvers are ['ann'], but it needs 2"),
        ({"approvers": ["{{nothing}}"]}, "approvers are [''], but it needs 1"),
        ({"fields": [{**EURO, "default": "{{boss}}"}]}, "the default of the field 'euro' must be one of"),
        ({"message": "{{nobody}}"}, "nobody"),
    ],
)
def test_what_cannot_be_asked_fails_the_node(config: dict[str, Any], message: str) -> None:
    run = Bench(decision(**config), inputs={"limit": 5, "other": "CHF", "boss": "ann", "nothing": None})
    assert run.status == "failed" and message in (run.at.error or ""), run.at.error


# ---- votes


def test_one_approval_decides_and_its_fields_come_out() -> None:
    run = bench(fields=[AMOUNT, NOTE])
    vote(run, {"action": "approve", "fields": {"note": "fine"}, "reason": "cheap"}, "ann")
    fields = {"amount": 5, "note": "fine"}
    assert run.at.outputs == {
        "yes": {"action": "approve", "fields": fields, "votes": [shown("ann", "approve", fields, "cheap")]}
    }
    assert [type(event).__name__ for event in run.events if "Spoke" in type(event).__name__] == []
    (counted,) = run.those("VoteCast")
    assert (counted.pause_id, counted.voter, counted.action, counted.remaining) == ("pause_1", "ann", "approve", 0)
    assert counted.node_id == "ok"


def test_a_vote_short_of_the_number_is_a_turn_and_leaves_the_same_pause_open() -> None:
    run = bench(required_approvals=3)
    run.now += 1
    made = vote(run, "approve", "ann")
    assert (run.status, run.at.turn, ballot(run).votes) == (
        "waiting_for_user_input",
        2,
        (Vote(voter="ann", action="approve", at=BEGIN + 1),),
    )
    assert [type(event).__name__ for event in made.events] == ["VoteCast", "FramePaused", "TurnEnded", "ReadyForInput"]
    assert made.events[0].remaining == 2  # type: ignore[union-attr]
    assert decode(encode(run.at)) == run.at
    vote(run, "Approve", "bob")
    vote(run, {"action": "Approve"}, None)
    assert [event.remaining for event in run.those("VoteCast")] == [2, 1, 0]
    assert [one["voter"] for one in run.at.outputs["yes"]["votes"]] == ["ann", "bob", None]


def test_any_other_action_decides_at_once_and_earlier_votes_are_kept() -> None:
    run = bench(required_approvals=4)
    vote(run, "approve", "ann")
    vote(run, {"action": "reject", "reason": "no money"}, "bob")
    assert run.at.outputs == {
        "no": {
            "action": "reject",
            "fields": {},
            "votes": [shown("ann", "approve"), shown("bob", "reject", None, "no money")],
        }
    }
    assert [event.remaining for event in run.those("VoteCast")] == [3, 0]


def test_nobody_votes_twice_not_even_for_something_else() -> None:
    run = bench(required_approvals=3)
    vote(run, "approve", "ann")
    assert [refused(run, value, "ann") for value in ("approve", "reject", "nonsense")] == ["already_voted"] * 3
    vote(run, "approve", None)
    assert refused(run, "approve", None) == "already_voted"


def test_only_approvers_vote_and_not_on_a_run_of_their_own() -> None:
    run = bench("ann", approvers=["ann", "bob"], forbid_self_approval=True)
    assert [refused(run, "approve", who) for who in ("eve", None, "ann", "")] == [
        "not_an_approver",
        "not_an_approver",
        "self_approval",
        "not_an_approver",
    ]
    assert refused(run, "reject", "ann") == "self_approval"
    vote(run, "approve", "bob")
    assert run.status == "completed"
    lenient = bench("ann", approvers=["ann"])
    vote(lenient, "approve", "ann")
    assert lenient.status == "completed"


def test_what_is_no_vote_is_refused() -> None:
    run = bench()
    assert [refused(run, value, "ann") for value in ("maybe", {"action": "approve", "fields": {"x": 1}})] == [
        "invalid_answer"
    ] * 2


def test_whoever_is_unknown_is_not_taken_for_the_starter() -> None:
    run = bench(None, forbid_self_approval=True)
    vote(run, "approve", None)
    assert run.status == "completed"


def test_votes_survive_a_pause_and_may_come_with_the_resume() -> None:
    run = bench(required_approvals=3)
    vote(run, "approve", "ann")
    run.do(Pause(now=run.now))
    assert refused(run, "approve", "bob") == "run_paused"
    run.now += 50
    run.do(Resume(now=run.now, answers=(GivenAnswer("pause_1", "approve", "", "bob"),)))
    assert [one.voter for one in ballot(run).votes] == ["ann", "bob"]
    assert questions(run.at)[0][2].expires_at == BEGIN + 259_250


def test_nobody_in_time() -> None:
    failing = bench(expires_in_seconds=60)
    vote_late = GivenAnswer("pause_1", "approve", "", "ann")
    with pytest.raises(RefusedError) as caught:
        failing.do(Answer(now=BEGIN + 60, answers=(vote_late,)))
    assert caught.value.code == "pause_expired"
    failing.wait(60)
    assert (failing.status, failing.at.termination_source, failing.at.error) == (
        "failed",
        "expired",
        "node 'ok' failed: nobody decided in time",
    )
    graph = decision(expires_in_seconds=60, on_expiry="branch", required_approvals=2)
    graph["nodes"].append(node("late", "end", outputs={"late": "{{ok}}"}))
    graph["edges"].append(edge("ok", "late", "expired"))
    run = Bench(graph, inputs={"limit": 5})
    vote(run, "approve", "ann")
    run.wait(60)
    assert (run.at.outputs, run.at.expired) == ({"late": None}, ("pause_1",))
