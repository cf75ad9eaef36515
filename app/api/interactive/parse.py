"""From the body of an execute to a TurnRequest: which fields there are, what answers, and every fault at once."""

from typing import Any, Final

import msgspec

from app.api.fields import Fields, digits
from app.api.idempotency import idempotency_key
from app.api.ids import NOBODY, decode_id
from app.engine.values import Value, to_text
from app.services.errors import Detail, ServiceError
from app.services.facts import TurnRequest

WAIT_SECONDS: Final = 300.0
MAX_WAIT_SECONDS: Final = 600.0
COMMANDS: Final = ("start", "data", "resume", "pause", "stop")
RUN_INPUT: Final = (
    "command",
    "dynamic_variables",
    "runtime_variables",
    "miscellaneous",
    "workflow_id",
    "version_number",
    "run_by",
    "user",
    "workflow_run_id",
    "team_id",
    "start_node_logical_id",
    "initial_state",
    "thread_to_node_inputs",
    "welcome_message",
    "message",
    "data",
    "answers",
    "expected_turn",
    "on_busy",
    "wait_seconds",
)
_text_forms: Final = ("user_message", "user_input", "message")


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What an execute brings besides its body. `version` and `key` are as sent; `caller`: who acts where the body does not
    say it."""

    workspace: str
    workflow_id: str
    caller: str | None = None
    version: str | None = None
    key: str | None = None
    body_hash: str = ""


class _Given(msgspec.Struct, frozen=True, kw_only=True):
    """What may answer, in the order of precedence. `message` is the text of this or of the thread's user messages."""

    answers: dict[str, Value] | None
    data: Value
    message: str | None
    variables: dict[str, Value]


def parse_execute(body: dict[str, Any], call: Call) -> TurnRequest:
    """Raises ServiceError invalid_value with the path of every field that is wrong; turn_mismatch for a misnumbered start."""
    top = Fields(body)
    fields = _run_input(top)
    request = _sent_with(top, call, _common(fields, _run_id(top, fields)))
    given = _given(fields)
    if request.on_busy == "wait" and call.key is None and request.expected_turn is None:
        fields.fault("on_busy", "wait needs an Idempotency-Key or expected_turn")
    starts = request.run_id is None and request.command in (None, "start")
    if starts:
        _check_first_turn(fields, given)
    top.done()
    if request.run_id is not None:
        return _later(request, given)
    expected = request.expected_turn
    if starts and expected not in (None, 1):
        raise ServiceError("turn_mismatch", f"expected turn {expected}, but this starts a run: its first turn is 1")
    return _first(request, given)


def _common(fields: Fields, run_id: str | None) -> TurnRequest:
    """What first and later turns have alike."""
    for name in ("workflow_id", "team_id"):  # these select nothing, but have a type
        fields.text(name)
    fields.integer("version_number")
    fields.object("miscellaneous")
    if fields.body.get("initial_state") is not None:
        fields.fault("initial_state", "is not accepted")
    wait = fields.number("wait_seconds", 0, MAX_WAIT_SECONDS)
    return TurnRequest(
        workspace="",
        workflow_id="",
        run_id=run_id,
        command=fields.choice("command", COMMANDS),
        variables=fields.object("runtime_variables") or {},
        welcome_message=fields.text("welcome_message"),
        start_node=fields.text("start_node_logical_id"),
        user=_user(fields),
        expected_turn=fields.integer("expected_turn", 1),
        on_busy=fields.choice("on_busy", ("reject", "wait")) or "reject",
        wait_seconds=WAIT_SECONDS if wait is None else wait,
    )


def _user(fields: Fields) -> str | None:
    """Who acts, in either of two words."""
    run_by, user = fields.text("run_by"), fields.text("user")
    return user if run_by is None else run_by


def _sent_with(top: Fields, call: Call, request: TurnRequest) -> TurnRequest:
    """With what is sent beside the body."""
    version = key = None
    try:
        version = None if call.version is None else digits(call.version, "version")
    except ServiceError as error:
        top.faults += error.details
    try:
        key = idempotency_key(call.key)
    except ServiceError as error:
        top.faults += error.details
    return msgspec.structs.replace(
        request,
        workspace=call.workspace,
        workflow_id=call.workflow_id,
        voter=request.user or call.caller,
        version=version,
        key=key,
        body_hash=call.body_hash,
    )


def _given(fields: Fields) -> _Given:
    return _Given(
        answers=fields.object("answers") or None,
        data=fields.body.get("data"),
        message=_message(fields),
        variables=fields.object("dynamic_variables") or {},
    )


