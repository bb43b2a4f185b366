"""``/permissions``: the rules in force, where each comes from, changing them, and what would become of a call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple, cast

from msgspec.structs import replace

from ml_intern.errors import ConfigError
from ml_intern.frontends.headless.text import Line, Style, line, lines
from ml_intern.frontends.tui.screens.picker import Choice, Picker
from ml_intern.frontends.tui.screens.questions import AskLine, Confirm
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.permission_events import RuleInForce
from ml_intern.protocol.permission_operations import RuleOutcome, RuleScope
from ml_intern.session.permissions import Rule

if TYPE_CHECKING:
    from ml_intern.frontends.tui.app import TuiApp

ANSWER_TIMEOUT_S = 20.0
TRY = "test"
_STYLES: dict[str, Style] = {"allow": "good", "ask": "warn", "deny": "bad"}
_SCOPES = {"session": "in this session", "project": "in this folder, whatever works in it", "user": "everywhere"}
_MODES = {
    "ask": "No rule: what only reads, or runs in a sandbox, runs; the rest asks.",
    "contained": "No rule: what runs in a sandbox runs; the rest asks.",
    "yolo": "No rule: it runs (yolo is on).",
}
_WAYS = "Such as bash(pytest *), hf_jobs(run cpu-*), write(src/*), mcp:github:*"
_CALLS = "Such as bash: git push, or the arguments as JSON: write: {…}. Nothing is run."


class _Row(NamedTuple):
    """A row of the list: ``do`` is ``add``, ``try`` or ``rule``."""

    do: str
    rule: RuleInForce | None = None


async def show_permissions(app: TuiApp, rest: str) -> None:
    """``/permissions``; the list comes back after each change, until it is left."""
    word, _, call = rest.partition(" ")
    if word == TRY and call.strip():
        await _say_tried(app, call.strip())
    elif rest:
        await _add(app, rest)
    else:
        await _list(app)


async def _list(app: TuiApp) -> None:
    at, told = None, ""
    while True:
        shown = await _answer(app, op.ShowRules(), e.RulesInForce)
        if not isinstance(shown, e.RulesInForce):
            return
        picked = await app.push_screen_wait(Picker("Permissions", _choices(shown), head=_head(shown, told), at=at))
        told = ""
        match picked:
            case None:
                return
            case _Row(do="add"):
                await _add(app, "")
            case _Row(do="try"):
                told = await _try(app)
            case _Row(rule=rule):
                if rule is not None:
                    await _change(app, rule)
        at = picked


def _head(shown: e.RulesInForce, told: str) -> str:
    if told:
        return told
    first = "This session is read-only: whatever changes something is denied. " if shown.read_only else ""
    return f"{first}Deny is looked at first, then ask, then allow. {_MODES.get(shown.mode, '')}"


def _choices(shown: e.RulesInForce) -> list[Choice[_Row]]:
    how = tuple(lines(f"A rule is a tool, or a tool with a pattern:\n\n  bash(pytest *)\n  hf_jobs(run cpu-*)\n  mcp:github:*\n\n{_STAR}"))
    add = Choice(value=_Row("add"), row=line(("accent", "+ add a rule …")), words="add a rule", about=how)
    trying = Choice(value=_Row("try"), row=line(("accent", "? test a call …")), words="test a call", about=tuple(lines(_CALLS)))
    return [add, trying, *map(_choice, shown.rules)]


_STAR = "* stands for anything."


def _choice(rule: RuleInForce) -> Choice[_Row]:
    if rule.idle:
        row = line(("dim", f"{rule.outcome:<6}{rule.rule}  no effect: {rule.origin}"))
    else:
        row = line((_STYLES[rule.outcome], f"{rule.outcome:<6}"), f"{rule.rule}", ("dim", f"  {rule.origin}"))
    words = f"{rule.outcome} {rule.rule} {rule.origin} {'no effect' if rule.idle else ''}"
    return Choice(value=_Row("rule", rule), row=row, words=words, about=tuple(_about(rule)))


def _about(rule: RuleInForce) -> list[Line]:
    rows = [*lines(rule.rule, "bold"), *lines(f"{rule.outcome}, from {rule.origin}"), line()]
    if rule.idle:
        rows += [*lines(f"It has no effect: {rule.idle}.", "warn"), line()]
    if rule.scope == "session":
        rows += [*lines("It ends with the session.", "dim")]
    if rule.scope:
        return [*rows, line(("dim", "Enter changes or removes it."))]
    return [*rows, *lines("It is not in your own settings file: change it where it stands.", "dim")]


# ── changing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _change(app: TuiApp, rule: RuleInForce) -> None:
    if not rule.scope:
        app.say(f"The rule `{rule.rule}` is from {rule.origin} and cannot be changed here.", bad=True)
        return
    ways = {"remove": "remove it", "edit": "change it"}
    choices = [Choice(value=key, row=line(words), words=words) for key, words in ways.items()]
    match await app.push_screen_wait(Picker(f"{rule.outcome} {rule.rule}", choices, head=f"From {rule.origin}.")):
        case "remove":
            if await app.push_screen_wait(Confirm("Remove this rule?", f"{rule.outcome} {rule.rule}\nIt is gone from the next call on.")):
                await _done(app, _operation(rule, remove=True))
        case "edit":
            text = await _asked_rule(app, "The rule", rule.rule)
            if text and text != rule.rule:
                await _done(app, replace(_operation(rule), rule=text, replaces=rule.rule))
        case _:
            pass


def _operation(rule: RuleInForce, *, remove: bool = False) -> op.ChangeRule:
    outcome, scope = cast("RuleOutcome", rule.outcome), cast("RuleScope", rule.scope)
    return op.ChangeRule(outcome=outcome, rule=rule.rule, scope=scope, remove=remove)


async def _add(app: TuiApp, text: str) -> None:
    if text:
        Rule.parse(text)  # an allow rule must say more, and the session refuses it otherwise
    elif not (text := await _asked_rule(app, "Which calls?", "")):
        return
    offered = [op.ChangeRule(outcome=outcome, rule=text, scope=scope) for outcome in _ORDER for scope in _PLACES]
    choices = [
        Choice(value=change, row=line((_STYLES[change.outcome], change.outcome), f" {words}"), words=f"{change.outcome} {words}")
        for change in offered
        for words in (_SCOPES[change.scope],)
    ]
    if (wanted := await app.push_screen_wait(Picker(f"What about {text}?", choices))) is not None:
        await _done(app, wanted)


_ORDER: tuple[RuleOutcome, ...] = ("allow", "ask", "deny")
_PLACES: tuple[RuleScope, ...] = ("session", "project", "user")


async def _asked_rule(app: TuiApp, question: str, text: str) -> str:
    """A rule, or nothing; what is none is asked for again, with the reason."""
    detail = _WAYS
    while text := await app.push_screen_wait(AskLine(question, detail=detail, value=text)):
        try:
            Rule.parse(text)
        except ConfigError as error:
            detail = str(error)
        else:
            return text
    return ""


async def _done(app: TuiApp, change: op.ChangeRule) -> None:
    """The conversation tells what was changed, or why it could not be: an error may be anybody's, so what comes after it is waited for."""
    app.send(change)
    await _answer(app, op.ShowRules(), e.RulesInForce)


