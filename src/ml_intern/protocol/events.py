"""What happened in a session: one class per event, one closed union (``AnyEvent``).

``wire`` is the name on the wire; fields without a default are the keys that users of the original know, fields with one are
ours (left out of the JSON while they hold their default). *Transient* events are shown live and never stored.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from msgspec import Struct, field

from ml_intern.protocol.display import Display, PlanItem
from ml_intern.protocol.event_base import Event
from ml_intern.protocol.hook_events import HookRan
from ml_intern.protocol.messages import Image, Thinking, ToolCall, UnreadMessage
from ml_intern.protocol.permission_events import CallTried, PermissionGranted, RuleChanged, RulesInForce
from ml_intern.protocol.question_events import NoAnswer, QuestionAnswered, QuestionAsked
from ml_intern.protocol.remote_events import ConnectionChanged, OperationReceived, RemoteAnswered
from ml_intern.protocol.resource_events import (
    BudgetReserved,
    BudgetSettled,
    CreditsToppedUp,
    Feedback,
    HfJobComplete,
    HfJobSubmit,
    ProConversion,
    ProCtaClick,
    SandboxCreate,
    SandboxDestroy,
)
from ml_intern.protocol.rewind_events import RewindComplete, RewindPlanned, SnapshotTaken
from ml_intern.protocol.subagent_events import SubagentFinished, SubagentProgress

# ── the session ──────────────────────────────────────────────────────────────────────────────────────────────────────


class SessionStarted(Event, frozen=True):
    """The first event of every log. A fork copies its parent's events behind one of these."""

    wire = "session_started"
    session_id: str
    cwd: str
    model: str
    effort: str | None = None
    parent_id: str = ""
    forked_at_seq: int = 0


class Ready(Event, frozen=True):
    wire = "ready"
    message: str
    tool_count: int


class SessionUpdate(Event, frozen=True):
    """Auto-approval or the title changed. ``auto_approval``: enabled, cost_cap_usd, estimated_spend_usd, remaining_usd, this_turn.

    ``this_turn``: on until the turn that runs ends, whatever ``enabled`` says of the session.
    """

    wire = "session_update"
    session_id: str
    auto_approval: dict[str, Any]
    title: str = ""


class ModelSwitched(Event, frozen=True):
    wire = "model_switched"
    model: str
    previous: str


class EffortChanged(Event, frozen=True):
    """``effort`` is the user's preference; ``effective`` what the provider took after a refusal (None: no effort sent)."""

    wire = "effort_changed"
    effort: str | None
    effective: str | None
    note: str = ""


class NewComplete(Event, frozen=True):
    wire = "new_complete"
    session_id: str
    previous_session_id: str
    previous_turn_count: int
    previous_message_count: int
    saved_path: str | None
    clear_screen: bool


class ResumeComplete(Event, frozen=True):
    wire = "resume_complete"
    path: str
    restored_count: int
    dropped_count: int
    model_name: str
    invalid_saved_model: str | None
    forked: bool
    had_redacted_content: bool
    session_id: str = ""


class ResumedFrom(Event, frozen=True):
    """Written into the log at each resume; tells a reader that a new process took over. ``cwd``: where, if the folder changed.

    ``forked``: it ends what a fork copied of its parent, whose jobs and sandboxes are not the fork's.
    """

    wire = "resumed_from"
    path: str
    original_session_id: str
    original_event_count: int
    forked: bool
    cwd: str = ""


class SessionTerminated(Event, frozen=True):
    """The context cannot be brought under the window. The run is over; the session may still be undone or switched."""

    wire = "session_terminated"
    reason: str
    context_usage: int
    context_threshold: int
    error: str
    user_message: str


class SessionShutdown(Event, frozen=True):
    wire = "shutdown"


# ── the turn ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class UserMessageAdded(Event, frozen=True):
    """The user's words entered the history; ``steering`` when they arrived while a turn ran. ``sent_by``: see ``Operation``."""

    wire = "user_message"
    content: str
    images: tuple[Image, ...] = ()
    steering: bool = False
    sent_by: str = ""


