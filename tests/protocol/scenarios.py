"""Graphs, and what clients do to their runs."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec

from app.engine.values import to_json
from app.ports import StoredVersion, WorkflowHead
from tests.engine.graphs import compiled, edge, line, node, source
from tests.protocol.memory import Memory
from tests.protocol.posts import WORKFLOW, WORKSPACE, Post

Json = dict[str, Any]


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """`before`: the start and so many answers are made in peace; without a start the clients make it (`started` False).
    `scripts`: one for each client. `kinds` of faults: K kill, L lost reply, R refused, D delayed, F frozen, J clock jumps,
    S told to end.
    `faults` bounds their number. `fails`: an effect may fail. `poison`: sending it kills the process.
    `places`: the workflow's limit of concurrent runs. In plays an effect takes `effect_seconds`, and so many `failures`
    come before its success; `heard`: somebody follows the stream of the run, which ends."""

    name: str
    graph: Json
    scripts: tuple[tuple[Post, ...], ...]
    before: int = 0
    started: bool = True
    kinds: str = "KLRDFS"
    faults: int = 2
    ticks: int = 6
    extra: int = 1
    again: int = 1
    processes: int = 2
    fails: bool = False
    poison: bool = False
    places: int | None = None
    effect_seconds: float = 3.0
    failures: int = 0
    heard: bool = False


def keep_workflow(memory: Memory, scenario: Scenario, now: float) -> None:
    """The scenario's graph as the active version of the workflow."""
    memory.heads[WORKFLOW] = WorkflowHead(
        id=WORKFLOW,
        workspace=WORKSPACE,
        number=1,
        handle="wf",
        name=scenario.name,
        active_version=0,
        next_version=1,
        max_concurrent_runs=scenario.places,
        created_at=now,
        updated_at=now,
    )
    memory.versions[WORKFLOW, 0] = StoredVersion(
        workflow=WORKFLOW,
        number=0,
        format="interactive",
        source=to_json(scenario.graph),
        graph_hash=compiled(scenario.graph).hash,
        created_at=now,
    )


def ask(name: str, **config: Any) -> Json:
    return node(name, "ask", prompt=f"{name}?", **config)


def effect(name: str, *, once: bool = True, **config: Any) -> Json:
    return node(name, "probe", once=once, request={"once": once}, **config)


def asks(number: int, **last: Any) -> Json:
    """So many questions, one after the other."""
    names = [f"q{n}" for n in range(1, number + 1)]
    nodes = [ask(name, **(last if name == names[-1] else {})) for name in names]
    return line(*nodes, node("end", "end", outputs={name: "{{" + name + "}}" for name in names}))


def endless() -> Json:
    """One question, over and over."""
    nodes = [node("start", "start"), ask("q1")]
    return source(nodes, [edge("start", "q1"), edge("q1", "q1")])


def between(*branches: tuple[Json, ...], **last: Any) -> Json:
    """A question, then the branches side by side, then another question, then the end."""
    middle = [one for branch in branches for one in branch]
    ends = node("end", "end", outputs={one["id"]: "{{" + one["id"] + "}}" for one in middle})
    nodes = [node("start", "start"), ask("q1"), *middle, node("join", "no_op", join="all"), ask("q2", **last), ends]
    names = [["q1", *(one["id"] for one in branch), "join"] for branch in branches]
    edges = [edge(one, other) for branch in names for one, other in pairwise(branch)]
    return source(nodes, [edge("start", "q1"), *edges, edge("join", "q2"), edge("q2", "end")])


def timer(name: str, seconds: float) -> Json:
    return node(name, "wait", seconds=seconds)


RETRY = {"max_attempts": 3, "delay_seconds": 1, "backoff": 2}
EXPIRING = {"expires_in_seconds": 6, "on_expiry": "branch"}
FAILING = {"expires_in_seconds": 6}

EFFECT = between((effect("e"),))
EFFECT_AND_TIMER = between((effect("e"),), (timer("t", 3), timer("u", 2)), **FAILING)
TIMERS_FIRST = between((effect("e"),), (timer("t", 1), timer("u", 1)))
EFFECT_FIRST = between((effect("e"),), (timer("t", 45),))
TWO_EFFECTS = between((effect("e"),), (effect("f"), effect("g")))
REPLAYABLE = between((effect("e", once=False),), (effect("f"),))
RETRYING = between((effect("e", retry=RETRY),))
AT_START = line(effect("e"), ask("q1"), node("end", "end", outputs={"q1": "{{q1}}"}))
WORKING = line(effect("e"), ask("q1"), effect("f"), ask("q2"), effect("g"), node("end", "end", outputs={}))


