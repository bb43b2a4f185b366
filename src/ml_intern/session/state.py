"""Session state is a fold of the log: ``SessionState.apply(seq, event)``. There is no second copy to keep in step."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from ml_intern.protocol import events as e
from ml_intern.protocol.call_states import DECIDED
from ml_intern.protocol.display import PlanItem
from ml_intern.protocol.messages import AssistantMessage, ToolCall, ToolMessage, UserMessage
from ml_intern.protocol.ran_words import without_ran_words
from ml_intern.session.history import Compaction, History, estimate_all, estimate_tokens

RECENT_CALLS = 30
FIRST_USAGE_WARNING_USD = 5.0
FINISHED_JOBS = "finished_jobs"
"""The guard that tells of them."""
CUT_OFF = ("interrupted", "broken")
"""Finish reasons of calls whose reply is not part of the conversation as a reply: they cost, but are no step."""


class CallRecord(Struct, frozen=True):
    """A call and its answer, as the policies see them. ``arguments`` is the model's text, ``result`` the answer's."""

    name: str
    arguments: str
    result: str
    success: bool
    error_kind: str


class Spending:
    """What was spent and what is set aside, in US dollars. ``unpriced_calls`` counts calls whose price nobody knows."""

    def __init__(self, first_warning_usd: float) -> None:
        self.cap_usd: float | None = None
        self.spent_usd = 0.0
        self.unpriced_calls = 0
        self.inherited_usd = 0.0
        """Of ``spent_usd``, what the session had spent that this one is a fork of: it counts for the cap, and in that one's own cost."""
        self.inherited_unpriced = 0
        self.by_kind: Counter[str] = Counter()
        self.reserved: dict[str, tuple[float, str]] = {}
        self.held: set[str] = set()
        """Reservations that a running job or sandbox holds: they outlive the call that made them."""
        self.next_warning_usd = first_warning_usd

    @property
    def committed_usd(self) -> float:
        """Spent plus set aside."""
        return self.spent_usd + sum(amount for amount, _ in self.reserved.values())

    @property
    def remaining_usd(self) -> float | None:
        """What the cap leaves, or None without a cap."""
        return None if self.cap_usd is None else max(0.0, self.cap_usd - self.committed_usd)

    @property
    def own_usd(self) -> float:
        """Without what was inherited: what sums over sessions add up."""
        return self.spent_usd - self.inherited_usd

    @property
    def own_unpriced(self) -> int:
        """Calls of unknown price, without what was inherited."""
        return self.unpriced_calls - self.inherited_unpriced

    def after(self, events: Sequence[e.AnyEvent]) -> Spending:
        """How it stands once these are folded; this one stays as it is."""
        spending = Spending(0.0)
        spending.spent_usd, spending.unpriced_calls = self.spent_usd, self.unpriced_calls
        spending.inherited_usd, spending.inherited_unpriced = self.inherited_usd, self.inherited_unpriced
        spending.reserved = dict(self.reserved)
        for event in events:
            spending.apply(event)
        return spending

    def apply(self, event: e.AnyEvent) -> None:
        """Fold what changes what is spent or set aside."""
        match event:
            case e.LlmCall():
                self.spend(event.kind, event.cost_usd)
            case e.BudgetReserved():
                self.reserved[event.reservation_id] = (event.amount_usd, event.kind)
            case e.BudgetSettled():
                if reservation := self.reserved.pop(event.reservation_id, None):
                    amount, kind = reservation
                    self.spend(kind, amount if event.actual_usd is None else event.actual_usd)
                self.held.discard(event.reservation_id)
            case e.ResumedFrom(forked=True):
                self.inherited_usd, self.inherited_unpriced = self.spent_usd, self.unpriced_calls
            case _:
                pass

    def spend(self, kind: str, amount_usd: float | None) -> None:
        if amount_usd is None or not 0 <= amount_usd < float("inf"):  # whoever stated it: what is no amount may not raise the cap
            self.unpriced_calls += 1
            return
        self.spent_usd += amount_usd
        self.by_kind[kind] += amount_usd  # pyright: ignore[reportArgumentType]  # a Counter holds floats as well

    def acknowledge_warning(self) -> None:
        while 0 < self.next_warning_usd <= self.committed_usd:
            self.next_warning_usd *= 2


