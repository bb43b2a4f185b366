"""What a frontend may ask of a session: one class per operation, one closed union.

An operation is data. It is parsed at the edge (argv, HTTP, a key press), handed to ``Session.submit`` and answered only by
events. The ``type`` tag is the wire name that users of the original know.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

from msgspec import Struct

from ml_intern.protocol.messages import Image
from ml_intern.protocol.operation_base import Operation
from ml_intern.protocol.permission_operations import ChangeRule, ShowRules, TryCall
from ml_intern.protocol.question_events import NoAnswer
from ml_intern.protocol.rewind_operation import Rewind

Effort = Literal["minimal", "low", "medium", "high", "xhigh", "max"]
EFFORTS: tuple[str, ...] = get_args(Effort)


class UserInput(Operation, tag="user_input", frozen=True):
    """Start a turn, or steer the one that runs: the text reaches the model at its next step."""

    text: str = ""
    images: tuple[Image, ...] = ()


class ApprovalAnswer(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One decision. ``arguments`` replaces what will run; ``reason``: why it is not approved."""

    tool_call_id: str
    approved: bool
    feedback: str | None = None
    edited_script: str | None = None
    namespace: str | None = None
    arguments: dict[str, Any] | None = None
    remember: Literal["", "session", "project"] = ""
    reason: NoAnswer = "declined"


class ExecApproval(Operation, tag="exec_approval", frozen=True):
    """Decide pending calls. A pending call that is not named stays pending."""

    approvals: tuple[ApprovalAnswer, ...]


class AnswerQuestion(Operation, tag="answer_question", frozen=True):
    """Answer what ``ask_user`` asked; with ``answer`` None, ``reason`` says why there is none."""

    question_id: str
    answer: str | None = None
    reason: NoAnswer = "declined"


class Interrupt(Operation, tag="interrupt", frozen=True):
    """Stop the running turn, whatever it waits for. Without a turn it does nothing."""


class Compact(Operation, tag="compact", frozen=True):
    """Summarise now, however full the window is."""


class Undo(Operation, tag="undo", frozen=True):
    """Take back the last turn, or everything from the ``before_message``-th user message (counting from 0)."""

    before_message: int | None = None


class New(Operation, tag="new", frozen=True):
    """Leave this conversation and start a fresh one in the same place."""

    clear_screen: bool = False


class Resume(Operation, tag="resume", frozen=True):
    """Leave this conversation and continue another; ``path`` is an id, a unique prefix, a 1-based index or ``last``."""

    path: str = ""


class Fork(Operation, tag="fork", frozen=True):
    """Copy this session's log up to ``at_seq`` (all of it when None) into a new session, and continue there."""

    at_seq: int | None = None


class SwitchModel(Operation, tag="switch_model", frozen=True):
    """Use another model from the next step on."""

    model: str


class SetEffort(Operation, tag="set_effort", frozen=True):
    """Set the preferred reasoning effort; None switches it off."""

    effort: Effort | None = None


class SetAutoApproval(Operation, tag="set_auto_approval", frozen=True):
    """Approve without asking (recurring jobs excepted), for this session or until the turn that runs ends.

    ``cost_cap_usd`` changes the cap, ``lift_cap`` takes it away.
    """

    enabled: bool
    scope: Literal["session", "turn"] = "session"
    cost_cap_usd: float | None = None
    lift_cap: bool = False


class SetTitle(Operation, tag="set_title", frozen=True):
    """Name the session."""

    title: str


class ReviewTraceSharing(Operation, tag="review_trace_sharing", frozen=True):
    """The user's settings of trace sharing were changed: read them again, and share this session's trace from now on, or no longer.

    It carries no answer of its own: whoever can send operations cannot thereby agree for the user.
    """


class Shutdown(Operation, tag="shutdown", frozen=True):
    """Stop what runs, give back what is leased, close the log."""


AnyOperation: TypeAlias = (
    UserInput
    | ExecApproval
    | AnswerQuestion
    | Interrupt
    | Compact
    | Undo
    | Rewind
    | New
    | Resume
    | Fork
    | SwitchModel
    | SetEffort
    | SetAutoApproval
    | SetTitle
    | ReviewTraceSharing
    | ChangeRule
    | ShowRules
    | TryCall
    | Shutdown
)
