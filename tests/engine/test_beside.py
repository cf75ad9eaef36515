"""Work beside an open question: an approval's notice goes out, the pause stays whatever comes of it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from app.engine.messages import Abort, Answer, EffectFailed, EffectSucceeded, GivenAnswer, Pause, Resume, Stop
from app.engine.state import BackingOff, Effect, Limits, Working, effects, next_deadline, questions, visits
from app.engine.step import RefusedError, Step
from tests.engine.graphs import BEGIN, Bench, edge, line, node, source

NOTIFY = {"url": "https://mail.example/{{pause.id}}", "method": "POST", "body": {"to": "{{pause.links}}"}}
SENT = {"method": "POST", "url": "https://mail.example/pause_1"}


def approval(**config: Any) -> dict[str, Any]:
    given = {"message": "ok?", "notify": NOTIFY, "approvers": ["ann", "bob", "cy"], "required_approvals": 2, **config}
    return node("ok", "approval", **given)


def decision(**config: Any) -> dict[str, Any]:
    ends = [node(name, "end", outputs={"it": name}) for name in ("yes", "no", "late")]
    edges = [edge("start", "ok"), edge("ok", "yes", "approve"), edge("ok", "no", "reject")]
    graph = source([node("start", "start"), approval(**config), *ends], edges)
    if config.get("on_expiry") == "branch":
        graph["edges"].append(edge("ok", "late", "expired"))
    return graph


def vote(run: Bench, voter: str, action: str = "approve") -> Step:
    pause_id = questions(run.at)[0][2].pause_id
    return run.do(Answer(now=run.now, answers=(GivenAnswer(pause_id, action, action, voter),)))


def delivered(run: Bench) -> Step:
    return run.succeed({"status_code": 200, "headers": {}, "body": "thanks", "url": "x", "sent": SENT})


def refuse(run: Bench) -> Step:
    effect = effects(run.at)[0]
    details: dict[str, Any] = {"status_code": 503, "body": "no", "sent": SENT}
    words: dict[str, Any] = {"error_type": "http_status", "error_message": "the server answered 503"}
    return run.do(EffectFailed(now=run.now, effect_id=effect.id, retryable=True, details=details, **words))


def test_the_notice_goes_out_when_the_pause_opens_and_the_turn_closes_when_it_is_sent() -> None:
    run = Bench(decision())
    assert (run.status, len(questions(run.at))) == ("running", 1)
    (effect,) = effects(run.at)
    links = {"type": "LinksRef", "steps": [], "optional": False, "source": "{{pause.links}}"}
    assert effect == Effect(
        id="ok#2.1",
        operation="http",
        once=True,
        timeout_seconds=30.0,
        request={
            "fields": {
                "value": {
                    "url": "https://mail.example/pause_1",
                    "params": {},
                    "headers": {},
                    "body": {"to": "{{pause.links}}"},
                    "auth": {"type": "none"},
                },
                "seals": [{"path": ["body", "to"], "parts": [links]}],
            },
            "method": "POST",
            "body_type": "json",
            "response_format": "auto",
            "follow_redirects": True,
            "fail_on_status": True,
            "pause": {"id": "pause_1", "approvers": ["ann", "bob", "cy"]},
        },
    )
    made = delivered(run)
    assert run.status == "waiting_for_user_input"
    assert [type(event).__name__ for event in made.events] == [
        "HttpRequested",
        "FramePaused",
        "TurnEnded",
        "ReadyForInput",
    ]
    asked = made.events[0]
    assert (asked.url, asked.status_code, asked.body, asked.error) == (SENT["url"], 200, "thanks", None)  # type: ignore[union-attr]
    assert {event.visit for event in run.events if hasattr(event, "visit") and event.node_id == "ok"} == {2}
    assert [visit.number for visit in visits(run.at)] == [2]
    assert run.at.frames[0].last_node_id == "ok"


def test_a_notice_without_links_is_told_no_approvers() -> None:
    run = Bench(decision(notify={"url": "https://x/{{secret.token}}", "timeout_seconds": 7}))
    (effect,) = effects(run.at)
    assert "pause" not in effect.request and effect.timeout_seconds == 7


def test_a_notice_that_fails_is_a_warning_and_the_pause_stays() -> None:
    run = Bench(decision(timeout_seconds=5))
    made = refuse(run)
    assert run.status == "waiting_for_user_input"
    assert [type(event).__name__ for event in made.events][:2] == ["HttpRequested", "Warned"]
    (warned,) = run.those("Warned")
    assert warned.message == "node 'ok': the approvers could not be notified: the server answered 503"
    (asked,) = run.those("HttpRequested")
    assert (asked.status_code, asked.body, asked.error) == (503, "no", "the server answered 503")
    vote(run, "ann")
    vote(run, "bob")
    assert run.at.outputs == {"it": "yes"}


def test_a_notice_that_cannot_be_made_is_a_warning_too() -> None:
    run = Bench(decision(notify={"url": "https://{{nobody}}"}))
    assert (run.status, effects(run.at)) == ("waiting_for_user_input", [])
    (warned,) = run.those("Warned")
    assert warned.message.startswith("node 'ok': the approvers could not be notified: {{nobody}} cannot be read")
    assert run.kinds().index("QuestionOpened") < run.kinds().index("Warned")


def test_nobody_votes_before_the_notice_is_sent() -> None:
    run = Bench(decision())
    with pytest.raises(RefusedError) as caught:
        vote(run, "ann")
    assert caught.value.code == "turn_in_progress"


def test_a_decision_ends_what_is_beside_it() -> None:
    """Another attempt of the notice is still to come."""
    run = Bench(decision())
    run.state = with_next_attempt(run)
    assert (run.status, next_deadline(run.at, Limits())) == ("waiting_for_user_input", BEGIN + 30)
    vote(run, "ann")
    assert len(visits(run.at)) == 2, "a vote short of the number leaves it"
    vote(run, "bob", "reject")
    assert (run.status, visits(run.at), run.at.outputs) == ("completed", [], {"it": "no"})


def test_an_expiry_ends_what_is_beside_it() -> None:
    run = Bench(decision(expires_in_seconds=20, on_expiry="branch"))
    assert run.wait(19).events == ()
    made = run.wait(1)
    assert (run.status, run.at.outputs, made.effects) == ("completed", {"it": "late"}, ())
    late = run.those("NodeFinished")
    assert [event.visit for event in late] == [1, 2, 4]


def with_next_attempt(run: Bench) -> Any:
    """As if its notice were to be repeated in 30 s."""
    frame = run.at.frames[0]
    holder, side = frame.visits
    assert isinstance(side.wait, Working) and side.holder == holder.number
    waiting = replace(side, wait=BackingOff(BEGIN + 30, replace(side.wait.effect, attempt=2)))
    return replace(run.at, frames=(replace(frame, visits=(holder, waiting)),), working_since=None)


def test_an_attempt_to_come_is_made_beside_the_open_question() -> None:
    run = Bench(decision())
    run.state = with_next_attempt(run)
    made = run.wait(30)
    assert [(effect.id, effect.attempt) for effect in made.effects] == [("ok#2.1", 2)]
    assert (run.status, len(questions(run.at))) == ("running", 1)
    delivered(run)
    assert run.status == "waiting_for_user_input"


def test_an_effect_beside_a_question_is_repeated_as_the_node_says_and_its_events_are_the_nodes() -> None:
    run = Bench(line(node("bell", "doorbell", retry={"max_attempts": 2, "delay_seconds": 5})))
    run.fail()
    assert (run.status, next_deadline(run.at, Limits())) == ("waiting_for_user_input", BEGIN + 5)
    (again,) = run.wait(5).effects
    assert (again.id, again.attempt, again.request) == ("bell#2.1", 2, "pause_1")
    run.fail()
    assert (run.status, run.texts(), len(visits(run.at))) == ("waiting_for_user_input", ["timeout!"], 1)
    (retried,) = run.those("NodeRetried")
    assert (retried.visit, retried.attempt, retried.node_id) == (2, 1, "bell")


def test_branches_are_counted_without_what_is_beside_them() -> None:
    nodes = [
        node("start", "start"),
        approval(),
        *(node(name, "ask", prompt="?") for name in "ab"),
        node("fan", "no_op"),
    ]
    edges = [edge("start", "ok"), edge("start", "fan"), edge("fan", "a"), edge("fan", "b")]
    run = Bench(source(nodes, edges), Limits(branches=3))
    assert (run.status, len(visits(run.at)), run.at.error) == ("running", 4, None)


def test_a_pause_waits_for_the_notice_and_what_came_of_it_is_told_after_the_resume() -> None:
    run = Bench(decision())
    run.do(Pause(now=run.now))
    assert (run.status, run.at.pausing) == ("running", True)
    assert delivered(run).events[0].__class__.__name__ == "FramePaused"
    assert run.status == "paused"
    run.now += 10
    made = run.do(Resume(now=run.now))
    assert [type(event).__name__ for event in made.events][:1] == ["HttpRequested"]
    assert (run.status, questions(run.at)[0][2].expires_at) == ("waiting_for_user_input", BEGIN + 259_210)


def test_a_resume_that_decides_drops_what_came_of_the_notice() -> None:
    run = Bench(decision(required_approvals=1))
    run.do(Pause(now=run.now))
    delivered(run)
    run.do(Resume(now=run.now, answers=(GivenAnswer("pause_1", "reject", "", "ann"),)))
    assert (run.status, run.at.outputs, run.those("HttpRequested")) == ("completed", {"it": "no"}, [])


@pytest.mark.parametrize("command", [Stop(now=BEGIN), Abort(now=BEGIN, source="limit", error_message="!")])
def test_an_ended_run_has_nothing_beside_it(command: Any) -> None:
    run = Bench(decision())
    run.do(command)
    assert (run.at.ended is not None, visits(run.at), effects(run.at)) == (True, [], [])
    late = EffectSucceeded(now=BEGIN, effect_id="ok#2.1", result={})
    with pytest.raises(RefusedError):
        run.do(late)


def test_a_notice_is_no_branch_and_keeps_no_join_waiting() -> None:
    nodes = [
        node("start", "start"),
        approval(required_approvals=1),
        node("other", "no_op"),
        node("both", "end", join="all", outputs={"n": 1}),
    ]
    edges = [edge("start", "ok"), edge("start", "other"), edge("ok", "both", "approve"), edge("other", "both")]
    run = Bench(source(nodes, edges), Limits(branches=2))
    assert (run.status, run.at.frames[0].arrivals) == ("running", {"both": 1})
    delivered(run)
    vote(run, "ann")
    assert (run.status, run.at.outputs) == ("completed", {"n": 1})


def test_two_approvals_at_once_have_a_notice_each() -> None:
    graph = line(node("x", "no_op"))
    graph["nodes"] += [{**approval(), "id": "a"}, {**approval(), "id": "b"}]
    graph["edges"] += [edge("x", "a"), edge("x", "b")]
    run = Bench(graph)
    assert [(e.id, e.request["pause"]["id"]) for e in effects(run.at)] == [("a#3.1", "pause_1"), ("b#4.1", "pause_2")]
    run.succeed({"sent": SENT}, which=1)
    assert [e.id for e in effects(run.at)] == ["a#3.1"]
    refuse(run)
    assert run.status == "waiting_for_user_input"
    assert [(event.visit, event.node_id) for event in run.those("HttpRequested")] == [(4, "b"), (3, "a")]


def test_the_turns_time_runs_while_a_notice_is_out() -> None:
    run = Bench(decision(), Limits(turn_seconds=10))
    assert run.at.working_since == BEGIN
    run.wait(10)
    assert (run.status, run.at.termination_source) == ("failed", "limit")
