"""Graphs that the API's tests run."""

from __future__ import annotations

from typing import Any

from tests.engine.graphs import edge, line, node, source

Json = dict[str, Any]


def asking(**config: Any) -> Json:
    """Asks once and ends with the answer."""
    return line(
        node("q", "ask", **{"prompt": "Well?", **config}),
        node("end", "end", outputs={"answer": "{{q}}"}),
    )


def asking_twice() -> Json:
    return line(
        node("first", "ask", prompt="One?"),
        node("second", "ask", prompt="Two?"),
        node("end", "end", outputs={"both": ["{{first}}", "{{second}}"]}),
    )


def two_questions() -> Json:
    """Two pauses open at once."""
    return source(
        [
            node("start", "start"),
            node("left", "ask", prompt="Left?"),
            node("right", "ask", prompt="Right?"),
            node("end", "end", join="all", outputs={"left": "{{left}}", "right": "{{right}}"}),
        ],
        [edge("start", "left"), edge("start", "right"), edge("left", "end"), edge("right", "end")],
    )


def waiting(seconds: float = 3600) -> Json:
    """A timer and nothing else."""
    return line(node("nap", "wait", seconds=seconds), node("end", "end", outputs={"done": True}))


def failing() -> Json:
    return line(node("oops", "no_op", simulate_failure=True), node("end", "end"))


def looping() -> Json:
    """Runs in a circle without end."""
    return source(
        [node("start", "start"), node("a", "no_op"), node("b", "no_op")],
        [edge("start", "a"), edge("a", "b"), edge("b", "a")],
    )


def needing(*inputs: Json) -> Json:
    """Declares start inputs and gives them back."""
    return source(
        [
            node("start", "start", inputs=list(inputs)),
            node("end", "end", outputs={one["name"]: f"{{{{{one['name']}}}}}" for one in inputs}),
        ],
        [edge("start", "end")],
    )


def echoing() -> Json:
    """Gives back inputs, variables and the first message, and shows the variables."""
    return source(
        [
            node("start", "start", inputs=[{"name": "given", "type": "json"}]),
            node("set", "set", values={"kept": "{{given}}"}),
            node("show", "show_state"),
            node("size", "condition", cases=[{"handle": "large", "expression": "is_present(given)"}]),
            node("large", "message", text="large"),
            node("end", "end", outputs={"kept": "[[kept]]", "said": "{{message?}}"}),
        ],
        [
            edge("start", "set"),
            edge("set", "show"),
            edge("show", "size"),
            edge("size", "large", "large"),
            edge("size", "end", "else"),
            edge("large", "end"),
        ],
    )
