"""Asks people to decide, by votes, with a form of fields; can send them links to vote by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, ClassVar, Literal

import msgspec

from app.engine import ballot, template
from app.engine.kind import (
    Ask,
    Await,
    Context,
    Decided,
    Expired,
    Fail,
    Fault,
    Leave,
    NodeError,
    NodeKind,
    Outcome,
    Reply,
)
from app.engine.nodes.http import Http
from app.engine.nodes.names import handle_faults, repeated
from app.engine.times import to_iso
from app.engine.values import Value


class DeclaredField(ballot.Field, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A field of the form, its label, default and options templates."""

    max_length: Annotated[int, msgspec.Meta(ge=1)] | None = None


class OfferedAction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`id` is the handle, `title` what is shown (empty: the id)."""

    id: str
    title: str = ""


class Approval(NodeKind, frozen=True, kw_only=True):
    """Pauses the run until it is decided. Its output is `{action, fields, votes[] {voter, action, fields, reason, at}}`,
    the fields those of the vote that decided; it leaves by the action. Ids of actions are no templates."""

    kind: ClassVar[str] = "approval"
    plain_texts: ClassVar[frozenset[str]] = frozenset({"on_expiry"})
    waits: ClassVar[bool] = True
    notices: ClassVar[frozenset[str]] = frozenset({"notify"})

    message: str
    fields: tuple[DeclaredField, ...] = ()
    actions: tuple[OfferedAction, ...] = (OfferedAction("approve", "Approve"), OfferedAction("reject", "Reject"))
    required_approvals: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 1
    approvers: tuple[str, ...] | None = None
    forbid_self_approval: bool = False
    notify: Http | None = None
    expires_in_seconds: Annotated[float, msgspec.Meta(ge=0, le=10 * 31_536_000)] = 259_200
    on_expiry: Literal["fail", "branch"] = "fail"

    def handles(self) -> Iterable[str]:
        normal = [action.id for action in self.actions]
        return [*normal, "expired"] if self.on_expiry == "branch" else normal

    # ---- faults

    def faults(self, path: str) -> Iterable[Fault]:
        for index, field in enumerate(self.fields):
            yield from _field_faults(field, f"{path}.fields[{index}]")
        yield from repeated([field.name for field in self.fields], f"{path}.fields", ".name", "fields need names")
        yield from handle_faults([action.id for action in self.actions], f"{path}.actions", "actions need ids")
        if not self.actions:
            yield Fault(f"{path}.actions", "there must be an action")
        if self.approvers is not None:
            yield from repeated(self.approvers, f"{path}.approvers", "", "approvers need names")
            if len(self.approvers) < self.required_approvals:
                yield Fault(f"{path}.required_approvals", f"there are {len(self.approvers)} approvers only")
        if self.on_expiry == "branch" and not self.expires_in_seconds:
            yield Fault(f"{path}.on_expiry", "needs expires_in_seconds")
        if self.notify is not None:
            yield from self.notify.faults(f"{path}.notify")
            if self.forbid_self_approval and self.approvers is None:
                yield Fault(f"{path}.approvers", "are needed: a link without a name would let its starter vote")

    # ---- behaviour

    def enter(self, ctx: Context) -> Outcome:
        approvers = tuple(dict.fromkeys(ctx.text(name) for name in self.approvers or ()))
        if self.approvers is not None and (len(approvers) < self.required_approvals or "" in approvers):
            message = f"its approvers are {list(approvers)}, but it needs {self.required_approvals} with distinct names"
            return Fail("invalid_value", message)
        fields = tuple([self._field(ctx, field) for field in self.fields])
        return Ask(
            "approval",
            ctx.text(self.message),
            expires_at=ctx.now + self.expires_in_seconds if self.expires_in_seconds else None,
            ballot=ballot.Ballot(
                actions=tuple([ballot.Action(one.id, ctx.text(one.title) or one.id) for one in self.actions]),
                fields=fields,
                required=self.required_approvals,
                approvers=approvers,
                forbid_self_approval=self.forbid_self_approval,
            ),
        )

    def _field(self, ctx: Context, declared: DeclaredField) -> ballot.Field:
        field = ballot.Field(
            name=declared.name,
            label=ctx.text(declared.label),
            type=declared.type,
            required=declared.required,
            default=ctx.value(declared.default),
            options=tuple([ctx.text(option) for option in declared.options]),
            max_length=declared.max_length,
        )
        if field.default is not None and (misfit := field.misfit(field.default)):
            raise NodeError("invalid_value", f"the default of the field {field.name!r} {misfit}")
        return field

    def receive(self, ctx: Context, reply: Reply) -> Outcome:
        if isinstance(reply, Expired):
            return Leave(None, "expired") if self.on_expiry == "branch" else Fail("expired", "nobody decided in time")
        if not isinstance(reply, Decided):
            return super().receive(ctx, reply)
        votes = [_shown(vote) for vote in reply.votes]
        output: dict[str, Value] = {"action": reply.action, "fields": dict(reply.votes[-1].fields), "votes": votes}
        return Leave(output, reply.action)

    # ---- the notice

    def asked(self, ctx: Context, pause_id: str, question: Ask) -> Await | None:
        if self.notify is None:
            return None
        try:
            request, needs_links = self.notify.request(ctx)
        except NodeError as error:
            ctx.warn(f"the approvers could not be notified: {error.error_message}")
            return None
        if needs_links and question.ballot is not None:
            request["pause"] = {"id": pause_id, "approvers": list(question.ballot.approvers)}
        return Await("http", request, once=True, timeout_seconds=self.notify.timeout_seconds)

    def noticed(self, ctx: Context, ended: Reply | Fail) -> None:
        assert self.notify is not None, "it is the notice that has ended"
        if isinstance(ended, Fail):
            self.notify.failed(ctx, ended)
            ctx.warn(f"the approvers could not be notified: {ended.error_message}")
        else:
            self.notify.receive(ctx, ended)


def _shown(vote: ballot.Vote) -> dict[str, Value]:
    return {
        "voter": vote.voter,
        "action": vote.action,
        "fields": dict(vote.fields),
        "reason": vote.reason,
        "at": to_iso(vote.at),
    }


def _field_faults(field: DeclaredField, place: str) -> Iterator[Fault]:
    if not template.is_literal(field.name):
        yield Fault(f"{place}.name", "must be no template")
    if field.type == "select" and not field.options:
        yield Fault(f"{place}.options", "a select needs options")
    yield from repeated(field.options, f"{place}.options", "", "options need a text")
    is_fixed = not isinstance(field.default, str) or (
        template.is_literal(field.default) and all(template.is_literal(option) for option in field.options)
    )
    if field.default is not None and is_fixed and (misfit := field.misfit(field.default)):
        yield Fault(f"{place}.default", misfit)
