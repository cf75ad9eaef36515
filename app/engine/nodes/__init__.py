"""The catalogue: every node kind, one file each. A new kind is a file here and a line below."""

from app.engine.kind import NodeKind
from app.engine.nodes.agent import Agent
from app.engine.nodes.approval import Approval
from app.engine.nodes.ask import Ask
from app.engine.nodes.classifier import Classifier
from app.engine.nodes.code import Code
from app.engine.nodes.condition import Condition
from app.engine.nodes.end import End
from app.engine.nodes.extractor import Extractor
from app.engine.nodes.http import Http
from app.engine.nodes.iteration import Iteration
from app.engine.nodes.llm import Llm
from app.engine.nodes.loop import Loop
from app.engine.nodes.message import Message
from app.engine.nodes.no_op import NoOp
from app.engine.nodes.set import Set
from app.engine.nodes.show_state import ShowState
from app.engine.nodes.start import Start
from app.engine.nodes.template import Template
from app.engine.nodes.wait import Wait
from app.engine.nodes.web_search import WebSearch
from app.engine.nodes.workflow import Workflow

_kinds: tuple[type[NodeKind], ...] = (
    Start,
    End,
    Message,
    Ask,
    Approval,
    Condition,
    Set,
    ShowState,
    NoOp,
    Wait,
    Http,
    Template,
    Code,
    Llm,
    Agent,
    Iteration,
    Loop,
    Workflow,
    Classifier,
    Extractor,
    WebSearch,
)

CATALOGUE: dict[str, type[NodeKind]] = {kind.kind: kind for kind in _kinds}