def expiring() -> Json:
    """The second question expires, then comes a third."""
    ends = node("end", "end", outputs={"q1": "{{q1}}", "q3": "{{q3}}"})
    nodes = [node("start", "start"), ask("q1"), ask("q2", **EXPIRING), ask("q3"), ends]
    edges = [edge("start", "q1"), edge("q1", "q2"), edge("q2", "q3"), edge("q2", "q3", "expired"), edge("q3", "end")]
    return source(nodes, edges)


def beside() -> Json:
    """An effect beside a question that expires, both before another question."""
    nodes = [node("start", "start"), effect("e"), ask("q1", **EXPIRING), ask("q2"), node("end", "end", outputs={})]
    edges = [edge("start", "e"), edge("start", "q1"), edge("q1", "q2"), edge("q1", "q2", "expired")]
    return source(nodes, [*edges, edge("e", "end"), edge("q2", "end")])


def deciding(**config: Any) -> Json:
    """Two of three must approve, and are told so; then an effect and a question."""
    notify = {"url": "https://mail.example", "method": "POST", "body": "{{pause.links}}"}
    given = {"message": "ok?", "approvers": ["ann", "bob", "cy"], "required_approvals": 2, "notify": notify, **config}
    ends = node("end", "end", outputs={"ok": "{{ok}}", "q": "{{q}}"})
    nodes = [node("start", "start"), node("ok", "approval", **given), effect("e"), ask("q"), ends]
    edges = [edge("ok", "end", "reject"), edge("ok", "e", "approve"), edge("e", "q"), edge("q", "end")]
    return source(nodes, [edge("start", "ok"), *edges])


def vote(voter: str, **more: Any) -> Post:
    return Post(f"vote of {voter}", key=f"k-{voter}", voter=voter, **more)


KEYED, NEXT = Post("a1", key="k1", expected=2), Post("a2", key="k2", expected=3)
PLAIN, OTHER, NAMED = Post("a1", key="k1"), Post("b1"), Post("c1", key="kc", named="pause_1")
STOP, PAUSE, RESUME = Post("stop", "stop", "ks"), Post("pause", "pause", "kp"), Post("resume", "resume", "kr")
PAUSE_TOO = Post("pause2", "pause", "kq")
SAYING = Post("saying", "resume", "kt", says=True)
START, START_TOO = Post("s1", "start", "k0"), Post("s2", "start")
FORK, DELETE = Post("fork", "fork", "kf", turn=2), Post("delete", "delete")
WAITING = Post("w1", key="kw", on_busy="wait")

ALL = [
    Scenario(name="effect", graph=EFFECT, scripts=((KEYED,),)),
    Scenario(name="effect, told at once", graph=EFFECT, scripts=((Post("a1", key="k1", expected=2, wait_seconds=0),),)),
    Scenario(name="timer", graph=EFFECT_AND_TIMER, scripts=((KEYED, NEXT),), ticks=8),
    Scenario(name="contest", graph=EFFECT, scripts=((KEYED,), (OTHER,)), ticks=2),
    Scenario(name="contest of asks", graph=asks(3), scripts=((PLAIN, NEXT), (OTHER,), (NAMED,)), ticks=1),
    Scenario(name="stop", graph=EFFECT, scripts=((KEYED,), (STOP,)), ticks=4),
    Scenario(name="pause", graph=EFFECT_AND_TIMER, scripts=((KEYED,), (PAUSE, RESUME))),
    Scenario(name="held", graph=between((timer("t", 3),)), scripts=((KEYED,), (PAUSE, RESUME)), faults=1),
    Scenario(name="twice", graph=asks(2), scripts=((PAUSE, RESUME), (PAUSE_TOO,), (SAYING,)), ticks=1),
    Scenario(name="deadline", graph=asks(2, **FAILING), scripts=((KEYED, NEXT), (OTHER,)), ticks=8),
    Scenario(
        name="beside", graph=beside(), started=False, ticks=8, scripts=((START, Post("a1", key="k1")), (PAUSE, RESUME))
    ),
    Scenario(
        name="archive",
        graph=endless(),
        before=6,
        ticks=1,
        again=3,
        kinds="LRDF",
        scripts=(
            (Post("a1", key="k1", expected=8), Post("a2", key="k2", expected=9)),
            (Post("b1", key="kb"), Post("b2")),
        ),
    ),
    Scenario(name="two effects", graph=TWO_EFFECTS, scripts=((KEYED,), (PAUSE, RESUME))),
    Scenario(name="replayable", graph=REPLAYABLE, scripts=((KEYED,), (PAUSE, RESUME))),
    Scenario(name="retry", graph=RETRYING, scripts=((KEYED,), (STOP,)), fails=True, ticks=8),
    Scenario(name="delayed", graph=EFFECT, scripts=((PLAIN,), (OTHER,)), kinds="LD", faults=3, ticks=3),
    Scenario(name="poison", graph=EFFECT, scripts=((KEYED,),), kinds="", poison=True, ticks=0),
    Scenario(name="start", graph=AT_START, started=False, scripts=((START, Post("a1", key="k1")), (START,)), places=1),
    Scenario(name="starts", graph=AT_START, started=False, scripts=((START,), (START_TOO,)), places=1, ticks=4),
    Scenario(
        name="places",
        graph=WORKING,
        started=False,
        places=1,
        ticks=2,
        faults=1,
        kinds="LRD",
        scripts=((START, Post("a1", key="k1"), Post("a2", key="k2")), (START_TOO,), (Post("b1"), Post("b2"))),
    ),
    Scenario(
        name="fork",
        graph=asks(3),
        before=1,
        kinds="KLRD",
        scripts=((FORK, Post("resume", "resume", "kr"), Post("a3", key="k3", expected=4)), (Post("b1", key="kb"),)),
    ),
    Scenario(
        name="delete",
        graph=endless(),
        before=6,
        faults=1,
        kinds="KLRD",
        ticks=2,
        scripts=((STOP, DELETE), (Post("b1", key="kb"),)),
    ),
    Scenario(name="waiting", graph=EFFECT, scripts=((KEYED,), (WAITING,)), ticks=4),
    Scenario(
        name="votes", graph=deciding(), scripts=((vote("ann"),), (vote("bob"),), (vote("cy"),)), ticks=2, faults=1
    ),
    Scenario(
        name="notice",
        graph=deciding(expires_in_seconds=6, on_error="branch"),
        started=False,
        ticks=8,
        scripts=((START, vote("ann"), vote("bob")), (PAUSE, RESUME)),
    ),
    Scenario(name="clocks", graph=EFFECT_AND_TIMER, scripts=((KEYED, NEXT),), kinds="KLDJF", faults=3),
    Scenario(
        name="large",
        graph=EFFECT_AND_TIMER,
        faults=6,
        ticks=14,
        extra=4,
        again=3,
        processes=3,
        kinds="KLRDFSJ",
        scripts=((KEYED, NEXT), (OTHER, Post("b2", expected=3)), (PAUSE, RESUME, STOP)),
    ),
]