class Processing(Event, frozen=True):
    wire = "processing"
    message: str


class AssistantChunk(Event, frozen=True):
    wire = "assistant_chunk"
    transient = True
    content: str


class ThinkingChunk(Event, frozen=True):
    wire = "thinking_chunk"
    transient = True
    content: str


class AssistantStreamEnd(Event, frozen=True):
    wire = "assistant_stream_end"
    transient = True


class AssistantMessageAdded(Event, frozen=True):
    """The whole reply. When ``streamed``, its text was already shown as chunks."""

    wire = "assistant_message"
    content: str
    streamed: bool = False
    tool_calls: tuple[ToolCall, ...] = ()
    thinking: tuple[Thinking, ...] = ()
    model: str = ""
    finish_reason: str = ""


class GuardTriggered(Event, frozen=True):
    """A policy spoke to the model: ``message`` entered the history as an internal user message."""

    wire = "guard_triggered"
    guard: str
    message: str


class Retrying(Event, frozen=True):
    """A model call failed and is sent again after ``delay_s``; ``discard_text``: forget the chunks since the last message."""

    wire = "retrying"
    attempt: int
    delay_s: float
    reason: str
    discard_text: bool = False


class LlmCall(Event, frozen=True):
    """One model call; ``cost_usd`` None means the price is unknown, which is not zero."""

    wire = "llm_call"
    model: str
    latency_ms: int
    finish_reason: str
    cost_usd: float | None
    kind: str
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cache_read_tokens: int
    cache_creation_tokens: int
    first_token_ms: int | None = None
    estimated: bool = False
    """The provider told no usage, or the call was cut off: tokens and cost are our estimate."""
    cache_saved_usd: float | None = None
    """What the provider's cache spared, less what writing to it cost; None where nobody knows, and where no cache was used."""


class Compacted(Event, frozen=True):
    """Older history was replaced by ``summary``. Kept word for word: the first user message and all from ``keep_from_seq``.

    ``shortened`` names (by seq) kept entries whose text was too long and is cut to its head and tail from now on.
    """

    wire = "compacted"
    old_tokens: int
    new_tokens: int
    summary: str = ""
    keep_from_seq: int = 0
    shortened: tuple[int, ...] = ()


class UndoComplete(Event, frozen=True):
    """History entries from ``cut_seq`` on no longer count; 0 means there was nothing to undo."""

    wire = "undo_complete"
    cut_seq: int = 0


class TurnComplete(Event, frozen=True):
    """``reason``: done, iteration_limit, spend_cap, context_exhausted, model_refused, hook_stop or declined."""

    wire = "turn_complete"
    history_size: int
    final_response: str | None
    reason: str = "done"
    detail: str = ""
    steps: int = 0


class Interrupted(Event, frozen=True):
    """``unread``: what was said before and had not reached the model, oldest first. The session drops it: it is its senders' again."""

    wire = "interrupted"
    unread: tuple[UnreadMessage, ...] = ()


class ErrorRaised(Event, frozen=True):
    """``kind``: the exception's class. It ends the turn, unless ``ends_turn`` is false. ``sent_by``: for whom it is, if not for all."""

    wire = "error"
    error: str
    kind: str = ""
    hint: str = ""
    ends_turn: bool = True
    sent_by: str | None = None


# ── tools ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class FileSeen(Struct, frozen=True, forbid_unknown_fields=True):
    """A file as a tool last saw it, so that a later edit can tell whether it changed meanwhile."""

    path: str
    mtime_ns: int
    size_bytes: int


class ToolCalled(Event, frozen=True):
    """A call is about to be judged and run. Stored before the tool starts."""

    wire = "tool_call"
    tool: str
    arguments: dict[str, Any]
    tool_call_id: str


