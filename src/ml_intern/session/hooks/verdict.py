"""What comes of a hook's end: its exit code, its words and its answer become a verdict, and several verdicts one."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ml_intern.compute.piped import PipedResult
from ml_intern.protocol.hook_events import HookRan
from ml_intern.protocol.messages import JsonObject
from ml_intern.session.hooks.contract import BLOCKS, Answer, HookEvent, Moment, parse_answer

Permission: TypeAlias = Literal["", "allow", "ask"]
MAX_WORDS = 10_000
"""Characters that a hook may say to the model or the user."""
LINE_CHARS = 300
"""Of the first line of standard error."""
RAN = "ran"
"""A hook that let things be."""
NOT_RUN = frozenset({126, 127})
"""Exit codes of a shell that found no program, or none that may be run."""
NO_REASON = "It gave no reason."
_TEXT_IS_CONTEXT: frozenset[HookEvent] = frozenset({"UserPromptSubmit", "SessionStart"})
"""Events whose hooks may speak to the model without JSON."""
_STOPPABLE: frozenset[HookEvent] = frozenset(
    {"PreToolUse", "PostToolUse", "PermissionRequest", "UserPromptSubmit", "Stop", "PreJob", "PrePublish"}
)
"""Events within a turn, which ``"continue": false`` ends."""
_BLOCKABLE_BY_STOP: frozenset[HookEvent] = frozenset(
    {"PreToolUse", "PermissionRequest", "UserPromptSubmit", "PreCompact", "PreJob", "PrePublish"}
)
"""Events that stand before something, which does not happen either then."""


_GUARDS: frozenset[HookEvent] = frozenset({"PreToolUse", "PreJob", "PrePublish"})


class Verdict(Struct, frozen=True, kw_only=True):
    """What the hooks of a moment said together: one that blocks wins, then one that asks, then one that allows."""

    blocked: str = ""
    """Why, and which hook; empty when none blocks."""
    permission: Permission = ""
    why: str = ""
    """Of ``permission``."""
    arguments: JsonObject | None = None
    """In place of the call's."""
    context: str = ""
    """For the model."""
    stop: str = ""
    """Why the turn ends here; empty when it goes on."""
    told: tuple[HookRan, ...] = ()
    """For the log; those that are ``RAN`` are only shown."""


SILENCE = Verdict()


def judged(event: HookEvent, result: PipedResult, timeout_s: float) -> Verdict:
    """Of one hook that ended."""
    if result.timed_out:
        return failed(f"It was stopped after {timeout_s:g} s.")
    if result.exit_code == BLOCKS:
        return Verdict(blocked=_cut(result.stderr) or NO_REASON)
    if result.exit_code in NOT_RUN:
        return left_out(event, f"It could not be run (exit code {result.exit_code}): {_cut(result.stderr) or 'no such program'}")
    if result.exit_code:
        return failed(f"Exit code {result.exit_code}. {_cut(result.stderr)}".strip())
    try:
        answer = parse_answer(result.stdout)
    except msgspec.MsgspecError as error:
        return failed(f"Its output is no answer: {error}.")
    if answer is not None:
        return _answered(event, answer)
    text = _cut(result.stdout) if event in _TEXT_IS_CONTEXT else ""
    return Verdict(context=text)


def failed(why: str) -> Verdict:
    """Of one that did not end as it should: told, and without effect."""
    return Verdict(told=(_unsigned("failed", why),))


def left_out(event: HookEvent, why: str) -> Verdict:
    """Of one that may not run: it guards nothing then, so what it stands before does not happen."""
    return Verdict(blocked=why) if event in _GUARDS else failed(why)


def _answered(event: HookEvent, answer: Answer) -> Verdict:
    said = (_unsigned("said", _cut(answer.system_message)),) if answer.system_message else ()
    stop = _stop(event, answer)
    blocked = _blocked(event, answer)
    own, dialog = answer.hook_specific_output, answer.hook_specific_output.decision
    if blocked:
        return Verdict(blocked=blocked, stop=stop, context=_cut(own.additional_context), told=said)
    updated = dialog.updated_input if dialog is not None and dialog.updated_input is not None else own.updated_input
    return Verdict(
        permission=_permission(answer),
        why=_cut(own.permission_decision_reason or answer.reason),
        arguments=updated,
        context=_cut(own.additional_context),
        stop=stop,
        told=said,
    )


