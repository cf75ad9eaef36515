"""The llm node in the engine: what it asks, how it repairs, what it remembers, what it counts."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from app.engine.messages import ModelCalled, ModelFailed, ModelReplied, NodeRetried
from app.engine.nodes import CATALOGUE
from app.engine.state import Limits, decode, effects, encode, next_deadline, retold, usage_of
from app.engine.talk import MOST_BYTES, Message, ModelAnswer, ModelCall, Usage, shortened
from app.engine.validate import check
from tests.engine.graphs import BEGIN, Bench, edge, line, node, source


def bench(limits: Limits | None = None, **config: Any) -> Bench:
    config = {"prompt": "Hi {{name}}", **config}
    end = node("end", "end", outputs={"it": "{{say}}"})
    return Bench(line(node("say", "llm", **config), end), limits, inputs={"name": "Ada"})


def called(run: Bench) -> ModelCall:
    effect = effects(run.at)[0]
    assert (effect.operation, effect.once) == ("model", True)
    return msgspec.convert(effect.request, ModelCall)


def answer(text: str = "hello", *, tokens: int = 3, **more: Any) -> Any:
    usage = Usage(input_tokens=tokens - 1, output_tokens=1, total_tokens=tokens)
    made = ModelAnswer(text=text, finish_reason="stop", usage=usage, provider="p", model="m", **more)
    return msgspec.to_builtins(made)


def test_a_call_and_its_answer() -> None:
    run = bench(system="Be {{name}}.", temperature=0.5, max_tokens=7, params={"seed": 1, "x": "{{name}}"}, model="m")
    assert called(run) == ModelCall(
        messages=(Message(role="system", text="Be Ada."), Message(role="user", text="Hi Ada")),
        model="m",
        temperature=0.5,
        max_tokens=7,
        params={"seed": 1, "x": "Ada"},
        stream=True,
    )
    run.now += 2
    run.succeed(answer(streamed=True))
    (reply,) = run.those("ModelReplied")
    (began,) = run.those("ModelCalled")
    assert (began.streamed, reply.call_seq, reply.telling, reply.seconds) == (True, began.seq, 1, 2)
    assert (reply.text, reply.say, reply.streamed, reply.provider, reply.model) == ("hello", False, True, "p", "m")
    assert run.at.outputs["it"] == {
        "text": "hello",
        "finish_reason": "stop",
        "citations": [],
        "usage": {"input_tokens": 2, "output_tokens": 1, "total_tokens": 3, "estimated": False},
        "provider": "p",
        "model": "m",
    }
    assert usage_of(run.at) == Usage(input_tokens=2, output_tokens=1, total_tokens=3)
    assert run.those("RunEnded")[0].spent["p/m"].calls == 1
    assert run.those("TurnEnded")[0].latencies == (2.0,)


def test_messages_are_sent_in_their_roles() -> None:
    run = bench(prompt=None, messages=[{"role": "user", "content": "a"}, {"role": "assistant", "content": "{{name}}"}])
    assert called(run).messages == (Message(role="user", text="a"), Message(role="assistant", text="Ada"))


@pytest.mark.parametrize(
    ("config", "places"),
    [
        ({}, [""]),
        ({"prompt": "a", "messages": [{"role": "user", "content": "b"}]}, [""]),
        ({"messages": []}, [""]),
        ({"messages": [{"role": "tool", "content": "b"}]}, [".messages[0].role"]),
        ({"prompt": "a", "params": {"stream": True, "model": "x", "seed": 1}}, [".params.model", ".params.stream"]),
        ({"prompt": "a", "temperature": 3}, [".temperature"]),
        ({"prompt": "a", "repair_attempts": 4}, [".repair_attempts"]),
        ({"prompt": "a", "memory": {"window": 51}}, [".memory.window"]),
        ({"prompt": "{{secret.key}}"}, [".prompt"]),
    ],
)
def test_a_bad_config_is_refused_at_its_place(config: dict[str, Any], places: list[str]) -> None:
    faults = check(line(node("say", "llm", **config)), CATALOGUE).faults
    assert [fault.path for fault in faults] == [f"nodes[1].config{place}" for place in places]


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        ({}, [("nodes[1].config", [None, None])]),
        ({"provider": "p", "model": "m"}, [("nodes[1].config.provider", ["p", "m"])]),
        ({"provider": "{{p}}"}, []),
        ({"model": "{{ m|upper }}"}, []),
    ],
)
def test_whom_a_node_asks_is_checked_by_others_where_it_is_known(config: dict[str, Any], wanted: list[Any]) -> None:
    claims = check(line(node("say", "llm", prompt="a", **config)), CATALOGUE).claims
    assert [(claim.path, claim.value) for claim in claims if claim.about == "model"] == wanted


SCHEMA = {"type": "object", "required": ["n"]}


def test_an_answer_that_does_not_fit_is_shown_to_the_model_with_what_is_wrong() -> None:
    run = bench(schema=SCHEMA)
    assert (called(run).schema, called(run).stream) == (SCHEMA, False)
    run.state = decode(encode(run.at))
    run.succeed(answer("{}", misfits=("n is missing",)))
    messages = called(run).messages
    assert messages[:2] == (Message(role="user", text="Hi Ada"), Message(role="assistant", text="{}"))
    assert "n is missing" in messages[2].text
    assert [effect.id for effect in effects(run.at)] == ["say#2.2"]
    run.succeed(answer('{"n": 1}', data={"n": 1}, tokens=5))
    output = run.at.outputs["it"]
    assert isinstance(output, dict)
    assert (output["data"], output["usage"]["total_tokens"]) == ({"n": 1}, 8)
    assert [reply.misfits for reply in run.those("ModelReplied")] == [("n is missing",), ()]


@pytest.mark.parametrize("repairs", [0, 1, 3])
def test_a_model_that_cannot_do_it_fails_the_node(repairs: int) -> None:
    run = bench(schema=SCHEMA, repair_attempts=repairs, say=True)
    for _ in range(repairs + 1):
        run.succeed(answer("no", misfits=("no JSON",)))
    assert (run.status, len(run.those("ModelCalled"))) == ("failed", repairs + 1)
    assert run.at.error == "node 'say' failed: the model's answer does not fit the schema: no JSON"
    assert not any(reply.say for reply in run.those("ModelReplied")), "what does not fit is not said"
    assert usage_of(run.at).total_tokens == 3 * (repairs + 1), "it was paid for"


def test_a_model_is_asked_three_times_by_default() -> None:
    run = bench()
    run.fail("provider_error")
    assert run.those("NodeRetried")[0].delay_seconds == 1
    run.wait(1)
    assert effects(run.at)[0].telling == 2
    run.fail("http_connection")
    assert next_deadline(run.at, run.limits) == BEGIN + 3
    run.wait(2)
    run.fail("provider_error")
    assert (run.status, run.at.error) == ("failed", "node 'say' failed: provider_error!")
    assert [type(event) for event in run.events if isinstance(event, (ModelCalled, ModelFailed, NodeRetried))] == [
        ModelCalled,
        NodeRetried,
        NodeRetried,
        ModelFailed,
    ]
    assert run.those("ModelFailed")[0].call_seq == run.those("ModelCalled")[0].seq


def test_whoever_takes_a_run_over_tells_the_text_anew() -> None:
    run = bench()
    anew = retold(run.at)
    assert [effect.telling for effect in effects(anew)] == [2]
    run.state = anew
    run.succeed(answer())
    assert run.those("ModelReplied")[0].telling == 2
    waiting = Bench(line(node("work", "probe"))).at
    assert retold(waiting) is waiting, "other effects are not told"


# ---- memory


def test_what_was_said_stands_between_system_and_prompt() -> None:
    nodes = [
        node("hello", "message", text="Welcome"),
        node("who", "ask", prompt="Who?"),
        node("first", "llm", prompt="P1", say=True, system="S", memory={"window": 50}),
        node("quiet", "llm", prompt="P2"),
        node("last", "llm", prompt="P3", memory={"window": 2}),
    ]
    run = Bench(line(*nodes), message="hey", welcome="hi")
    run.answer("Ada")
    before = [("assistant", "hi"), ("user", "hey"), ("assistant", "Welcome"), ("assistant", "Who?"), ("user", "Ada")]
    assert [(m.role, m.text) for m in called(run).messages] == [("system", "S"), *before, ("user", "P1")]
    run.state = decode(encode(run.at))
    run.succeed(answer("A1"))
    assert [(m.role, m.text) for m in called(run).messages] == [("user", "P2")]
    run.succeed(answer("A2"))
    assert [(m.role, m.text) for m in called(run).messages] == [("user", "Ada"), ("assistant", "A1"), ("user", "P3")]


def test_nothing_is_remembered_where_nobody_may_ask() -> None:
    run = Bench(line(node("who", "ask", prompt="Who?")), message="hey")
    run.answer("Ada")
    assert run.at.frames[0].transcript == ()


def test_a_transcript_is_bounded() -> None:
    many = tuple(Message(role="user", text=str(number)) for number in range(150))
    assert [message.text for message in shortened(many)] == [str(number) for number in range(50, 150)]
    long = Message(role="user", text="x" * (MOST_BYTES - 1))
    assert shortened((long, Message(role="user", text="ab"))) == (Message(role="user", text="ab"),)
    assert len(shortened((Message(role="user", text="x" * (2 * MOST_BYTES)),))[0].text) == MOST_BYTES


# ---- limits


def test_a_run_over_its_tokens_ends_and_says_so() -> None:
    run = bench(Limits(run_tokens=10), on_error="branch")
    run.succeed(answer(tokens=11))
    assert (run.status, run.at.termination_source, run.at.error) == ("failed", "limit", "a run may use 10 tokens")
    assert run.those("RunFailed")[0].error_type == "token_limit"
    assert run.those("RunFailed")[0].spent["p/m"].usage.total_tokens == 11


def test_tokens_count_over_turns() -> None:
    graph = source(
        [node("start", "start"), node("q", "ask", prompt="?"), node("say", "llm", prompt="a")],
        [edge("start", "q"), edge("q", "say"), edge("say", "q")],
    )
    run = Bench(graph, Limits(run_tokens=10))
    for turn in range(3):
        run.answer("x")
        run.succeed(answer(tokens=4))
        assert run.status == ("failed" if turn == 2 else "waiting_for_user_input")
    assert [len(ended.latencies) for ended in run.those("TurnEnded")] == [0, 1, 1, 1]


@pytest.mark.parametrize("tokens", [2**63, 10**30, -1])
def test_what_is_no_answer_fails_the_node(tokens: int) -> None:
    for result, why in ({"text": 1}, "cannot be read"), (answer(tokens=tokens), "impossible numbers of tokens"):
        run = bench()
        run.succeed(result)
        assert run.status == "failed" and why in (run.at.error or "")
        assert decode(encode(run.at)) == run.at


def test_a_reply_survives_a_pause_that_came_before_it() -> None:
    from app.engine.messages import Pause, Resume

    run = bench()
    run.do(Pause(now=run.now))
    run.succeed(answer())
    assert run.status == "paused"
    run.state = decode(encode(run.at))
    run.now += 100
    run.do(Resume(now=run.now))
    assert (run.status, run.those("ModelReplied")[0].text) == ("completed", "hello")
    assert isinstance(run.those("ModelReplied")[0], ModelReplied)
