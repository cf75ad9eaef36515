"""Everything that can happen next in a story, and a walk through it by chance."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from app.engine.state import at_rest, decode
from tests.protocol.op import Op
from tests.protocol.posts import BUSY, Client, Post
from tests.protocol.processes import Process
from tests.protocol.scenarios import Scenario
from tests.protocol.story import Story
from tests.protocol.watch import Violation

TICKS = (0.3, 1.5, 4.0, 9.0, 13.0)
NAP = 0.3  # short sleeps cost nothing
SLOW = {"send": 4, "result": 1}  # weights: effects take their time
JUMPS = (-30.0, -5.0, 5.0, 30.0)


class Move(NamedTuple):
    """`name`: what kind it is; `about`: whom it belongs to; `costs`: the budget that it uses up."""

    name: str
    weight: float
    about: tuple[object, ...]
    do: Callable[[], object]
    costs: str | None = None


class Budget:
    """What is left of a scenario's faults, ticks, and repetitions."""

    def __init__(self, scenario: Scenario) -> None:
        self.left = {name: getattr(scenario, name) for name in ("faults", "ticks", "extra", "again")}

    def allows(self, move: Move) -> bool:
        return move.costs is None or self.left[move.costs] > 0

    def pay(self, move: Move) -> None:
        if move.costs is not None:
            self.left[move.costs] -= 1


def moves(story: Story) -> list[Move]:
    """All of them, whatever they cost."""
    found = [move for op in story.desk.ops for move in _of_op(story, op)]
    found += [Move("arrive", 1, (op.process, "late"), partial(story.arrive, op)) for op in story.desk.late]
    found += [move for client in story.clients for move in _of_client(story, client)]
    found += [move for process in story.alive() for move in _of_process(story, process)]
    if "S" in story.scenario.kinds:
        found += [Move("retire", 0.4, (one,), partial(story.retire, one), "faults") for one in story.serving()]
    nap = (story.loop.next_timer() or 1_000.0) - story.loop.time()
    if nap <= NAP:
        found.append(Move("tick", 2, ("time",), partial(story.tick, nap)))
    found += [Move("tick", 0.5, ("time",), partial(story.tick, seconds), "ticks") for seconds in TICKS]
    if len(story.serving()) < story.scenario.processes:
        found.append(Move("start", 2, ("start",), story.start_process))
    return found


def _of_op(story: Story, op: Op) -> Iterator[Move]:
    about, kinds = (op.process, op.words.split(" ")[0], op.cause), story.scenario.kinds
    weight = SLOW.get(op.kind, 8)
    yield Move("happen", weight / 2 if op.done else weight, (op, *about), partial(story.happen, op))
    if op.kind == "store" and not op.done:
        yield Move("apply", 1.5, about, partial(story.apply, op))
    if op.kind == "result" and story.scenario.fails:
        yield Move("fail", 0.5, about, partial(story.fail_effect, op, retryable=True))
        yield Move("fail", 0.1, about, partial(story.fail_effect, op, retryable=False))
    if op.kind != "store":
        return
    weight = 0.6 if op.writes else 0.15
    if "L" in kinds:
        yield Move("lose", weight, about, partial(story.lose, op), "faults")
    if "R" in kinds and not op.done:
        yield Move("refuse", weight, about, partial(story.refuse, op), "faults")
    if "D" in kinds and op.writes and not op.done:
        yield Move("delay", weight, about, partial(story.delay, op), "faults")


def _of_client(story: Story, client: Client) -> Iterator[Move]:
    post, live = client.post, client.open()
    if post is not None and story.knows_run(client, post):
        if not live and not _has_to_wait(story, client, post):
            yield from (_send(story, client, post, process, None) for process in story.serving())
        elif live and post.repeatable:
            yield from (_send(story, client, post, process, "extra") for process in story.serving())
    for before in client.script[: client.at]:
        if before.repeatable and not live and any(outcome.code == "ok" for outcome in client.of(before)):
            yield from (_send(story, client, before, process, "again") for process in story.serving())


def _send(story: Story, client: Client, post: Post, process: Process, costs: str | None) -> Move:
    return Move(
        "repeat" if costs else "send", 0.7 if costs else 3, (client,), partial(story.send, client, process, post), costs
    )


def _has_to_wait(story: Story, client: Client, post: Post) -> bool:
    """Retry-After: until the run is at rest."""
    run = story.memory.runs.get(client.run_id or story.only_run() or "")
    told = any(outcome.code in ("accepted", *BUSY) for outcome in client.of(post))
    return told and run is not None and not at_rest(decode(run.state))


def _of_process(story: Story, process: Process) -> Iterator[Move]:
    kinds, about = story.scenario.kinds, (process,)
    if process.frozen:
        yield Move("thaw", 1, about, partial(story.thaw, process))
        return
    if process in story.serving() and story.can_sweep(process):
        yield Move("sweep", 2, about, partial(story.sweep, process))
    yield Move("poll", 0.7, about, partial(story.poll, process))
    if "K" in kinds:
        yield Move("kill", 0.4, about, partial(story.kill, process), "faults")
    if "F" in kinds:
        yield Move("freeze", 0.4, about, partial(story.freeze, process), "faults")
    if "J" in kinds:
        yield from (Move("jump", 0.1, about, partial(story.jump, process, seconds), "faults") for seconds in JUMPS)


# ---- by chance


def walk(scenario: Scenario, seed: int, steps: int = 120) -> Story:
    """A walk of so many moves, then the end without further faults. Raises Violation, told as a story."""
    chance = random.Random(f"{scenario.name} {seed}")
    story = Story(scenario)
    try:
        budget = Budget(scenario)
        slow: object = None
        for step in range(chance.randrange(10, steps)):
            if step % 15 == 0:
                slow = _someone(story, chance)
            _step(story, budget, chance, slow)
        story.conclude()
    except Violation as fault:
        raise Violation(f"{story}\n\n{fault}\n(scenario {scenario.name!r}, seed {seed})") from fault
    finally:
        story.close()
    return story


def _someone(story: Story, chance: random.Random) -> object:
    """Whose moves are to be held back for a while: an operation's (or only its answer), those of a kind, of a process, of a
    client, or nobody's."""
    abouts = dict.fromkeys(about for move in moves(story) for about in move.about if about is not None)
    return chance.choice([None, *abouts])


def _step(story: Story, budget: Budget, chance: random.Random, slow: object) -> None:
    found = [move for move in moves(story) if budget.allows(move)]
    weights = [move.weight * (0.02 if slow is not None and slow in move.about else 1) for move in found]
    move = chance.choices(found, weights)[0]
    budget.pay(move)
    move.do()
