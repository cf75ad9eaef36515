"""What clients post, and what they make of the replies: a keyed command is repeated until it is answered."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from app.engine.state import questions, status
from app.engine.values import to_json
from app.services.facts import TurnFacts, TurnRequest
from app.services.runs import RunRecord

WORKSPACE = "0123456789abcdef01234567"
WORKFLOW = "76543210fedcba9876543210"
BUSY = ("turn_in_progress", "limit_reached", "unavailable")
Kind = Literal["start", "answer", "stop", "pause", "resume", "fork", "delete"]


class Post(msgspec.Struct, frozen=True):
    """One request. `name` is its body and unlike any other's; `named`: the pause that it names; `says`: a resume that
    answers too; `turn`: of a fork, after which its client goes on with the new run; `patient`: a 202 is not enough;
    `after_seconds`: it is not sent earlier; `voter`: it is a vote of his, for."""

    name: str
    kind: Kind = "answer"
    key: str | None = None
    expected: int | None = None
    named: str | None = None
    says: bool = False
    on_busy: str = "reject"
    wait_seconds: float = 5.0
    turn: int = 1
    patient: bool = True
    after_seconds: float = 0
    voter: str | None = None

    @property
    def answers(self) -> bool:
        return self.kind == "answer" or self.says

    @property
    def repeatable(self) -> bool:
        """May it be sent again without being applied twice?"""
        return self.key is not None or self.expected is not None or self.kind == "delete"

    @property
    def bound(self) -> bool:
        """Does the refusal of one try bind the others? With a key alone it does not (turns_model.py, FIX 3)."""
        return self.key is None or self.expected is not None or self.named is not None

    def request(self, run_id: str | None) -> TurnRequest:
        given = self.name if self.answers else None
        given = given if self.voter is None else "approve"
        return TurnRequest(
            workspace=WORKSPACE,
            workflow_id=WORKFLOW,
            run_id=None if self.kind == "start" else run_id,
            command=None if self.kind == "answer" else self.kind,
            answer_given=given is not None and self.named is None,
            answer=given if self.named is None else None,
            answer_text=given if self.named is None else None,
            answers={self.named: given} if self.named is not None else None,
            expected_turn=self.expected,
            on_busy=self.on_busy,
            wait_seconds=self.wait_seconds,
            key=self.key,
            body_hash=self.name,
            voter=self.voter,
        )


class Outcome(msgspec.Struct, frozen=True):
    """`code`: ok, accepted, lost (the connection broke), or that of the refusal."""

    code: str
    run_id: str | None = None
    turn: int | None = None
    body: bytes = b""

    @property
    def used_no_turn(self) -> bool:
        """A reply that only shows the present state."""
        return self.code == "ok" and not msgspec.json.decode(self.body)["events"]

    def __str__(self) -> str:
        return self.code if self.turn is None else f"{self.code} (turn {self.turn})"


class Exchange:
    """One POST under way, or what became of it. `aim`: the pauses open at its first read of the run at rest."""

    def __init__(self, post: Post, process: Any, run_id: str | None) -> None:
        self.post = post
        self.process = process
        self.run_id = run_id
        self.task: Any = None
        self.aim: tuple[str, ...] | None = None
        self.outcome: Outcome | None = None

    def __str__(self) -> str:
        return f"{self.post.name}@{self.process}"


class Client:
    """Sends its posts one after the other, each until it is answered for good. It knows `run_id`, or gets it by a start."""

    def __init__(self, name: str, script: tuple[Post, ...], run_id: str | None) -> None:
        self.name = name
        self.script = script
        self.run_id = run_id
        self.at = 0
        self.aims: dict[str, str | None] = {}  # by the names of posts: the run that they are about
        self.exchanges: list[Exchange] = []

    @property
    def post(self) -> Post | None:
        """The one to be sent next; None: all are answered."""
        return self.script[self.at] if self.at < len(self.script) else None

    def open(self) -> list[Exchange]:
        return [one for one in self.exchanges if one.outcome is None]

    def of(self, post: Post) -> list[Outcome]:
        return [one.outcome for one in self.exchanges if one.post is post and one.outcome is not None]

    def move_on(self) -> None:
        """To the first post that is not answered for good."""
        while (post := self.post) is not None and any(is_final(post, outcome) for outcome in self.of(post)):
            made = next((one.run_id for one in self.of(post) if one.code in ("ok", "accepted")), None)
            self.run_id = made if post.kind == "fork" else self.run_id or made
            self.at += 1


def is_final(post: Post, outcome: Outcome) -> bool:
    """What cannot be repeated takes any reply, or none."""
    if not post.repeatable:
        return True
    if outcome.code == "accepted" and not post.patient:
        return True
    return outcome.code == "ok" or outcome.code not in ("accepted", "lost", *BUSY)


def render_fork(record: RunRecord) -> bytes:
    """The reply to a fork."""
    return to_json({"run": record.run.id, "turn": record.run.turn, "events": ["forked"]})


def render(facts: TurnFacts) -> bytes:
    """The reply to a turn, in few words."""
    return to_json(
        {
            "run": facts.run_id,
            "turn": facts.turn,
            "status": status(facts.state),
            "pausing": facts.state.pausing,
            "events": [[type(event).__name__, event.seq] for event in facts.events],
            "pauses": [question.pause_id for _, _, question in questions(facts.state)],
            "outputs": facts.state.outputs,
        }
    )
