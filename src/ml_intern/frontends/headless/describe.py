"""Events in words: the same lines for people on a terminal and for a log file."""

from __future__ import annotations

import os
from typing import assert_never

from ml_intern.config.paths import with_tilde
from ml_intern.frontends.headless.describe_own import describe_own
from ml_intern.frontends.headless.describe_remote import describe_remote
from ml_intern.frontends.headless.show import answer_lines, call_line, plan_lines
from ml_intern.frontends.headless.text import Line, clip_text, line, lines
from ml_intern.protocol import events as e
from ml_intern.protocol import resource_events as r
from ml_intern.protocol.amounts import count_text, counted, duration, usd
from ml_intern.protocol.question_events import words_of_refusal
from ml_intern.protocol.senders import decided_words
from ml_intern.protocol.session_ids import short_id

SILENT = (
    e.Ready | e.SessionUpdate | e.NewComplete | e.ResumeComplete | e.SessionShutdown | e.UserMessageAdded | e.Processing
    | e.AssistantChunk | e.ThinkingChunk | e.AssistantStreamEnd | e.AssistantMessageAdded | e.LlmCall | e.UndoComplete
    | e.TurnComplete | e.Interrupted | e.PermissionGranted | e.RulesInForce | e.CallTried | r.BudgetReserved | r.BudgetSettled | r.Feedback
    | r.ProCtaClick | r.ProConversion
)  # fmt: skip
"""Nothing to say in a line: they are text, which each output streams its way, or bookkeeping, or what the last line sums up."""

TOOL = e.ToolCalled | e.ToolLog | e.SubagentProgress | e.SubagentFinished | e.ToolStateChange | e.ToolFinished
NOTICE = e.GuardTriggered | e.Retrying | e.Compacted | e.SessionTerminated | e.ErrorRaised
QUESTION = e.ApprovalRequired | e.QuestionAsked | e.QuestionAnswered
SESSION = e.SessionStarted | e.ResumedFrom | e.ModelSwitched | e.EffortChanged
RESOURCE = r.HfJobSubmit | r.HfJobComplete | r.SandboxCreate | r.SandboxDestroy | r.CreditsToppedUp

TOLD_OTHERWISE = ("running",)
"""States of a call that its own lines have told."""
_GUARD_WORDS = 160
_GUARDS = {
    "finished_jobs": "a job ended meanwhile; the model was told",
    "doom_loop": "the model repeats itself; told to take another way",
    "malformed_calls": "the model's calls are no valid JSON; told to send them in smaller parts",
    "truncated_reply": "the model's reply broke off; told to go on in smaller parts",
    "unfinished_plan": "the model stopped with its plan unfinished; told to go on",
}


def describe(event: e.AnyEvent, *, verbose: bool) -> list[Line]:
    """The lines that tell of an event; none for those that need no telling."""
    match event:
        case e.PlanUpdate():
            return plan_lines(event.plan)
        case e.ToolCalled() | e.ToolLog() | e.SubagentProgress() | e.SubagentFinished() | e.ToolStateChange() | e.ToolFinished():
            return _tool(event, verbose)
        case e.GuardTriggered() | e.Retrying() | e.Compacted() | e.SessionTerminated() | e.ErrorRaised():
            return _notice(event, verbose)
        case e.ApprovalRequired() | e.QuestionAsked() | e.QuestionAnswered():
            return _question(event)
        case e.HookRan() | e.SnapshotTaken() | e.RewindPlanned() | e.RewindComplete() | e.RuleChanged():
            return describe_own(event)
        case e.ConnectionChanged() | e.OperationReceived() | e.RemoteAnswered():
            return describe_remote(event)
        case e.SessionStarted() | e.ResumedFrom() | e.ModelSwitched() | e.EffortChanged():
            return _session(event)
        case r.HfJobSubmit() | r.HfJobComplete() | r.SandboxCreate() | r.SandboxDestroy() | r.CreditsToppedUp():
            return _resource(event)
        case _:
            silent: SILENT = event  # pyright proves that nothing is forgotten
            del silent
            return []


def _tool(event: TOOL, verbose: bool) -> list[Line]:
    match event:
        case e.ToolCalled():
            return [call_line("▸", event.tool, event.arguments)]
        case e.ToolFinished():
            return answer_lines(event, verbose=verbose)
        case e.ToolLog():
            said = event.label or event.tool
            return [line(("dim", f"  {said}: {row}")) for row in event.log.rstrip("\n").split("\n")]
        case e.SubagentProgress():
            return [line(("dim", f"  {event.label} · {_subagent(event)}{' · ' + event.activity if event.activity else ''}"))]
        case e.SubagentFinished():
            detail = f": {event.detail}" if event.detail else ""
            took = f" · {duration(event.duration_s)}" if event.duration_s else ""
            words = f"  {event.label} · {event.outcome}{detail} · {_subagent(event)}{took}"
            return [line(("dim", words))]
        case e.ToolStateChange():
            if event.state == "changed" and event.arguments is not None:
                return [call_line("▸", event.tool, event.arguments, note=event.note)]
            if event.state in ("approved", "rejected"):
                return _decision(event)
            if event.state in TOLD_OTHERWISE and not verbose:
                return []
            return [line(("dim", f"  {event.tool} {event.state}{': ' + event.note if event.note else ''}"))]
        case _:
            assert_never(event)