class ToolLog(Event, frozen=True):
    """Progress. Output that streams from a running command is shown, not stored: ``tool_output`` will carry it."""

    wire = "tool_log"
    tool: str
    log: str
    tool_call_id: str = ""
    agent_id: str = ""
    label: str = ""


class ToolStateChange(Event, frozen=True):
    """``state``: waiting, changed, approved, rejected, running, cancelled, abandoned; jobs add their own. ``arguments``: as the user
    edited them (approved; changed: it is asked anew) or a hook did (changed): from here on they are the call's.
    ``rule``: what the user allowed "always" for another call, and approved this one too. ``reason``: of a rejection."""

    wire = "tool_state_change"
    tool_call_id: str
    tool: str
    state: str
    note: str = ""
    arguments: dict[str, Any] | None = None
    job_url: str = field(name="jobUrl", default="")
    trackio_space_id: str = field(name="trackioSpaceId", default="")
    trackio_project: str = field(name="trackioProject", default="")
    namespace: str = ""
    sent_by: str = ""
    reason: NoAnswer = "declined"
    rule: str = ""


class ToolFinished(Event, frozen=True):
    """The one answer to a call. ``output`` is what the model reads; ``error_kind``: see ``tool_runner``."""

    wire = "tool_output"
    tool: str
    tool_call_id: str
    output: str
    success: bool
    duration_s: float = 0.0
    error_kind: str = ""
    display: tuple[Display, ...] = ()
    images: tuple[Image, ...] = ()
    files: tuple[FileSeen, ...] = ()
    spill_path: str = ""


class PendingTool(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A call that waits for a decision, exactly as it will run."""

    tool: str
    arguments: dict[str, Any]
    tool_call_id: str
    reason: str = ""
    risk: tuple[str, ...] = ()
    display: tuple[Display, ...] = ()
    recurring: bool = False
    remember_rule: str = ""
    """What "always" would allow from now on."""
    auto_approval_blocked: bool = False
    block_reason: str | None = None
    estimated_cost_usd: float | None = None
    remaining_cap_usd: float | None = None


class ApprovalRequired(Event, frozen=True):
    """Calls of one batch wait for ``exec_approval``. ``usage_threshold`` / ``yolo_budget`` mark our own questions of money."""

    wire = "approval_required"
    tools: tuple[PendingTool, ...]
    count: int
    auto_approval_blocked: bool = False
    block_reason: str | None = None
    estimated_cost_usd: float | None = None
    remaining_cap_usd: float | None = None
    usage_threshold: bool = False
    yolo_budget: bool = False


class PlanUpdate(Event, frozen=True):
    wire = "plan_update"
    plan: tuple[PlanItem, ...]


# ── all of them (jobs, sandboxes, money and the web's own are in resource_events.py) ──────────────────────────────────

AnyEvent: TypeAlias = (
    SessionStarted | Ready | SessionUpdate | ModelSwitched | EffortChanged | NewComplete | ResumeComplete | ResumedFrom
    | SessionTerminated | SessionShutdown | UserMessageAdded | Processing | AssistantChunk | ThinkingChunk | AssistantStreamEnd
    | AssistantMessageAdded | GuardTriggered | Retrying | LlmCall | Compacted | UndoComplete | TurnComplete | Interrupted
    | ErrorRaised | ToolCalled | ToolLog | SubagentProgress | SubagentFinished | HookRan | SnapshotTaken | RewindPlanned | RewindComplete
    | ToolStateChange | ToolFinished | ApprovalRequired | PermissionGranted | RuleChanged | RulesInForce | CallTried
    | QuestionAsked | QuestionAnswered | PlanUpdate | BudgetReserved | BudgetSettled | HfJobSubmit | HfJobComplete | OperationReceived
    | SandboxCreate | SandboxDestroy | Feedback | ProCtaClick | ProConversion | CreditsToppedUp | ConnectionChanged | RemoteAnswered
)  # fmt: skip
