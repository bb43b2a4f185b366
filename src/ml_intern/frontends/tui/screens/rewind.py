"""Going back: which message, what of it, and what it would change."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content

from ml_intern.frontends.headless.describe_own import files_told
from ml_intern.frontends.headless.text import Line, Style, clip_text, line, lines
from ml_intern.frontends.sanitize import one_line
from ml_intern.frontends.tui.commands.recall import Said
from ml_intern.frontends.tui.screens.frame import FramedScreen
from ml_intern.frontends.tui.screens.lines_view import LinesView
from ml_intern.frontends.tui.screens.picker import Choice, Picker
from ml_intern.protocol.amounts import counted
from ml_intern.protocol.display import Diff
from ml_intern.protocol.rewind_events import RewindPlanned

BOTH, CONVERSATION, FILES = "both", "conversation", "files"
_WAYS = {BOTH: "conversation and files", CONVERSATION: "the conversation only", FILES: "the files only"}
SHOWN_PATHS = 100
_SAID = 60
_CHANGED = re.compile("@@|Binary files")
_GONE = re.compile(r"@@ -\S+ \+0,0 @@|Binary files .* and /dev/null differ")
"""The beginning of a diff, as git writes it, of a file that is not there any more; that of an empty one has no text."""
LAST_REWIND = -1
"""In place of a message: the last rewind of files."""


def message_picker(messages: Sequence[Said], *, rewound: bool = False, running: bool = False) -> Picker[int]:
    """The place of one of the user's messages; the last one stands first and is chosen, and a rewind that can be taken back before it."""
    last = "the last rewind: its files as they were before it"
    back = [Choice(value=LAST_REWIND, row=line(("warn", "take back  "), last), words=last, about=(line(last),))] if rewound else []
    choices = [
        Choice(
            value=place,
            row=line(("dim", f"{said.at.astimezone():%H:%M}  "), one_line(said.text)),
            words=said.text,
            about=tuple(lines(said.text)),
        )
        for place, said in reversed(list(enumerate(messages)))
    ]
    interrupts = " The turn that runs is interrupted." if running else ""
    head = f"What you said, the last first. Everything from it on is taken back.{interrupts}"
    return Picker("Go back to before …", back + choices, head=head, at=len(messages) - 1 if messages else None)


def way_picker(said: Said) -> Picker[str]:
    """What is taken back."""
    choices = [Choice(value=way, row=line(words), words=words, about=(line(one_line(said.text)),)) for way, words in _WAYS.items()]
    return Picker("Take back …", choices)


class RewindConfirm(FramedScreen[tuple[str, ...] | None]):
    """What would change, the user's own work first. The answer is the paths to leave as they are; None does nothing, and so does Enter."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "do_all", "Do it", show=False),
        Binding("m", "keep", "Do it, but for what is or may be the user's", show=False),
        Binding("n,escape,enter", "leave", "Leave everything as it is", show=False),
    ]

    def __init__(self, plan: RewindPlanned, said: str = "") -> None:
        """``said``: the message that the conversation goes back to."""
        super().__init__()
        self._view = LinesView(plan_rows(plan, said))
        self._mine = tuple(diff.path for diff in (*plan.own_changes, *plan.perhaps_own))

    @property
    def key_lines(self) -> Sequence[str]:
        keep, short = ("m but keep mine · ", "m keep mine · ") if self._mine else ("", "")
        return f"y do it · {keep}Enter change nothing · ↑↓", f"y do it · {short}Esc no", "y · m · Esc" if self._mine else "y · Esc"

    def compose(self) -> ComposeResult:
        with Vertical(classes="frame") as frame:
            frame.border_title = Content("Go back?")
            yield self._view

    def on_mount(self) -> None:
        self._view.focus()

    def action_do_all(self) -> None:
        self.dismiss(())

    def action_keep(self) -> None:
        if self._mine:
            self.dismiss(self._mine)

    def action_leave(self) -> None:
        self.dismiss(None)


def plan_rows(plan: RewindPlanned, said: str = "") -> list[Line]:
    """In words: all of it in short, then what is or may be the user's, then every file."""
    rows = [line(_conversation_goes(said) if plan.conversation else "The conversation stays as it is.")]
    rows += [line(_files_go(plan))] if plan.files else []
    rows += lines(plan.note, "warn") if plan.note else []
    rows += _diff_rows(
        "You made, changed or deleted {} of these files yourself. y takes that back, m leaves such files alone:", plan.own_changes, plan
    )
    doubt = "While a tool ran, it or you made, changed or deleted {} of these files. y takes that back, m leaves such files alone:"
    rows += _diff_rows(doubt, plan.perhaps_own, plan)
    for title, paths, style in (("restored", plan.restored, ""), ("deleted", plan.deleted, "bad"), ("left alone", plan.kept, "dim")):
        if paths:
            rows += [line(), line(("bold", f"{counted(len(paths), 'file')} {title}"))]
            rows += [line((style, f"  {path}")) for path in paths[:SHOWN_PATHS]]  # type: ignore[arg-type]
            rows += [line(("dim", f"  … and {len(paths) - SHOWN_PATHS} more"))] if len(paths) > SHOWN_PATHS else []
    if plan.restored or plan.deleted:
        rows += [line(), *lines("The files as they are now are recorded first: /rewind back brings them back.", "dim")]
    return rows


def _conversation_goes(said: str) -> str:
    return f"The conversation goes back to before “{clip_text(one_line(said), _SAID)}”." if said else "The conversation goes back."


def _files_go(plan: RewindPlanned) -> str:
    words = files_told(len(plan.restored), len(plan.deleted), would=True)
    return f"{words[0].upper()}{words[1:]}."


def _diff_rows(title: str, diffs: Sequence[Diff], plan: RewindPlanned) -> list[Line]:
    """What became of each file since then, and what y does with it. Who did it is the title's to say: there may have been several."""
    rows = [line(), line(("warn", title.format(len(diffs))))] if diffs else []
    for diff in diffs:
        style: Style = "bad" if diff.path in plan.deleted else "dim"
        rows += [line(), line(("bold", f"{diff.path}  +{diff.added} −{diff.removed}"), (style, f"  {_fate(diff, plan)}"))]
        rows += [line((_diff_style(row), f"  {row}")) for row in diff.unified.splitlines()]
    return rows


def _fate(diff: Diff, plan: RewindPlanned) -> str:
    if diff.path in plan.deleted:
        return "made since: y deletes it"
    if _GONE.match(diff.unified):
        return "deleted since: y brings it back"
    return "changed since: y puts it back as it was" if _CHANGED.match(diff.unified) else "y puts it back as it was"


def _diff_style(row: str) -> Style:
    return "added" if row.startswith("+") else "removed" if row.startswith("-") else "dim"
