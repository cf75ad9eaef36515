"""Links: a token says where it belongs, and only what we have said counts."""

from __future__ import annotations

import base64

from hypothesis import given, strategies as st

from app.adapters.signing import Signatures
from app.services.links import ANYBODY, Links, Place
from tests.engine.strategies import examples

RUN = "66f2f9b0c2a4e1d3b5a69788"
LINKS = Links(Signatures(["k" * 16], "approval links"), "https://ours.example/base")


def test_there_is_a_link_for_each_approver_else_one() -> None:
    made = LINKS.of(RUN, "pause_1", ["ann", "bob"])
    assert [(link.approver, link.url) for link in made] == [
        ("ann", f"https://ours.example/base/a/{made[0].token}"),
        ("bob", f"https://ours.example/base/a/{made[1].token}"),
    ]
    assert [LINKS.read(link.token) for link in made] == [Place(RUN, "pause_1", 1), Place(RUN, "pause_1", 2)]
    (anybody,) = LINKS.of(RUN, "pause_1", [])
    assert (anybody.approver, LINKS.read(anybody.token)) == (None, Place(RUN, "pause_1", 0))


def test_a_token_votes_as_its_approver_and_as_no_other() -> None:
    assert [Place(RUN, "pause_1", n).voter(["ann", "bob"]) for n in range(4)] == [None, "ann", "bob", None]
    assert [Place(RUN, "pause_1", n).voter([]) for n in range(2)] == [ANYBODY, None]


@examples(200)
@given(st.binary(min_size=12, max_size=12), st.integers(1, 2**32 - 1), st.integers(1, 60))
def test_every_place_survives_its_token(run: bytes, pause: int, approvers: int) -> None:
    made = LINKS.of(run.hex(), f"pause_{pause}", ["x"] * approvers)
    assert LINKS.read(made[-1].token) == Place(run.hex(), f"pause_{pause}", approvers)
    assert len(made[-1].token) == 68


@examples(300)
@given(
    st.text(max_size=70) | st.binary(min_size=51, max_size=51).map(lambda data: base64.urlsafe_b64encode(data).decode())
)
def test_nothing_else_is_a_token(text: str) -> None:
    assert LINKS.read(text) is None


def test_a_link_signed_with_other_keys_is_none() -> None:
    (link,) = LINKS.of(RUN, "pause_1", [])
    assert Links(Signatures(["j" * 16], "approval links"), "").read(link.token) is None
    rotated = Links(Signatures(["j" * 16, "k" * 16], "approval links"), "")
    assert rotated.read(link.token) == Place(RUN, "pause_1", 0)
