"""The pages behind a link: plain HTML that works without scripts. Everything that comes from outside is escaped here."""

import base64
import hashlib
from datetime import UTC, datetime
from html import escape
from typing import Final

from app.api.approvals.form import Errors, Typed, name_of
from app.engine.ballot import Ballot, Field
from app.engine.values import to_text
from app.services.approvals import Opened

STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 2rem auto; padding: 0 1rem; }
.message { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 1.15rem; }
.field { margin: 1rem 0; }
.field > label { display: block; font-weight: 600; }
.hint { font-weight: 400; }
.error { color: #b00020; margin: .25rem 0; }
@media (prefers-color-scheme: dark) { .error { color: #ff8a80; } }
input:not([type=checkbox]), select, textarea { font: inherit; width: 100%; box-sizing: border-box; padding: .4rem; }
[aria-invalid=true] { outline: 2px solid #b00020; }
button { font: inherit; padding: .6rem 1.2rem; margin: .5rem .5rem 0 0; }
"""
_hash: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS: Final = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_hash}'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}


def notice(title: str, text: str) -> str:
    """A page that only says something."""
    return _page(title, f"<h1>{escape(title)}</h1><p>{escape(text)}</p>")


def form(opened: Opened, given: Typed, errors: Errors) -> str:
    """What is asked, and the form to answer it. It is sent to the address that it came from."""
    ballot = opened.ballot
    fields = "".join(
        _field(index, field, given.fields[index], errors.fields.get(index)) for index, field in enumerate(ballot.fields)
    )
    parts = [
        _summary(ballot, errors),
        "<h1>Your decision is asked for</h1>",
        f"<p class='message'>{escape(opened.question.prompt)}</p>",
        _call(ballot),
        _circumstances(opened),
        "<form method='post'>",
        # what Enter presses: nothing is decided by mistake
        "<button name='action' value='' hidden tabindex='-1'></button>",
        fields,
        "<div class='field'><label for='reason'>Reason <span class='hint'>(optional)</span></label>"
        f"<textarea id='reason' name='reason' rows='3'>\n{escape(given.reason)}</textarea></div>",
        _actions(ballot, errors.action),
        "</form>",
    ]
    return _page("Your decision is asked for", "".join(parts))


def _page(title: str, body: str) -> str:
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>\n"
    )


def _summary(ballot: Ballot, errors: Errors) -> str:
    """First of all, for those who hear the page."""
    if not (errors.fields or errors.whole or errors.action):
        return ""
    links = [
        f"<a href='#{name_of(index)}'>{escape(_label(ballot.fields[index]))}: {escape(text)}</a>"
        for index, text in errors.fields.items()
    ]
    said = [*(escape(text) for text in errors.whole), *links]
    if errors.action is not None:
        said.append("<a href='#actions'>choose what you decide</a>")
    listed = "".join(f"<li>{text}</li>" for text in said)
    return f"<div role='alert' class='error'><p>Your vote was not counted:</p><ul>{listed}</ul></div>"


def _call(ballot: Ballot) -> str:
    """What an agent would do."""
    if ballot.tool_name is None:
        return ""
    return f"<p>{escape(ballot.tool_name)}</p><pre class='message'>{escape(to_text(ballot.arguments))}</pre>"


def _circumstances(opened: Opened) -> str:
    ballot, until = opened.ballot, opened.question.expires_at
    said = []
    if ballot.approvers:
        said.append(f"You vote as <strong>{escape(opened.voter)}</strong>.")
    if ballot.required > 1:
        title = escape(ballot.actions[0].title)
        said.append(f"{ballot.required} votes for “{title}” are needed, {len(ballot.votes)} given so far.")
    if until is not None:
        time = datetime.fromtimestamp(until, UTC)
        said.append(f"Open until <time datetime='{time:%Y-%m-%dT%H:%M:%SZ}'>{time:%Y-%m-%d %H:%M} UTC</time>.")
    return f"<p>{' '.join(said)}</p>" if said else ""


def _field(index: int, field: Field, text: str, error: str | None) -> str:
    name = name_of(index)
    hints = [] if field.type == "boolean" else ["required" if field.required else "optional"]
    hints += [f"at most {field.max_length} characters"] if field.max_length is not None else []
    hint = f" <span class='hint'>({', '.join(hints)})</span>" if hints else ""
    label = f"<label for='{name}'>{escape(_label(field))}{hint}</label>"
    marks = f"id='{name}' name='{name}'"
    if field.required and field.type != "boolean":
        marks += " required"
    if error is not None:
        marks += f" aria-invalid='true' aria-describedby='{name}-error'"
    said = "" if error is None else f"<p class='error' id='{name}-error'>{escape(error)}</p>"
    control = _control(field, marks, text)
    inner = f"<p>{control} {label}</p>" if field.type == "boolean" else f"{label}{control}"
    return f"<div class='field'>{inner}{said}</div>"


def _label(field: Field) -> str:
    return field.label or field.name


def _control(field: Field, marks: str, text: str) -> str:
    if field.type == "paragraph":
        return f"<textarea {marks} rows='5'>\n{escape(text)}</textarea>"
    if field.type == "boolean":
        return f"<input type='checkbox' value='true' {marks}{' checked' if text == 'true' else ''}>"
    if field.type == "select":
        options = "".join(_option(option, text) for option in field.options)
        return f"<select {marks}>{'' if text in field.options else _option('', text)}{options}</select>"
    mode = " inputmode='decimal'" if field.type == "number" else ""
    return f"<input type='text'{mode} {marks} value='{escape(text)}'>"


def _option(option: str, chosen: str) -> str:
    return f"<option value='{escape(option)}'{' selected' if option == chosen else ''}>{escape(option)}</option>"


def _actions(ballot: Ballot, error: str | None) -> str:
    said = "" if error is None else f"<p class='error'>{escape(error)}</p>"
    buttons = "".join(
        f"<button name='action' value='{escape(action.id)}'>{escape(action.title)}</button>"
        for action in ballot.actions
    )
    return f"<div id='actions' role='group' aria-label='Your decision'>{said}{buttons}</div>"
