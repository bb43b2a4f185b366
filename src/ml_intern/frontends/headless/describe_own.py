"""What the user's own hooks did, and what rules, snapshots and rewinds tell, in lines."""

from __future__ import annotations

from typing import TypeAlias, assert_never

from ml_intern.frontends.headless.text import Line, clip_text, line, lines
from ml_intern.protocol.amounts import counted
from ml_intern.protocol.hook_events import HookRan
from ml_intern.protocol.permission_events import RuleChanged
from ml_intern.protocol.rewind_events import RewindComplete, RewindPlanned, SnapshotTaken

Own: TypeAlias = HookRan | SnapshotTaken | RewindPlanned | RewindComplete | RuleChanged
_COMMAND_WORDS = 60
_MESSAGE_ROWS, _MESSAGE_CELLS = 5, 300
_SCOPES = {"session": "this session", "project": "this folder", "user": "your settings"}
_LOUD = ("blocked", "failed", "stopped")
_UNTOLD = ("context", "ran")
"""The guard that carries words to the model tells of them, and a hook that let things be is for ``/hooks``."""


def describe_own(event: Own) -> list[Line]:
    """The lines of one of them; none for a snapshot that has nothing to say."""
    match event:
        case HookRan():
            return _hook(event) if event.outcome not in _UNTOLD else []
        case SnapshotTaken():
            return lines(f"· {event.note}", "dim") if event.note else []
        case RewindPlanned():
            own = f", {len(event.own_changes)} of them made, changed or deleted by you" if event.own_changes else ""
            own += f", {len(event.perhaps_own)} by you or by a tool that ran" if event.perhaps_own else ""
            files = files_told(len(event.restored), len(event.deleted), would=True)
            return [line(("warn", f"? rewind: {files}{own}")), *_notes(event.note, event.kept)]
        case RewindComplete() if event.cut_short:
            return lines(f"! {event.note}", "warn")
        case RewindComplete():
            back = [line(("dim", "  /rewind back takes back what it did to files"))] if event.restored or event.deleted else []
            failed = lines(f"! {len(event.failed)} could not be changed: {'; '.join(event.failed)}", "warn") if event.failed else []
            return [line(("dim", _done(event))), *failed, *_notes(event.note, event.kept), *back]
        case RuleChanged():
            done = "removed" if event.removed else "added"
            return [line(("dim", f"· rule {done}: {event.outcome} {event.rule} ({_SCOPES.get(event.scope, event.scope)})"))]
        case _:
            assert_never(event)


def _done(event: RewindComplete) -> str:
    if not event.files:
        return "· the conversation went back, files stay as they are"
    what = "the conversation and files" if event.conversation else "files"
    return f"· {what} went back: {files_told(event.restored, event.deleted)}"


def files_told(restored: int, deleted: int, *, would: bool = False) -> str:
    """What a rewind does to files, or ``would`` do: "2 files restored and 1 deleted"."""
    changed = [(number, verb) for number, verb in ((restored, "restored"), (deleted, "deleted")) if number]
    if not changed:
        return f"no file {'would change' if would else 'changed'}"
    (number, verb), *more = changed
    be = "would be " if would else ""
    return " and ".join([f"{counted(number, 'file')} {be}{verb}", *(f"{number} {verb}" for number, verb in more)])


def _hook(event: HookRan) -> list[Line]:
    told = f": {_beginning(event.message)}" if event.message else ""
    mark = "!" if event.outcome in _LOUD else "·"
    words = f"{mark} hook {event.hook_event_name} {event.outcome} ({clip_text(event.command, _COMMAND_WORDS)}){told}"
    return lines(words, "warn" if event.outcome in _LOUD else "dim")


def _beginning(words: str) -> str:
    """A few lines: the model was told more, and the call's answer holds it."""
    rows = words.split("\n")
    left = [f"… {counted(len(rows) - _MESSAGE_ROWS, 'more line')}"] if len(rows) > _MESSAGE_ROWS else []
    return "\n".join([*(clip_text(row, _MESSAGE_CELLS) for row in rows[:_MESSAGE_ROWS]), *left])


def _notes(note: str, kept: tuple[str, ...]) -> list[Line]:
    left = [f"  left alone: {', '.join(kept)}"] if kept else []
    return [row for text in (*left, *([f"  {note}"] if note else [])) for row in lines(text, "dim")]