def _stop(event: HookEvent, answer: Answer) -> str:
    dialog = answer.hook_specific_output.decision
    if event not in _STOPPABLE:
        return ""
    if not answer.go_on:
        return _cut(answer.stop_reason) or NO_REASON
    if dialog is not None and dialog.behavior == "deny" and dialog.interrupt:
        return _cut(dialog.message) or NO_REASON
    return ""


def _blocked(event: HookEvent, answer: Answer) -> str:
    own, dialog = answer.hook_specific_output, answer.hook_specific_output.decision
    if dialog is not None and dialog.behavior == "deny":
        return _cut(dialog.message) or NO_REASON
    if own.permission_decision == "deny" or answer.decision in ("block", "deny"):
        return _cut(own.permission_decision_reason or answer.reason or answer.stop_reason) or NO_REASON
    if not answer.go_on and event in _BLOCKABLE_BY_STOP:
        return _cut(answer.stop_reason or answer.reason) or NO_REASON
    return ""


def _permission(answer: Answer) -> Permission:
    own = answer.hook_specific_output
    if own.permission_decision == "ask":
        return "ask"
    by_dialog = own.decision is not None and own.decision.behavior == "allow"
    return "allow" if own.permission_decision == "allow" or answer.decision == "approve" or by_dialog else ""


def _unsigned(outcome: str, message: str) -> HookRan:
    return HookRan(hook_event_name="", command="", outcome=outcome, message=message)


def signed(verdict: Verdict, moment: Moment, command: str, duration_s: float, result: PipedResult | None) -> Verdict:
    """With the hook's name, and what it did as events. ``result`` None: it could not be started."""
    outcomes = [
        ("blocked", verdict.blocked, bool(verdict.blocked)),
        ("asked" if verdict.permission == "ask" else "allowed", verdict.why, bool(verdict.permission)),
        ("changed", "", verdict.arguments is not None),
        ("context", verdict.context, bool(verdict.context)),
        ("stopped", verdict.stop, bool(verdict.stop)),
    ]
    events = [*verdict.told, *(_unsigned(name, message) for name, message, happened in outcomes if happened)]
    ended = result is not None and not result.timed_out
    told = tuple(
        replace(
            event,
            hook_event_name=moment.event,
            command=command,
            tool_call_id=moment.tool_call_id,
            duration_s=duration_s,
            exit_code=result.exit_code if result is not None and ended else None,
            stderr=_first_line(result.stderr) if result is not None else "",
        )
        for event in events or [_unsigned(RAN, "")]
    )
    blocked = f"The hook `{command}` ({moment.event}) blocked it: {_sentence(verdict.blocked)}" if verdict.blocked else ""
    why = f"The hook `{command}` wants it so{f': {_sentence(verdict.why)}' if verdict.why else '.'}" if verdict.permission else ""
    stop = f"The hook `{command}` ({moment.event}) ended the turn: {_sentence(verdict.stop)}" if verdict.stop else ""
    return replace(verdict, told=told, blocked=blocked, why=why, stop=stop)


def together(verdicts: list[Verdict]) -> Verdict:
    """The strictest of them; every word for the model."""
    blocked = [one.blocked for one in verdicts if one.blocked]
    asking = next((one for one in verdicts if one.permission == "ask"), None)
    allowing = next((one for one in verdicts if one.permission == "allow"), None)
    chosen = asking or allowing or SILENCE
    return Verdict(
        blocked="\n".join(blocked),
        permission=chosen.permission,
        why=chosen.why,
        arguments=next((one.arguments for one in reversed(verdicts) if one.arguments is not None), None),
        context="\n".join(one.context for one in verdicts if one.context),
        stop="\n".join(one.stop for one in verdicts if one.stop),
        told=tuple(event for one in verdicts for event in one.told),
    )


def _sentence(text: str) -> str:
    """What follows must not run into it."""
    return text if text.endswith((".", "!", "?", "]")) else f"{text}."


def _first_line(text: str) -> str:
    return next((row.strip() for row in text.splitlines() if row.strip()), "")[:LINE_CHARS]


def _cut(text: str) -> str:
    text = text.strip()
    return text if len(text) <= MAX_WORDS else f"{text[:MAX_WORDS]} […]"
