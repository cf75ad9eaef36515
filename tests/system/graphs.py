"""Graphs that the system tests run."""

from __future__ import annotations

from typing import Any

from tests.engine.graphs import edge, fan, line, node, source

Json = dict[str, Any]


def asking(*prompts: str, **config: Any) -> Json:
    """Asks one after the other and ends with all the answers."""
    asks = [node(f"q{number}", "ask", prompt=prompt, **config) for number, prompt in enumerate(prompts, 1)]
    return line(*asks, node("end", "end", outputs={"answers": [f"{{{{{ask['id']}}}}}" for ask in asks]}))


def asking_for_ever() -> Json:
    """Asks again after every answer."""
    return source(
        [node("start", "start"), node("q", "ask", prompt="And?")],
        [edge("start", "q"), edge("q", "q")],
    )


def working(*, once: bool = True, retry: Json | None = None, **task: Any) -> Json:
    """One effect, and ends with its result."""
    return line(work("work", once=once, retry=retry, **task), node("end", "end", outputs={"result": "{{work}}"}))


def work(node_id: str, *, once: bool = True, retry: Json | None = None, **task: Any) -> Json:
    """A probe."""
    more = {} if retry is None else {"retry": retry}
    return node(node_id, "probe", once=once, task=task, **more)


def working_then_asking(**task: Any) -> Json:
    """One effect, then a question; ends with both results."""
    return line(
        work("work", **task),
        node("q", "ask", prompt="Well?"),
        node("end", "end", outputs={"result": "{{work}}", "answer": "{{q}}"}),
    )


def working_beside_a_timer(seconds: float, **task: Any) -> Json:
    """An effect and a timer side by side; ends when both are done."""
    return source(
        [
            node("start", "start"),
            work("work", **task),
            node("nap", "wait", seconds=seconds),
            node("woken", "message", text="The timer fired."),
            node("end", "end", join="all", outputs={"result": "{{work}}"}),
        ],
        [
            edge("start", "work"),
            edge("start", "nap"),
            edge("nap", "woken"),
            edge("work", "end"),
            edge("woken", "end"),
        ],
    )


def asking_beside_a_timer(seconds: float) -> Json:
    """A question and a timer side by side: the timer fires while the run is at rest."""
    return fan(
        node("q", "ask", prompt="Well?"), node("nap", "wait", seconds=seconds), then=node("end", "end", join="all")
    )


def expiring(seconds: float) -> Json:
    """A question that expires; says which way it went."""
    return source(
        [
            node("start", "start"),
            node("q", "ask", prompt="Quick!", expires_in_seconds=seconds, on_expiry="branch"),
            node("answered", "end", outputs={"went": "answered"}),
            node("late", "end", outputs={"went": "expired"}),
        ],
        [edge("start", "q"), edge("q", "answered"), edge("q", "late", "expired")],
    )


def waiting(seconds: float) -> Json:
    """A timer and nothing else."""
    return line(node("nap", "wait", seconds=seconds), node("end", "end", outputs={"done": True}))


def deadly(seconds: float, while_flag: str | None = None) -> Json:
    """A timer whose step kills the process that fires it."""
    return line(node("trap", "deadly", seconds=seconds, while_flag=while_flag), node("end", "end"))


def busy(effects: int) -> Json:
    """Effects that end one after the other, a timer among them; ends when all are done."""
    works = [work(f"work{number}", sleep_seconds=0.1 * number) for number in range(effects)]
    return fan(*works, node("nap", "wait", seconds=0.3), then=node("end", "end", join="all"))


def asking_then_working(**task: Any) -> Json:
    """A question, then an effect; ends with both."""
    return line(
        node("q", "ask", prompt="Well?"),
        work("work", **task),
        node("end", "end", outputs={"result": "{{work}}", "answer": "{{q}}"}),
    )
