"""The text of models while it comes."""

from __future__ import annotations

from app.engine.state import Effect
from app.services.texts import Texts


def effect(name: str = "a#1.1", seq: int | None = 3, attempt: int = 1, telling: int = 1) -> Effect:
    return Effect(
        id=name,
        operation="model",
        request=None,
        once=True,
        timeout_seconds=1.0,
        attempt=attempt,
        seq=seq,
        telling=telling,
    )


def told(texts: Texts, run: str = "run") -> list[tuple[int, int, str, str, str]]:
    return [(text.seq, text.telling, text.path, text.node_id, text.text) for text in texts.of(run)]


def test_pieces_add_up_by_run_and_call() -> None:
    texts = Texts()
    texts.open("run", effect("outer[1]/b#2.1", seq=9))
    texts.open("run", effect())
    texts.open("other", effect())
    for run, name, piece in [("run", "a#1.1", "x"), ("run", "a#1.1", "y"), ("other", "a#1.1", "z")]:
        texts.piece(run, name, 1, piece)
    assert told(texts) == [(3, 1, "a", "a", "xy"), (9, 1, "outer[1]/b", "b", "")]
    assert told(texts, "other") == [(3, 1, "a", "a", "z")]
    assert told(texts, "none") == []


def test_a_telling_that_is_over_is_not_heard() -> None:
    texts = Texts()
    texts.open("run", effect())
    texts.piece("run", "a#1.1", 1, "old")
    texts.open("run", effect(attempt=2, telling=4))
    texts.piece("run", "a#1.1", 1, "late")
    texts.close("run", "a#1.1", 1)
    texts.piece("run", "a#1.1", 4, "new")
    assert told(texts) == [(3, 4, "a", "a", "new")]
    texts.close("run", "a#1.1", 4)
    texts.piece("run", "a#1.1", 4, "never")
    assert told(texts) == []


def test_other_work_is_no_text() -> None:
    texts = Texts()
    texts.open("run", effect(seq=None))
    texts.piece("run", "a#1.1", 1, "x")
    assert told(texts) == []


def test_readers_are_woken_by_pieces_of_their_run() -> None:
    texts = Texts()
    texts.open("run", effect())
    with texts.listen("run") as first, texts.listen("run") as second, texts.listen("other") as other:
        texts.piece("run", "a#1.1", 1, "")
        assert not first.is_set(), "nothing came"
        texts.piece("run", "a#1.1", 1, "x")
        assert (first.is_set(), second.is_set(), other.is_set()) == (True, True, False)
    texts.piece("run", "a#1.1", 1, "y")