def named_run(body: dict[str, Any]) -> Any:
    """The run that a body names, whatever its shape; None: it is a start."""
    run_input = body.get("run_input")
    inner = run_input if isinstance(run_input, dict) else body
    named = body.get("run_id")
    return inner.get("workflow_run_id") if named is None else named


def wait_of(body: dict[str, Any]) -> float:
    """How long the caller of a misshapen request waits."""
    run_input = body.get("run_input")
    fields = Fields(run_input if isinstance(run_input, dict) else body)
    wait = fields.number("wait_seconds", 0, MAX_WAIT_SECONDS)
    return WAIT_SECONDS if wait is None else wait


def _run_input(top: Fields) -> Fields:
    """`run_input`, or the body itself in its bare form. Faults go to the same list."""
    if top.body.get("run_input") is None:
        top.only(("run_id", "run_input", *RUN_INPUT))
        return Fields(top.body, "", top.faults)
    top.only(("run_id", "run_input"))
    return Fields(top.object("run_input") or {}, "run_input", top.faults)


def _run_id(top: Fields, fields: Fields) -> str | None:
    found = []
    for holder, name in ((top, "run_id"), (fields, "workflow_run_id")):
        text = holder.text(name)
        if text is None:
            continue
        try:
            object_id = decode_id(text)
        except ServiceError:  # a UUID that is none of ours names no run
            object_id = NOBODY
        if object_id is None:
            holder.fault(name, "is malformed")
        else:
            found.append(object_id)
    if len(set(found)) > 1:
        fields.fault("workflow_run_id", "is another run than run_id")
    return found[0] if found else None


def _check_first_turn(fields: Fields, given: _Given) -> None:
    if given.data is not None:
        fields.fault("data", "answers nothing on a first turn")
    if given.answers is not None:
        fields.fault("answers", "answers nothing on a first turn")


def _message(fields: Fields) -> str | None:
    message = fields.text("message")
    threads = fields.object("thread_to_node_inputs") or {}
    spoken = _spoken(threads, f"{fields.place}." if fields.place else "", fields.faults)
    return message if message is not None or not spoken else "\n".join(spoken)


def _spoken(threads: dict[str, Any], place: str, faults: list[Detail]) -> list[str]:
    """The user messages of all threads, in order."""
    spoken: list[str] = []
    for thread, inputs in threads.items():
        at = f"{place}thread_to_node_inputs.{thread}"
        runs = _objects(inputs, at, "node_run_inputs", faults) if isinstance(inputs, dict) else None
        if runs is None:
            faults.append(Detail(at, "must be an object"))
        for where, run in runs or ():
            for spot, message in _objects(run, where, "messages", faults):
                content, role = message.get("content"), message.get("role")
                if not isinstance(role, str):
                    faults.append(Detail(f"{spot}.role", "is required" if role is None else "must be a string"))
                if role != "user" or content is None:
                    continue
                if isinstance(content, str):
                    spoken.append(content)
                else:
                    faults.append(Detail(f"{spot}.content", "must be a string"))
    return spoken


def _objects(holder: dict[str, Any], place: str, name: str, faults: list[Detail]) -> list[tuple[str, dict[str, Any]]]:
    """The objects of a list, each with its place."""
    found = holder.get(name)
    if found is None:
        return []
    if not isinstance(found, list):
        faults.append(Detail(f"{place}.{name}", "must be a list"))
        return []
    placed = [(f"{place}.{name}[{index}]", item) for index, item in enumerate(found)]
    faults += [Detail(spot, "must be an object") for spot, item in placed if not isinstance(item, dict)]
    return [(spot, item) for spot, item in placed if isinstance(item, dict)]


def _first(request: TurnRequest, given: _Given) -> TurnRequest:
    return msgspec.structs.replace(request, inputs=given.variables, message=given.message)


def _later(request: TurnRequest, given: _Given) -> TurnRequest:
    """With the first source there is: answers, data, message, variables. `pause` and `stop` answer nothing."""
    replace = msgspec.structs.replace
    if request.command in ("pause", "stop"):
        return request
    if given.answers is not None:
        return replace(request, answers=given.answers)
    if given.data is not None:
        return replace(request, answer_given=True, answer=given.data)
    if given.message is not None:
        return replace(request, answer_given=True, answer=given.message, answer_text=given.message)
    if given.variables and request.command != "resume":
        named = next((given.variables[name] for name in _text_forms if given.variables.get(name) is not None), None)
        text = None if named is None else to_text(named)
        return replace(request, answer_given=True, answer=given.variables, answer_text=text)
    return request
