"""Stories in which something once went wrong, or would without one line of the protocol, told exactly."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engine.graphs import node
from tests.protocol.op import Op
from tests.protocol.posts import Client, Post
from tests.protocol.scenarios import (
    BY_NAME,
    KEYED,
    OTHER,
    PAUSE,
    RESUME,
    SAYING,
    STOP,
    Scenario as Scene,
    between,
    effect,
    timer,
)
from tests.protocol.story import Story

CHAIN = Scene(name="chain", graph=between((timer("t", 3), effect("e"))), scripts=((KEYED,), (PAUSE,)))


class Telling:
    """A story with two processes, moved by the words of its operations."""

    def __init__(self, scenario: Scene) -> None:
        self.story = Story(scenario)

    def process(self, name: str) -> object:
        return next(process for process in self.story.processes if process.name == name)

    def asks(self, process: str, words: str) -> Op:
        found = [op for op in self.story.desk.ops if op.process.name == process and words in str(op)]
        found.sort(key=lambda op: str(op) != f"{process}: {words}")  # the exact one first
        assert found, f"{process} does not ask to {words}: {[str(op) for op in self.story.desk.ops]}"
        return found[0]

    def does(self, process: str, *words: str) -> None:
        for one in words:
            self.story.happen(self.asks(process, one))

    def carries_out(self, process: str, words: str) -> Op:
        """Its answer is still to come: `answer` it."""
        op = self.asks(process, words)
        self.story.apply(op)
        return op

    def loses(self, process: str, words: str) -> None:
        self.story.lose(self.asks(process, words))

    def late(self, process: str, words: str) -> Op:
        op = self.asks(process, words)
        self.story.delay(op)
        return op

    def answer(self, op: Op) -> None:
        self.story.happen(op)

    def gets(self, process: str, post: Post) -> None:
        clients = self.story.clients
        client = next((one for one in clients if post in one.script), None)
        if client is None:
            client = Client(post.name, (post,), clients[0].run_id)
            clients.append(client)
        self.story.send(client, self.process(process), post)  # type: ignore[arg-type]

    def sweeps(self, process: str) -> None:
        self.story.sweep(self.process(process))  # type: ignore[arg-type]
        self.does(process, "look for what is due")

    def polls(self, process: str) -> None:
        self.story.poll(self.process(process))  # type: ignore[arg-type]
        self.does(process, "poll revisions")

    def goes_on(self, process: str, *, but: tuple[Op, ...] = ()) -> None:
        """Everything that the process asks for happens, but what is held back."""
        while ops := [op for op in self.story.desk.ops if op.process.name == process and op not in but]:
            self.story.happen(ops[0])


@pytest.fixture
def tell() -> Iterator[list[Telling]]:
    """The stories that a test tells; at the end each is let to its end."""
    told: list[Telling] = []
    yield told
    try:
        for telling in told:
            telling.story.conclude()
    finally:
        for telling in told:
            telling.story.close()


def begin(tell: list[Telling], scenario: str | Scene) -> Telling:
    tell.append(Telling(BY_NAME[scenario] if isinstance(scenario, str) else scenario))
    return tell[-1]


def accepted(story: Telling, process: str = "P1") -> None:
    """The answer is in, its effects are about to be performed."""
    story.gets(process, KEYED)
    story.does(process, "read the run", "read the workflow", "commit")


def test_a_claim_that_is_answered_late_does_not_begin_an_effect_again(tell: list[Telling]) -> None:
    story = begin(tell, "effect")
    story.gets("P1", KEYED)
    story.does("P1", "read the run", "read the workflow")
    story.loses("P1", "commit")
    story.story.tick(13)
    story.sweeps("P1")
    while not [op for op in story.story.desk.ops if op.writes]:
        story.does("P1", "read the run")
    claim = story.carries_out("P1", "commit")
    story.goes_on("P1", but=(claim,))
    story.answer(claim)


def test_a_pause_that_is_answered_late_does_not_begin_an_effect_again(tell: list[Telling]) -> None:
    story = begin(tell, "pause")
    accepted(story)
    story.gets("P1", PAUSE)
    story.does("P1", "read the run for pause", "send")
    pause = story.carries_out("P1", "commit on revision 2 for pause")
    story.goes_on("P1", but=(pause,))
    story.answer(pause)


def test_a_question_that_expires_beside_an_effect_opens_a_turn_of_its_own(tell: list[Telling]) -> None:
    story = begin(tell, "beside")
    story.gets("P1", story.story.clients[0].script[0])
    story.does("P1", "read the workflow", "read version", "insert", "send")
    story.story.tick(3)
    story.story.refuse(story.asks("P1", "renew"))
    story.story.tick(0.3)
    story.does("P1", "read the run", "renew")
    story.story.tick(2.8)
    story.does("P1", "result", "commit on revision 1")
    story.story.conclude()
    run = next(iter(story.story.memory.runs.values()))
    assert [turn.cause for turn in run.tail][:2] == ["command", "expiry"]


def test_a_stop_that_comes_while_a_settle_is_answered_is_seen_at_once(tell: list[Telling]) -> None:
    story = begin(tell, "two effects")
    accepted(story)
    story.does("P1", "send of e", "send of f", "result of e")
    settle = story.carries_out("P1", "commit on revision 2")
    story.gets("P2", STOP)
    story.does("P2", "read the run", "read version", "commit")
    story.polls("P1")
    story.answer(settle)
    story.does("P1", "read the run")
    assert not [op for op in story.story.desk.ops if op.kind == "result"]


def test_a_resume_that_answers_aims_at_what_was_open_when_it_was_held(tell: list[Telling]) -> None:
    story = begin(tell, "twice")
    story.gets("P1", PAUSE)
    story.goes_on("P1")
    story.gets("P1", SAYING)
    story.does("P1", "read the run")
    for post in (RESUME, OTHER, Post("pause3", "pause")):
        story.gets("P2", post)
        story.goes_on("P2")
    story.goes_on("P1")
    assert [str(one.outcome) for one in story.story.clients[2].exchanges] == ["pause_already_answered (turn 5)"]


def test_what_comes_between_a_claim_and_its_commit_is_performed_under_the_claim(tell: list[Telling]) -> None:
    story = begin(tell, CHAIN)
    accepted(story)
    story.goes_on("P1")
    story.story.tick(4)
    story.sweeps("P1")
    story.does("P1", "read the run", "commit on revision 2")
    story.gets("P2", PAUSE)
    story.does("P2", "read the run", "read version", "commit on revision 3")
    story.does("P1", "commit on revision 3", "read the run")
    assert story.asks("P1", "send of e")


def test_a_claim_does_not_take_a_lease_that_was_renewed_meanwhile(tell: list[Telling]) -> None:
    story = begin(tell, "effect")
    story.gets("P1", KEYED)
    story.does("P1", "read the run", "read the workflow")
    accept = story.carries_out("P1", "commit")
    story.story.tick(13)
    story.sweeps("P2")
    story.does("P2", "read the run", "read version")
    story.answer(accept)
    story.does("P1", "renew")
    story.does("P2", "commit")
    story.goes_on("P1")


def test_a_renewal_that_is_late_does_not_shorten_a_newer_one(tell: list[Telling]) -> None:
    story = begin(tell, "effect")
    accepted(story)
    story.does("P1", "send")
    story.story.tick(3.1)
    late = story.late("P1", "renew")
    story.story.tick(0.3)
    story.does("P1", "read the run", "renew")
    until = lease_of(story)
    story.story.arrive(late)
    assert lease_of(story) == until


def test_a_renewal_does_not_put_off_a_timer_that_another_set(tell: list[Telling]) -> None:
    story = begin(tell, "timer")
    accepted(story)
    story.does("P1", "send")
    story.story.tick(3.1)
    story.sweeps("P2")
    story.goes_on("P2")
    story.does("P1", "renew")


def test_a_timer_beside_an_effect_leaves_the_lease_to_its_owner(tell: list[Telling]) -> None:
    story = begin(tell, "timer")
    accepted(story)
    story.does("P1", "send")
    before = lease_of(story)
    story.story.tick(2.9)
    story.story.tick(0.1)
    story.sweeps("P2")
    story.goes_on("P2")
    assert lease_of(story) == before


def test_a_command_is_found_by_each_commit_that_it_tried(tell: list[Telling]) -> None:
    story = begin(tell, "delayed")
    story.gets("P1", OTHER)
    story.does("P1", "read the run", "read the workflow")
    late = story.late("P1", "commit")
    story.story.tick(0.3)
    story.does("P1", "read the run", "look for commits", "read the workflow")
    story.late("P1", "commit")
    story.story.arrive(late)
    story.story.tick(0.3)


def test_a_command_that_takes_over_what_was_given_back_tells_the_text_anew(tell: list[Telling]) -> None:
    story = begin(tell, Scene(name="talk", graph=between((node("it", "llm", prompt="hi"),)), scripts=((KEYED,),)))
    accepted(story)
    story.does("P1", "send of it")
    story.story.retire(story.process("P1"))  # type: ignore[arg-type]
    story.does("P1", "commit on revision 2")
    story.gets("P2", PAUSE)
    story.does("P2", "read the run", "read version", "commit on revision 3", "send of it")
    assert list(story.story.watch.tellings.values()) == [2]


def test_a_process_that_leaves_does_not_claim_what_it_has_given_back(tell: list[Telling]) -> None:
    story = begin(tell, "effect")
    accepted(story)
    story.does("P1", "send of e")
    story.story.retire(story.process("P1"))  # type: ignore[arg-type]
    gives_back = story.carries_out("P1", "commit on revision 2")
    story.sweeps("P1")
    while reads := [op for op in story.story.desk.ops if not op.writes]:
        story.answer(reads[0])
    assert [op for op in story.story.desk.ops if op.writes] == [gives_back]


def lease_of(story: Telling) -> object:
    return next(iter(story.story.memory.runs.values())).lease
