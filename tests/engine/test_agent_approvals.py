"""An agent's calls that people approve, replace, deny or let expire."""

from __future__ import annotations

from app.engine.state import effects, questions
from tests.engine.agents import CODE, SHY, asked, bench, calls, ids, output, restart, says, vote
from tests.engine.graphs import BEGIN


def test_what_needs_no_approval_runs_while_a_person_is_asked() -> None:
    run = bench(CODE, SHY)
    run.succeed(says("", calls("shy", 1, a=1), calls("add", 2)))
    assert run.status == "running"
    assert ids(run) == [("code", "it#2.2")]
    run.succeed({"output": None, "printed": "x"})
    assert run.status == "waiting_for_user_input"
    (_, visit, question) = questions(run.at)[0]
    assert question.ballot is not None
    assert (question.kind, visit.node_id, question.schema) == ("tool", "it", {"type": "object", "properties": {}})
    ballot = question.ballot
    assert (ballot.tool_name, ballot.tool_call_id, ballot.arguments) == ("shy", "c1", {"a": 1})
    assert [action.id for action in ballot.actions] == ["approve", "deny"]
    assert question.expires_at == BEGIN + 259_200
    restart(run)
    vote(run, "approve")
    assert ids(run) == [("code", "it#2.3")]
    assert [event.tool_call_id for event in run.those("ToolCallStarted")] == ["c2", "c1"]
    run.succeed({"output": 7, "printed": ""})
    assert [message.text for message in asked(run).messages[-2:]] == ["7", "x"]


def test_an_approver_may_replace_the_arguments() -> None:
    run = bench(SHY)
    run.succeed(says("", calls("shy", 1, a=1)))
    vote(run, "approve", arguments={"a": 5})
    assert effects(run.at)[0].request["inputs"] == {"a": 5}
    run.succeed({"output": 1, "printed": ""})
    run.succeed(says())
    assert output(run)["tool_calls"][0]["arguments"] == {"a": 5}


def test_a_denied_call_is_told_with_its_reason() -> None:
    run = bench(SHY)
    run.succeed(says("", calls("shy")))
    vote(run, "deny", reason="too dear")
    assert asked(run).messages[-1].text == "this call was denied: too dear"
    run.succeed(says())
    assert (output(run)["tool_calls"][0]["status"], output(run)["tool_calls"][0]["error"]) == ("denied", "too dear")


def test_a_call_that_nobody_approves_expires() -> None:
    run = bench(SHY, approval_expires_in_seconds=60)
    run.succeed(says("", calls("shy", 1), calls("shy", 2)))
    assert len(questions(run.at)) == 2
    vote(run, "approve", which=1)
    run.succeed({"output": 1, "printed": ""})
    run.wait(60)
    assert [message.text for message in asked(run).messages[-2:]] == ["nobody approved this call in time", "1"]
    run.succeed(says())
    assert [call["status"] for call in output(run)["tool_calls"]] == ["expired", "ok"]


def test_several_pauses_are_answered_in_any_order() -> None:
    run = bench(SHY)
    run.succeed(says("", *(calls("shy", number, a=number) for number in range(3))))
    for which in (2, 0, 0):
        restart(run)
        vote(run, "approve", which)
        run.succeed({"output": effects(run.at)[0].request["inputs"]["a"], "printed": ""})
    assert [message.text for message in asked(run).messages[-3:]] == ["0", "1", "2"]