def _script(*posts: Post) -> tuple[tuple[Post, ...], ...]:
    return ((START, *posts),)


# Played in order and cut at every operation (test_cuts.py); their endings must be as if calm.
GOES_ON, LAST = Post("a1", key="k1", expected=2, wait_seconds=0, patient=False), Post("a2", key="k2", expected=3)
FIRST = Post("a1", key="k1", expected=2, wait_seconds=60)
HELD_LAST = Post("a2", key="k2", expected=4)
PLAYED = [
    Scenario(name="asks", graph=asks(3), started=False, scripts=_script(FIRST, LAST, Post("a3", key="k3", expected=4))),
    Scenario(name="once-effect", graph=EFFECT, started=False, scripts=_script(FIRST, LAST)),
    Scenario(name="effect of the start", graph=AT_START, started=False, scripts=_script(Post("a1", key="k1"))),
    Scenario(name="two in parallel", graph=TWO_EFFECTS, started=False, scripts=_script(FIRST, LAST)),
    Scenario(name="replayable", graph=REPLAYABLE, started=False, scripts=_script(FIRST, LAST)),
    Scenario(
        name="votes",
        graph=deciding(),
        started=False,
        scripts=_script(
            vote("ann", expected=2, wait_seconds=60), vote("bob", named="pause_1"), Post("a", key="k", expected=4)
        ),
    ),
    Scenario(name="retry", graph=RETRYING, started=False, scripts=_script(FIRST, LAST), failures=2),
    Scenario(name="timer", graph=between((timer("t", 3),)), started=False, scripts=_script(FIRST, LAST)),
    Scenario(name="timers first", graph=TIMERS_FIRST, started=False, scripts=_script(FIRST, LAST), effect_seconds=18),
    Scenario(name="effect first", graph=EFFECT_FIRST, started=False, scripts=_script(FIRST, LAST)),
    Scenario(
        name="expiry",
        graph=expiring(),
        started=False,
        scripts=_script(FIRST, Post("a2", key="k2", expected=4, after_seconds=30)),
    ),
    Scenario(name="stop", graph=EFFECT, started=False, scripts=_script(GOES_ON, STOP), effect_seconds=18),
    Scenario(
        name="pause",
        graph=EFFECT,
        started=False,
        scripts=_script(GOES_ON, PAUSE, RESUME, HELD_LAST),
        effect_seconds=18,
    ),
    Scenario(
        name="held", graph=asks(2), started=False, scripts=_script(PAUSE, RESUME, Post("a1", key="k1", expected=4))
    ),
]
BY_NAME = {scenario.name: scenario for scenario in ALL}
