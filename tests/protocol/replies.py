"""What must hold of replies: acknowledged is stored, refused is not applied, nobody is left without an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from app.engine.state import at_rest, decode
from app.ports import Run, Turn
from app.services.answers import pause_ids
from tests.protocol.posts import BUSY, Client, Exchange, Outcome, Post
from tests.protocol.processes import EPOCH
from tests.protocol.watch import MAX_CLAIMS, Watch, require

if TYPE_CHECKING:
    from tests.protocol.story import Story


def check_reply(watch: Watch, client: Client, exchange: Exchange) -> None:
    """At the moment when a reply is given. Raises Violation."""
    post, outcome = exchange.post, exchange.outcome
    assert outcome is not None, "it has been given"
    if outcome.code == "pause_already_answered" and exchange.aim and post.named is None:
        run = watch.memory.runs[exchange.run_id or ""]
        require(pause_ids(decode(run.state)) != exchange.aim, f"{post.name} was refused, though its pause is open")
    if outcome.code in ("ok", "accepted"):
        _check_acknowledged(watch, post, outcome)
    others = [one for one in client.of(post) if one.code in ("ok", "accepted") and not one.used_no_turn]
    if not outcome.used_no_turn and outcome.code in ("ok", "accepted"):
        require(len({one.turn for one in others}) < 2, f"{post.name} was acknowledged in two turns")
        require(len({one.body for one in others if one.code == "ok"}) < 2, f"two replies to {post.name} differ")


def _check_acknowledged(watch: Watch, post: Post, outcome: Outcome) -> None:
    if post.kind in ("fork", "delete"):
        run = watch.memory.runs.get(outcome.run_id or "")
        kept = run is not None and (run.deleted_at is not None or run.start_reply == outcome.body)
        require(kept, f"{post.name} was acknowledged, but is not stored")
        return
    if outcome.used_no_turn:
        shown = msgspec.json.decode(outcome.body)
        fits = (
            shown["status"] == "paused" or shown["pausing"] if post.kind == "pause" else shown["status"] == "cancelled"
        )
        fits = fits or (post.kind == "stop" and bool(watch.memory.runs[outcome.run_id or ""].ended_at))
        require(post.kind in ("stop", "pause") and fits, f"{post.name} was acknowledged without a turn")
        require(post.name not in watch.accepted, f"{post.name} was applied, but its turn was not replayed")
        return
    turn = _stored(watch, outcome)
    names = [command.body_hash for command in turn.commands] if turn else []
    require(post.name in names, f"{post.name} was acknowledged in turn {outcome.turn}, but is not stored")
    if outcome.code == "ok":
        require(turn is not None and turn.reply == outcome.body, f"the reply to {post.name} is not the stored one")


def _stored(watch: Watch, outcome: Outcome) -> Turn | None:
    run = watch.memory.runs.get(outcome.run_id or "")
    if run is None:
        return None
    held = next((turn for turn in (run.open, *run.tail) if turn is not None and turn.number == outcome.turn), None)
    return held or watch.memory.turns.get((run.id, outcome.turn or 0))


def check_refusals(watch: Watch, clients: list[Client]) -> None:
    """A refusal that binds is of a command that is not applied, then or ever. Raises Violation."""
    for client in clients:
        for post in client.script:
            if post.bound and post.name in watch.accepted:
                refused = [one.code for one in client.of(post) if is_refusal(post, one)]
                require(not refused, f"{post.name} was refused ({refused}), but is applied")


def is_refusal(post: Post, outcome: Outcome) -> bool:
    """For good: a turn that comes too early may come again."""
    if outcome.code == "turn_mismatch" and (outcome.turn or 0) + 1 < (post.expected or 0):
        return False
    return outcome.code not in ("ok", "accepted", "lost", *BUSY)


def check_quiet(story: Story) -> None:
    """Where nothing can move any more. Raises Violation."""
    for client in story.clients:
        require(client.post is None, f"{client.name} was never answered")
    for run in story.memory.runs.values():
        require(at_rest(decode(run.state)) and run.lease is None, "left behind: the run is not at rest")
    check_refusals(story.watch, story.clients)
    _check_places(story)
    if story.scenario.poison:
        _check_poison(story, next(iter(story.memory.runs.values())))


def _check_places(story: Story) -> None:
    """Those of killed processes lapse."""
    now = EPOCH + story.loop.time() + 60
    held = [place for place, (_, _, until) in story.memory.slots.items() if until > now]
    require(not held, f"places are held by runs at rest: {held}")


def _check_poison(story: Story, run: Run) -> None:
    require(run.termination_source == "stale_run_reaper", "a poison run was not failed by the reaper")
    require(len(story.watch.sent) == MAX_CLAIMS, f"a poison run was performed {len(story.watch.sent)} times")