def _decision(event: e.ToolStateChange) -> list[Line]:
    """What came of a call that was asked about, by whom, and what will run where that was edited."""
    by = f" {decided_words(event.sent_by)}" if event.sent_by else ""
    if event.state == "rejected":
        # Where nobody answered, the note is for the model.
        said = f": {event.note}" if event.note and event.reason == "declined" else ""
        return lines(f"{event.tool} {words_of_refusal(event.reason)}{by}{said}", "dim", "  ")
    edited = [] if event.arguments is None else [call_line("▸", event.tool, event.arguments, note="as edited")]
    said = f": {event.note}" if event.note else ""
    return [*lines(f"{event.tool} approved{' (edited)' if edited else ''}{by}{said}", "dim", "  "), *edited]


def _subagent(event: e.SubagentProgress | e.SubagentFinished) -> str:
    counts = f"{counted(event.steps, 'step')}, {counted(event.tool_calls, 'call')}"
    return f"{counts}, {count_text(event.tokens)} tokens, {usd(event.cost_usd)}"


def _notice(event: NOTICE, verbose: bool) -> list[Line]:
    match event:
        case e.GuardTriggered():
            return lines(f"· {event.guard}: {event.message}" if verbose else f"· {_guarded(event)}", "dim")
        case e.Retrying():
            return [line(("warn", f"! {event.reason} · trying again in {duration(event.delay_s)} (attempt {event.attempt})"))]
        case e.Compacted():
            return [line(("dim", f"· older history summarised: {count_text(event.old_tokens)} → {count_text(event.new_tokens)} tokens"))]
        case e.SessionTerminated():
            return lines(f"✗ {event.user_message or event.error}", "bad")
        case e.ErrorRaised():
            hint = lines(event.hint, "dim", "  ") if event.hint else []
            return [*lines(f"✗ {event.error}", "bad"), *hint]
        case _:
            assert_never(event)


def _guarded(event: e.GuardTriggered) -> str:
    """What happened, for a person: the message itself is for the model. Of a guard that is not known here, its first sentence."""
    if event.guard in _GUARDS:
        return _GUARDS[event.guard]
    words = " ".join(event.message.split())
    if words.startswith("[SYSTEM:"):
        words = words.removeprefix("[SYSTEM:").replace("]", "", 1).strip()
    first, end, _ = words.partition(". ")
    return clip_text(f"{event.guard}: {first}{end.strip()}", _GUARD_WORDS)


def _question(event: QUESTION) -> list[Line]:
    match event:
        case e.ApprovalRequired():
            return [row for tool in event.tools for row in _asked(tool)]
        case e.QuestionAsked():
            return [line(("warn", f"? {event.question}")), *(line(("dim", f"  - {option}")) for option in event.options)]
        case e.QuestionAnswered():
            by = f" {decided_words(event.sent_by)}" if event.sent_by else ""
            return [line(("dim", f"  {event.outcome_words}{by}{f': {event.answer}' if event.answer else ''}"))]
        case _:
            assert_never(event)


def _asked(tool: e.PendingTool) -> list[Line]:
    """The question alone: what came of it is an event of its own."""
    reason = tool.block_reason or tool.reason
    cost = "" if tool.estimated_cost_usd is None else f" (about {usd(tool.estimated_cost_usd)})"
    why = f"needs an approval{cost}{': ' + reason if reason else ''}"
    return [call_line("!", tool.tool, tool.arguments, style="warn"), *lines(why, "dim", "  ")]


def _session(event: SESSION) -> list[Line]:
    match event:
        case e.SessionStarted():
            return [line(("accent", "ml-intern"), ("dim", f" · {event.model} · {with_tilde(event.cwd, os.path.expanduser('~'))}"))]
        case e.ResumedFrom():
            how = "forked from" if event.forked else "resumed"
            return [line(("accent", "ml-intern"), ("dim", f" · {how} session {short_id(event.original_session_id)}"))]
        case e.ModelSwitched():
            return [line(("dim", f"· model: {event.previous} → {event.model}"))]
        case e.EffortChanged():
            return [line(("dim", f"· reasoning effort: {event.effective or 'none'}{' · ' + event.note if event.note else ''}"))]
        case _:
            assert_never(event)


def _resource(event: RESOURCE) -> list[Line]:
    match event:
        case r.HfJobSubmit():
            where = f" · {event.job_url}" if event.job_url else ""  # a job of this machine has no page
            return [line(("tool", "▸ job "), f"{event.job_id} on {event.flavor}, at most {event.timeout}{where}")]
        case r.HfJobComplete():
            cost = "unknown price" if event.estimated_cost_usd is None else usd(event.estimated_cost_usd)
            return [line(f"  job {event.job_id}: {event.final_status} after {duration(event.wall_time_s)} · {cost}")]
        case r.SandboxCreate():
            return [line(("dim", f"· sandbox {event.sandbox_id} on {event.hardware} is ready"))]
        case r.SandboxDestroy():
            cost = "unknown price" if event.estimated_cost_usd is None else usd(event.estimated_cost_usd)
            return [line(("dim", f"· sandbox {event.sandbox_id} given back after {duration(event.lifetime_s)} · {cost}"))]
        case r.CreditsToppedUp():
            return [line(("dim", f"· credits of {event.namespace} topped up"))]
        case _:
            assert_never(event)