class SessionState:
    """Everything a session knows. Changed by ``apply`` alone."""

    def __init__(self, *, first_usage_warning_usd: float = FIRST_USAGE_WARNING_USD) -> None:
        self.last_seq = 0
        self.session_id = self.cwd = self.model = self.title = self.parent_id = ""
        self.effort: str | None = None
        self.effective_effort: dict[str, str | None] = {}
        self.auto_approval = self.yolo_this_turn = False
        self.history = History()
        self.plan: tuple[PlanItem, ...] = ()
        self._plans: list[tuple[int, tuple[PlanItem, ...]]] = []
        self.pending: dict[str, e.PendingTool] = {}
        self.questions: dict[str, e.QuestionAsked] = {}
        self.spending = Spending(first_usage_warning_usd)
        self.rules: list[tuple[str, str]] = []
        """Rules of this session alone, its grants among them: outcome and text."""
        self.jobs: dict[str, e.HfJobSubmit] = {}
        """Jobs that are not known to be over, by id."""
        self.finished_jobs: dict[str, e.HfJobComplete] = {}
        """Jobs that ended while no call waited for them: the model has not been told yet."""
        self.sandboxes: dict[str, e.SandboxCreate] = {}
        """Sandboxes that were not given back, by id."""
        self.files: dict[str, e.FileSeen] = {}
        self.snapshots: list[e.SnapshotTaken] = []
        self.rewinding = ""
        """The snapshot before a rewind of which no end is known."""
        self.cut_short: set[str] = set()
        """Snapshots before rewinds that were told to have been cut short."""
        self.recent_calls: deque[CallRecord] = deque(maxlen=RECENT_CALLS)
        self.call_ids: set[str] = set()
        self._error_kinds: dict[str, str] = {}
        self.turn_seqs: list[int] = []
        """The seq of the first message of each turn: what undo goes back to."""
        self._opening_seq = 0
        self.turn_count = 0
        self.turn_running = False
        self.steps = 0
        self.guards: Counter[str] = Counter()
        self.calls_since_guard: dict[str, int] = {}
        self._reported_tokens = 0
        self._unreported_tokens = 0
        self.first_user_text = ""
        self.hook_stop = ""
        """Why a hook of the user's wants this turn to end."""

    @property
    def context_tokens(self) -> int:
        """Tokens of the conversation: the provider's last count plus an estimate of what was added since."""
        return self._reported_tokens + self._unreported_tokens

    @property
    def tokens_were_reported(self) -> bool:
        """Whether ``context_tokens`` already counts the system prompt and the tools."""
        return self._reported_tokens > 0

    def apply(self, seq: int, event: e.AnyEvent) -> None:
        """Fold one stored event in."""
        self.last_seq = seq
        if handler := _HANDLERS.get(type(event)):
            handler(self, seq, event)

    # one small method per event that changes anything; the others are for readers of the log alone

    def _session_started(self, seq: int, event: e.SessionStarted) -> None:
        self.session_id, self.cwd, self.parent_id = event.session_id, event.cwd, event.parent_id
        self.model, self.effort = event.model, event.effort

    def _resumed(self, seq: int, event: e.ResumedFrom) -> None:
        self.cwd = event.cwd or self.cwd
        self.spending.apply(event)
        if event.forked:  # the parent looks after them
            self.jobs.clear()
            self.sandboxes.clear()
            self.yolo_this_turn = False  # said of the parent's turn

    def _session_update(self, seq: int, event: e.SessionUpdate) -> None:
        self.title = event.title or self.title
        if event.auto_approval:
            self.auto_approval = bool(event.auto_approval.get("enabled", self.auto_approval))
            self.spending.cap_usd = event.auto_approval.get("cost_cap_usd")
            self.yolo_this_turn = self.turn_running and bool(event.auto_approval.get("this_turn", self.yolo_this_turn))

    def _model_switched(self, seq: int, event: e.ModelSwitched) -> None:
        self.model = event.model
        self._recount()

    def _effort_changed(self, seq: int, event: e.EffortChanged) -> None:
        if event.effort != self.effort:
            self.effective_effort.clear()
        self.effort = event.effort
        if event.effective != event.effort:
            self.effective_effort[self.model] = event.effective

    def _user_message(self, seq: int, event: e.UserMessageAdded) -> None:
        self.first_user_text = self.first_user_text or without_ran_words(event.content)
        self._add_user(seq, UserMessage(text=event.content, images=event.images))
        if not self.turn_running:
            self._opening_seq = self._opening_seq or seq

    def _guard(self, seq: int, event: e.GuardTriggered) -> None:
        if event.guard == FINISHED_JOBS:
            self.finished_jobs.clear()
        self.guards[event.guard] += 1
        self.calls_since_guard[event.guard] = 0
        self._add_user(seq, UserMessage(text=event.message, internal=True))

    def _add_user(self, seq: int, message: UserMessage) -> None:
        self.history.add_user(seq, message)
        self._unreported_tokens += estimate_tokens(message)

    def _assistant_message(self, seq: int, event: e.AssistantMessageAdded) -> None:
        message = AssistantMessage(text=event.content, tool_calls=event.tool_calls, thinking=event.thinking, model=event.model)
        self.history.add_assistant(seq, message)
        self.call_ids.update(call.id for call in event.tool_calls)
        self._unreported_tokens += estimate_tokens(message)

    def _llm_call(self, seq: int, event: e.LlmCall) -> None:
        self.spending.apply(event)
        if event.kind != "main" or event.finish_reason in CUT_OFF:
            return
        self.steps += 1
        if event.total_tokens and not event.estimated:
            self._reported_tokens, self._unreported_tokens = event.total_tokens, 0

    def _tool_called(self, seq: int, event: e.ToolCalled) -> None:
        self.guards.clear()

    def _tool_finished(self, seq: int, event: e.ToolFinished) -> None:
        self.pending.pop(event.tool_call_id, None)
        self._error_kinds[event.tool_call_id] = event.error_kind
        for seen in event.files:
            self.files[seen.path] = seen
        message = ToolMessage(
            tool_call_id=event.tool_call_id, name=event.tool, text=event.output, success=event.success, images=event.images
        )
        group = self.history.answer(seq, message)
        for call, answer in group:
            self._record(call, answer)
        self._unreported_tokens += estimate_tokens(message)

    def _record(self, call: ToolCall, answer: ToolMessage) -> None:
        kind = self._error_kinds.pop(call.id, "")
        self.recent_calls.append(CallRecord(call.name, call.arguments, answer.text, answer.success, kind))
        for guard in self.calls_since_guard:
            self.calls_since_guard[guard] += 1

    def _approval_required(self, seq: int, event: e.ApprovalRequired) -> None:
        self.pending.update({tool.tool_call_id: tool for tool in event.tools})

    def _tool_state(self, seq: int, event: e.ToolStateChange) -> None:
        if event.state not in DECIDED:
            return
        decided = self.pending.pop(event.tool_call_id, None)
        if event.state == "approved" and decided is not None and decided.tool == "usage_threshold":
            self.spending.acknowledge_warning()

    def _granted(self, seq: int, event: e.PermissionGranted) -> None:
        if event.scope == "session":  # those for the project are kept for its folder
            self._rule_changed(seq, e.RuleChanged(outcome="allow", rule=event.rule, scope="session"))

    def _rule_changed(self, seq: int, event: e.RuleChanged) -> None:
        if event.scope == "session":
            self.rules = [rule for rule in self.rules if rule != (event.outcome, event.rule)]
            self.rules += [] if event.removed else [(event.outcome, event.rule)]

    def _question_asked(self, seq: int, event: e.QuestionAsked) -> None:
        self.questions[event.question_id] = event

    def _question_answered(self, seq: int, event: e.QuestionAnswered) -> None:
        self.questions.pop(event.question_id, None)

    def _plan_update(self, seq: int, event: e.PlanUpdate) -> None:
        self.plan = event.plan
        self._plans.append((seq, event.plan))

    def _budget(self, seq: int, event: e.BudgetReserved | e.BudgetSettled) -> None:
        self.spending.apply(event)

    def _job_submitted(self, seq: int, event: e.HfJobSubmit) -> None:
        self.jobs[event.job_id] = event
        self._hold(event.reservation_id)

    def _job_complete(self, seq: int, event: e.HfJobComplete) -> None:
        job = self.jobs.pop(event.job_id, None)
        if job is not None and job.tool_call_id not in {call.id for call in self.history.open_calls}:
            self.finished_jobs[event.job_id] = event  # the call that waits for it tells the model itself

    def _sandbox_created(self, seq: int, event: e.SandboxCreate) -> None:
        self.sandboxes[event.sandbox_id] = event
        self._hold(event.reservation_id)

    def _sandbox_destroyed(self, seq: int, event: e.SandboxDestroy) -> None:
        self.sandboxes.pop(event.sandbox_id, None)

    def _hold(self, reservation_id: str) -> None:
        if reservation_id in self.spending.reserved:
            self.spending.held.add(reservation_id)

    def _snapshot(self, seq: int, event: e.SnapshotTaken) -> None:
        self.snapshots.append(event)
        if event.kind == "rewind":
            self.rewinding = event.commit

    def _rewound(self, seq: int, event: e.RewindComplete | e.RewindPlanned) -> None:
        self.rewinding = ""
        if isinstance(event, e.RewindComplete) and event.cut_short:
            self.cut_short.add(event.saved)

    def _compacted(self, seq: int, event: e.Compacted) -> None:
        if event.keep_from_seq:
            mark = Compaction(seq, event.summary, event.keep_from_seq, frozenset(event.shortened))
            self.history.compact(mark)
            self._recount()

    def _undone(self, seq: int, event: e.UndoComplete) -> None:
        if not event.cut_seq:
            return
        self.history.cut(event.cut_seq)
        self._plans = [(at, plan) for at, plan in self._plans if at < event.cut_seq]
        self.plan = self._plans[-1][1] if self._plans else ()
        self.turn_seqs = [at for at in self.turn_seqs if at < event.cut_seq]
        self.turn_count = len(self.turn_seqs)
        self._opening_seq = 0
        self.recent_calls.clear()
        self.pending.clear()
        self._recount()

    def _recount(self) -> None:
        self._reported_tokens = 0
        self._unreported_tokens = estimate_all(self.history.messages)

    def _processing(self, seq: int, event: e.Processing) -> None:
        self.turn_running, self.steps, self.hook_stop = True, 0, ""
        if self._opening_seq:
            self.turn_seqs.append(self._opening_seq)
            self._opening_seq = 0
        self.guards.clear()
        self.turn_count += 1

    def _hook_ran(self, seq: int, event: e.HookRan) -> None:
        if event.outcome == "stopped":
            self.hook_stop = f"The hook `{event.command}` ({event.hook_event_name}) ended the turn: {event.message}"

    def _turn_ended(self, seq: int, event: Any) -> None:
        if isinstance(event, e.ErrorRaised) and event.kind == "RewindFailed":
            self.rewinding = ""
        if isinstance(event, e.ErrorRaised) and not event.ends_turn:
            return
        self.turn_running = self.yolo_this_turn = False
        self.pending.clear()
        self.questions.clear()


