"""Records the histories anew: `python -m tests.engine.record`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.engine.messages import Abort, Answer, EffectSucceeded, GivenAnswer, Pause, Resume, Stop
from app.engine.state import Limits
from tests.engine.graphs import edge, fan, line, node, source
from tests.engine.history import FOLDER, Recorder, write


def ask_and_answer() -> Recorder:
    """A question, its answer in a text, and the output."""
    ask = node("ask", "ask", prompt="Who are you, {{title}}?", output="name", schema={"type": "string"})
    say = node("say", "message", text="Hello, [[name]]! It is turn {{sys.turn_number}}.")
    run = Recorder(
        line(ask, say, node("end", "end", outputs={"greeting": "{{say.text}}", "n": "{{n}}"})),
        inputs={"title": "Dr.", "n": 2**100},
        message="hi",
        user="eve",
    )
    run.now += 60
    run.try_(Answer(now=run.now, answers=(GivenAnswer("pause_2", "x", "x"),)))
    run.answer("Ada")
    run.try_(Stop(now=run.now))
    return run


def choices() -> Recorder:
    """A choice that branches, and one that does not."""
    first = node("first", "ask", prompt="Go on?", choices=["yes", {"id": "no", "title": "No!"}], branch_on_choice=True)
    second = node("second", "ask", prompt="Which?", choices=["a", "[[v]]"], output="chosen")
    nodes = [node("start", "start"), first, second, node("end", "end", outputs={"chosen": "[[chosen]]"})]
    edges = [edge("start", "first"), edge("first", "second", "yes"), edge("second", "end")]
    run = Recorder(source(nodes, edges), variables={"v": "b"})
    run.try_(Answer(now=run.now, answers=(GivenAnswer("pause_1", "maybe", "maybe"),)))
    run.answer("yes")
    run.answer("b")
    return run


def branches_and_joins() -> Recorder:
    """Three branches: one waits, one dies, one is done; a join for all of them, and one for any."""
    nodes = [
        node("start", "start"),
        node("ask", "ask", prompt="?"),
        node("dies", "condition", cases=[{"handle": "go", "expression": "is_present(nothing)"}]),
        node("done", "no_op", output={"x": 1}),
        node("all", "message", text="all", join="all"),
        node("any", "message", text="any"),
    ]
    pairs = [("start", "ask"), ("start", "dies"), ("start", "done"), ("ask", "all"), ("done", "all"), ("ask", "any")]
    edges = [edge(*pair) for pair in pairs]
    run = Recorder(source(nodes, [*edges, edge("done", "any"), edge("dies", "all", "go")]))
    run.answer({"deep": [1, None]})
    return run


def cycle() -> Recorder:
    """Asks until the answer is stop."""
    nodes = [
        node("start", "start"),
        node("ask", "ask", prompt="More? [[v]]", output="v"),
        node("check", "condition", cases=[{"handle": "more", "expression": "[[v]] != 'stop' and length([[v]]) > 0"}]),
        node("show", "show_state"),
        node("end", "end", outputs={"last": "[[v]]"}),
    ]
    edges = [edge("start", "ask"), edge("ask", "check"), edge("check", "show", "more"), edge("show", "ask")]
    run = Recorder(source(nodes, [*edges, edge("check", "end", "else")]), variables={"v": ""})
    for answer in ("a", "b", "stop"):
        run.now += 10
        run.answer(answer)
    return run


def retries_and_timers() -> Recorder:
    """Back-off of an effect and of a node, a delay and a wait, all in one turn."""
    retry = {"max_attempts": 3, "delay_seconds": 2, "backoff": 2}
    run = Recorder(
        line(
            node("work", "probe", request={"q": "{{a}}"}, retry=retry, timeout_seconds=7),
            node("flaky", "no_op", simulate_failure=1, delay_seconds=1, retry=retry, output="ok"),
            node("nap", "wait", seconds=90),
            node("end", "end", outputs={"work": "{{work}}", "until": "{{nap.waited_until}}"}),
        ),
        inputs={"a": [1]},
    )
    run.fail()
    run.wait(1)
    run.wait(1)
    run.fail()
    run.wait(4)
    run.succeed("again")
    run.do(EffectSucceeded(now=run.now, effect_id="work#2.1", result="late"))
    run.succeed({"result": 2**70})
    for seconds in (1, 2, 1, 90):
        run.wait(seconds)
    return run


def expiry() -> Recorder:
    """A question expires by its own way, the next one fails the run."""
    first = node("first", "ask", prompt="?", expires_in_seconds=10, on_expiry="branch")
    second = node("second", "ask", prompt="??", expires_in_seconds=100)
    run = Recorder(
        source([node("start", "start"), first, second], [edge("start", "first"), edge("first", "second", "expired")])
    )
    run.wait(9)
    run.wait(1)
    run.now += 100
    run.try_(Answer(now=run.now, answers=(GivenAnswer("pause_2", "late", "late"),)))
    run.wait(0)
    return run


def pause_and_resume() -> Recorder:
    """Held once the once-effect has settled; the replayable one runs again; clocks go on where they stood."""
    nodes = node("once", "probe"), node("replayable", "probe", once=False), node("nap", "wait", seconds=60)
    run = Recorder(
        fan(*nodes, node("ask", "ask", prompt="?", expires_in_seconds=100), then=node("end", "end", join="all"))
    )
    run.now += 10
    run.do(Pause(now=run.now))
    run.try_(Pause(now=run.now))
    run.succeed("done")
    run.try_(Answer(now=run.now, answers=(GivenAnswer("pause_1", "x", "x"),)))
    run.wait(1_000)
    run.do(Resume(now=run.now, variables={"v": 1}))
    run.succeed("done", which=0)
    run.do(Pause(now=run.now))
    run.now += 10
    run.do(Resume(now=run.now, answers=(GivenAnswer("pause_1", "yes", "yes"),)))
    run.wait(50)
    return run


def stop_at_work() -> Recorder:
    """Stopped while an effect is in flight and a question is open."""
    run = Recorder(fan(node("work", "probe"), node("ask", "ask", prompt="?")))
    run.now += 1
    run.do(Stop(now=run.now))
    run.try_(EffectSucceeded(now=run.now, effect_id="work#2.1", result="late"))
    return run


def failures() -> Recorder:
    """Caught by a branch, replaced by a default, and at last not caught."""
    nodes = [
        node("start", "start"),
        node("branch", "probe", on_error="branch"),
        node(
            "default", "message", text="{{nobody}}", on_error="default", default_output={"why": "{{branch.error_type}}"}
        ),
        node("fails", "set", values={"a": "{{default.what}}"}),
    ]
    edges = [edge("start", "branch"), edge("branch", "default", "error"), edge("default", "fails")]
    run = Recorder(source(nodes, edges))
    run.fail("http_status", retryable=True)
    return run


def loop_guard() -> Recorder:
    """A circle that nobody stops."""
    nodes = [node("start", "start"), node("a", "no_op"), node("b", "set", values={"n": "{{sys.turn_number}}"})]
    return Recorder(source(nodes, [edge("start", "a"), edge("a", "b"), edge("b", "a")]), Limits(node_executions=4))


def two_questions() -> Recorder:
    """Two questions open, answered singly; then two more, answered together."""
    nodes = [node("start", "start"), *(node(name, "ask", prompt=f"{name}?", output=name) for name in "abcd")]
    nodes.insert(3, node("join", "no_op", join="all"))
    nodes.append(node("end", "end", join="all", outputs={name: f"[[{name}]]" for name in "abcd"}))
    pairs = ["start a", "start b", "a join", "b join", "join c", "join d", "c end", "d end"]
    run = Recorder(source(nodes, [edge(*pair.split()) for pair in pairs]))
    run.answer("B", which=1)
    run.answer("A")
    both = (GivenAnswer("pause_4", 4, "4"), GivenAnswer("pause_3", None, ""))
    run.do(Answer(now=run.now, answers=both, variables={"c": "overwritten"}))
    return run


def limits() -> Recorder:
    """Out of time in one turn."""
    run = Recorder(line(node("work", "probe"), node("more", "probe")), Limits(turn_seconds=10))
    run.now += 6
    run.succeed()
    run.wait(3)
    run.wait(1)
    return run


def aborted() -> Recorder:
    """Failed from outside while it waited."""
    run = Recorder(line(node("ask", "ask", prompt="?")))
    run.do(Abort(now=run.now + 1, source="stale_run_reaper", error_message="every process that took this run died"))
    return run


def votes() -> Recorder:
    """Two of three must approve: the notice fails, a vote is short of the number, two are barred, one decides."""
    notify = {"url": "https://mail.example/{{pause.id}}", "method": "POST", "body": ["{{pause.links}}", "{{secret.k}}"]}
    fields = [{"name": "n", "type": "number", "default": "{{n}}"}]
    given = {"message": "{{n}}?", "approvers": ["a", "b", "c"], "required_approvals": 2, "fields": fields}
    ok = node("ok", "approval", **given, notify=notify, forbid_self_approval=True)
    nodes = [node("start", "start"), ok, node("end", "end", outputs={"ok": "{{ok}}"})]
    edges = [edge("start", "ok"), edge("ok", "end", "approve"), edge("ok", "end", "reject")]
    run = Recorder(source(nodes, edges), inputs={"n": 5}, starter="c")
    run.fail("http_status", retryable=True)
    for voter in "aacdb":
        run.now += 1
        vote = GivenAnswer("pause_1", {"action": "approve", "reason": voter}, "", voter)
        run.try_(Answer(now=run.now, answers=(vote,)))
    return run


SCENARIOS: list[Callable[[], Recorder]] = [
    ask_and_answer,
    choices,
    branches_and_joins,
    cycle,
    retries_and_timers,
    expiry,
    pause_and_resume,
    stop_at_work,
    failures,
    loop_guard,
    two_questions,
    limits,
    aborted,
    votes,
]


def main() -> None:
    for scenario in SCENARIOS:
        about: Any = scenario.__doc__
        write(FOLDER / f"{scenario.__name__}.json", scenario().history(about))


if __name__ == "__main__":
    main()