# ── testing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _try(app: TuiApp) -> str:
    call = await app.push_screen_wait(AskLine("Which call?", detail=_CALLS))
    tried = await _tried(app, call) if call else None
    return "" if tried is None else f"{tried.call} → {_verdict(tried)}"


async def _say_tried(app: TuiApp, call: str) -> None:
    if (tried := await _tried(app, call)) is not None:
        app.say(f"{tried.call} → {_verdict(tried)}", bad=not tried.outcome)


async def _tried(app: TuiApp, call: str) -> e.CallTried | None:
    answer = await _answer(app, op.TryCall(call=call), e.CallTried)
    return answer if isinstance(answer, e.CallTried) else None


def _verdict(tried: e.CallTried) -> str:
    origins = ", ".join(dict.fromkeys(rule.origin for rule in tried.rules))
    return f"{tried.outcome or 'no call'}: {tried.reason}{f' (from {origins})' if origins else ''}"


async def _answer(app: TuiApp, operation: op.AnyOperation, *kinds: type[e.AnyEvent]) -> e.AnyEvent | None:
    """What the session says to it; None when it says nothing, which is told."""
    answer = app.recall.awaiting(*kinds)
    app.send(operation)
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            return await answer
    except TimeoutError:
        app.say("The session does not answer.", hint="Try again when it is open.", bad=True)
        return None