_HANDLERS: dict[type[e.AnyEvent], Callable[[SessionState, int, Any], None]] = {
    e.SessionStarted: SessionState._session_started,  # pyright: ignore[reportPrivateUsage]
    e.ResumedFrom: SessionState._resumed,  # pyright: ignore[reportPrivateUsage]
    e.SessionUpdate: SessionState._session_update,  # pyright: ignore[reportPrivateUsage]
    e.ModelSwitched: SessionState._model_switched,  # pyright: ignore[reportPrivateUsage]
    e.EffortChanged: SessionState._effort_changed,  # pyright: ignore[reportPrivateUsage]
    e.UserMessageAdded: SessionState._user_message,  # pyright: ignore[reportPrivateUsage]
    e.GuardTriggered: SessionState._guard,  # pyright: ignore[reportPrivateUsage]
    e.AssistantMessageAdded: SessionState._assistant_message,  # pyright: ignore[reportPrivateUsage]
    e.LlmCall: SessionState._llm_call,  # pyright: ignore[reportPrivateUsage]
    e.ToolCalled: SessionState._tool_called,  # pyright: ignore[reportPrivateUsage]
    e.ToolFinished: SessionState._tool_finished,  # pyright: ignore[reportPrivateUsage]
    e.ApprovalRequired: SessionState._approval_required,  # pyright: ignore[reportPrivateUsage]
    e.ToolStateChange: SessionState._tool_state,  # pyright: ignore[reportPrivateUsage]
    e.PermissionGranted: SessionState._granted,  # pyright: ignore[reportPrivateUsage]
    e.RuleChanged: SessionState._rule_changed,  # pyright: ignore[reportPrivateUsage]
    e.QuestionAsked: SessionState._question_asked,  # pyright: ignore[reportPrivateUsage]
    e.QuestionAnswered: SessionState._question_answered,  # pyright: ignore[reportPrivateUsage]
    e.PlanUpdate: SessionState._plan_update,  # pyright: ignore[reportPrivateUsage]
    e.BudgetReserved: SessionState._budget,  # pyright: ignore[reportPrivateUsage]
    e.BudgetSettled: SessionState._budget,  # pyright: ignore[reportPrivateUsage]
    e.HfJobSubmit: SessionState._job_submitted,  # pyright: ignore[reportPrivateUsage]
    e.HfJobComplete: SessionState._job_complete,  # pyright: ignore[reportPrivateUsage]
    e.SandboxCreate: SessionState._sandbox_created,  # pyright: ignore[reportPrivateUsage]
    e.SandboxDestroy: SessionState._sandbox_destroyed,  # pyright: ignore[reportPrivateUsage]
    e.SnapshotTaken: SessionState._snapshot,  # pyright: ignore[reportPrivateUsage]
    e.RewindPlanned: SessionState._rewound,  # pyright: ignore[reportPrivateUsage]
    e.RewindComplete: SessionState._rewound,  # pyright: ignore[reportPrivateUsage]
    e.Compacted: SessionState._compacted,  # pyright: ignore[reportPrivateUsage]
    e.UndoComplete: SessionState._undone,  # pyright: ignore[reportPrivateUsage]
    e.HookRan: SessionState._hook_ran,  # pyright: ignore[reportPrivateUsage]
    e.Processing: SessionState._processing,  # pyright: ignore[reportPrivateUsage]
    e.TurnComplete: SessionState._turn_ended,  # pyright: ignore[reportPrivateUsage]
    e.Interrupted: SessionState._turn_ended,  # pyright: ignore[reportPrivateUsage]
    e.ErrorRaised: SessionState._turn_ended,  # pyright: ignore[reportPrivateUsage]
}
