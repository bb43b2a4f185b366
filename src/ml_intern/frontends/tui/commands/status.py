"""``/status``, ``/yolo`` and ``/effort``: how the session is set, and setting it."""

from __future__ import annotations

from math import ceil, isfinite
from typing import TYPE_CHECKING

import msgspec

from ml_intern.frontends.headless.text import Line, line
from ml_intern.frontends.sanitize import one_line
from ml_intern.frontends.tui.blocks.words import NoticeBlock
from ml_intern.protocol import operations as op
from ml_intern.protocol.amounts import count_text, counted, spent_and_aside, usd
from ml_intern.protocol.session_ids import short_id

if TYPE_CHECKING:
    from ml_intern.frontends.tui.app import TuiApp
    from ml_intern.frontends.tui.figures import Figures

OFF = "off"
_NAMES = 11
_CAP_USD = 5
"""What is offered above what is spent, where there is no cap."""


async def show_status(app: TuiApp, _: str) -> None:
    """``/status``"""
    if (why := app.unopened) is not None:
        app.say(f"There is no session: {why.message}", hint=why.hint, bad=True)
        return
    if app.backend is None:
        app.say("The session is still being opened.")
        return
    rows = [_row(name, text) for name, text in _facts(app) if text]
    app.conversation.add(NoticeBlock([line(("bold", "Status")), *rows]))


def _row(name: str, text: str) -> Line:
    return line(("dim", f"  {name:<{_NAMES}} "), one_line(text))


def _facts(app: TuiApp) -> list[tuple[str, str]]:
    figures, recall, settings = app.status.figures, app.recall, app.loaded.settings
    runtime = "Hugging Face sandbox" if settings.tool_runtime == "sandbox" else "this machine"
    if settings.tool_runtime == "local" and not settings.sandbox.enabled:
        runtime += ", commands without the system's sandbox"
    return [
        ("session", f"{short_id(figures.session_id)}  {figures.title}".strip()),
        ("model", figures.model),
        ("effort", effort_words(app)),
        ("runtime", runtime),
        ("folder", figures.cwd),
        ("approval", _approval(figures, settings.read_only)),
        ("turns", f"{recall.turns}, {counted(len(recall.messages), 'message')} of yours, {counted(recall.last_seq, 'event')}"),
        ("context", _context(app)),
        ("money", _money(figures)),
        ("running", _running(app)),
        ("tools", f"{recall.tool_count} (/tools lists them)"),
        ("settings", ", ".join(str(path) for path in app.loaded.files)),
    ]


def _approval(figures: Figures, read_only: bool) -> str:
    if read_only:
        return "read-only: whatever changes or starts anything is refused"
    if figures.yolo_scope == "turn":
        return "yolo until this turn ends: its calls run unasked, recurring jobs excepted"
    return "yolo: calls run unasked, recurring jobs excepted" if figures.auto_approval else "asks you before anything risky or paid"


def _context(app: TuiApp) -> str:
    used, window = app.status.figures.context_tokens, app.status.window
    return f"{count_text(used)} of {count_text(window)} tokens ({used * 100 // window} %)" if window else f"{count_text(used)} tokens"


def _money(figures: Figures) -> str:
    cap = f" of {usd(figures.cap_usd)}" if figures.cap_usd is not None else ", no cap"
    aside = " set aside" if figures.reserved_usd else ""
    spent = spent_and_aside(figures.spent_usd, figures.reserved_usd, figures.unpriced_calls)
    return f"{spent}{aside}{cap} (/cost breaks it down)"


def _running(app: TuiApp) -> str:
    jobs, sandboxes = len(app.status.figures.jobs), len(app.recall.sandboxes)
    parts = [f"{counted(jobs, 'job')} (/jobs)" if jobs else "", f"{sandboxes} sandbox" if sandboxes else ""]
    return ", ".join(filter(None, parts))


def effort_words(app: TuiApp) -> str:
    """The preference, and what the model really takes."""
    figures, effective = app.status.figures, app.recall.effective_effort
    wanted = figures.effort or OFF
    if figures.model not in effective:
        return wanted
    return f"{wanted}, of which {figures.model} takes {effective[figures.model] or 'none'}"


