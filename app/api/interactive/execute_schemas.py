"""What an execute takes, as the OpenAPI document shows it: exactly what `parse` accepts."""

from typing import Annotated, Any, ClassVar, Final, Literal

from msgspec import Meta

from app.api.describe import Shape
from app.api.interactive import examples
from app.api.interactive.schemas import Command, Count, Examples, Object, Ordinal

AnyRunId = Annotated[str, Meta(pattern="^([0-9a-f]{24}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$")]


class Message(Shape, frozen=True, kw_only=True):
    """Those of the role `user` count."""

    role: str
    content: str | None = None


class NodeInput(Shape, frozen=True, kw_only=True):
    """What one node is given."""

    messages: list[Message] | None = None


class ThreadInput(Shape, frozen=True, kw_only=True):
    """What one thread is given."""

    node_run_inputs: list[NodeInput] | None = None


class RunInput(Shape, frozen=True, kw_only=True):
    """The input of a turn. On a first turn `dynamic_variables` are the start inputs and `message` the first user message;
    later the answer is the first there is of: answers, data, message, user messages of threads, dynamic_variables."""

    command: Command | None = None
    dynamic_variables: Object | None = None
    runtime_variables: Annotated[Object, Meta(description="Written before the answer.")] | None = None
    miscellaneous: Object | None = None
    workflow_id: str | None = None
    version_number: Count | None = None
    run_by: Annotated[str, Meta(description="Who acts: starts the run, or votes.")] | None = None
    user: Annotated[str, Meta(description="The same, where there is no run_by.")] | None = None
    workflow_run_id: Annotated[AnyRunId, Meta(description="The same as run_id.")] | None = None
    team_id: str | None = None
    start_node_logical_id: str | None = None
    initial_state: None = None
    thread_to_node_inputs: dict[str, ThreadInput] | None = None
    welcome_message: str | None = None
    message: Annotated[str, Meta(description="An answer in text.")] | None = None
    data: Annotated[Any, Meta(description="An answer in JSON.")] = None
    answers: Annotated[Object, Meta(description="Answers by pause id.")] | None = None
    expected_turn: Annotated[Ordinal, Meta(description="The number this turn should get.")] | None = None
    on_busy: Literal["reject", "wait"] | None = None
    wait_seconds: Annotated[float, Meta(ge=0, le=600, description="How long to wait for the turn; 300.")] | None = None


class ExecuteEnvelope(Shape, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A turn: of a new run without `run_id`."""

    examples: ClassVar[Examples] = examples.EXECUTE

    run_id: AnyRunId | None = None
    run_input: RunInput


class ExecuteBare(RunInput, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same with the fields of `run_input` at top level."""

    examples: ClassVar[Examples] = examples.EXECUTE_BARE

    run_id: AnyRunId | None = None


Execute: Final = (ExecuteEnvelope, ExecuteBare)