# ── /effort ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def effort(app: TuiApp, rest: str) -> None:
    """``/effort [level|off]``; without one it shows the preference and what each model takes of it."""
    wanted = rest.lower()
    if not wanted:
        app.say("\n".join([f"Effort: {effort_words(app)}", *_of_other_models(app)]), hint=f"/effort {'|'.join((*op.EFFORTS, OFF))}")
    elif wanted == OFF:
        app.send(op.SetEffort(effort=None))
    elif wanted in op.EFFORTS:
        app.send(msgspec.convert({"type": "set_effort", "effort": wanted}, op.SetEffort))
    else:
        app.say(f"'{rest}' is no effort.", hint=f"Choose one of {', '.join((*op.EFFORTS, OFF))}.", bad=True)


def _of_other_models(app: TuiApp) -> list[str]:
    current = app.status.figures.model
    return [f"  {model}: {level or 'none'}" for model, level in app.recall.effective_effort.items() if model != current]


# ── /yolo ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def yolo(app: TuiApp, rest: str) -> None:
    """``/yolo [on|off|<dollars>|nocap]``; without a word it toggles, and asks for a cap before it goes on."""
    word = rest.lower().removeprefix("$")
    if not word and not app.status.figures.auto_approval:
        if (wanted := await _asked(app)) is None:
            return
    elif word in ("", "on", OFF):
        wanted = op.SetAutoApproval(enabled=word == "on")
    elif word == "nocap":
        wanted = op.SetAutoApproval(enabled=app.status.figures.yolo, scope=app.status.figures.yolo_scope, lift_cap=True)
    elif (cap := _dollars(word)) is not None:
        wanted = op.SetAutoApproval(enabled=True, cost_cap_usd=cap)
    else:
        app.say(f"'{rest}' is nothing that /yolo knows.", hint="/yolo, /yolo on, /yolo off, /yolo 5 (dollars), /yolo nocap", bad=True)
        return
    app.send(wanted)
    app.say(_yolo_words(wanted, app.status.figures.cap_usd))


async def _asked(app: TuiApp) -> op.SetAutoApproval | None:
    """What one word switches on is said first, and how much it may cost; None leaves all as it is."""
    from ml_intern.frontends.tui.screens.questions import AskLine

    figures = app.status.figures
    cap = figures.cap_usd if figures.cap_usd is not None else ceil(figures.committed_usd) + _CAP_USD
    aside = " set aside" if figures.reserved_usd else ""
    gone = f"{spent_and_aside(figures.spent_usd, figures.reserved_usd, 0)}{aside}"
    spent = f" Spent of it: {gone}." if figures.committed_usd else ""
    detail = (
        "From now on calls run unasked in this session: commands, files, jobs that cost money. Recurring jobs still ask, and /yolo off "
        f"ends it.\n\nDollars that the session may cost in all, or: nocap.{spent}"
    )
    answer = await app.push_screen_wait(AskLine("Yolo: run calls unasked?", detail=detail, value=f"{cap:g}"))
    word = answer.lower().removeprefix("$")
    if word == "nocap":
        return op.SetAutoApproval(enabled=True, lift_cap=True)
    if (amount := _dollars(word)) is not None:
        return op.SetAutoApproval(enabled=True, cost_cap_usd=amount)
    if word:
        app.say(f"'{answer}' is no amount of dollars: yolo stays off.", bad=True)
    return None


def _dollars(word: str) -> float | None:
    try:
        amount = float(word)
    except ValueError:
        return None
    return amount if isfinite(amount) and amount >= 0 else None


def _yolo_words(wanted: op.SetAutoApproval, cap_usd: float | None) -> str:
    if wanted.lift_cap and (wanted.scope == "turn" or not wanted.enabled):
        return "The cap is lifted."
    if not wanted.enabled:
        return "Yolo is off: you are asked again before anything risky or paid."
    cap = None if wanted.lift_cap else cap_usd if wanted.cost_cap_usd is None else wanted.cost_cap_usd
    limit = f"at most {usd(cap)} is spent" if cap is not None else "there is no cap on what is spent (/yolo 5 sets one of $5)"
    return f"Yolo is on: calls run unasked, recurring jobs excepted, and {limit}."
