"""What the tests of hooks share: hooks that are lines of shell, and what was told and done."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from ml_intern.config.hook_settings import HookSettings
from ml_intern.protocol import events as e
from ml_intern.session.hooks.hooks import Hooks
from ml_intern.session.hooks.runner import HookRunner
from ml_intern.session.hooks.transcript import Transcript
from ml_intern.session.log import EventLog

from .support import World

Configure = Callable[..., Callable[[EventLog], Hooks]]


def hooks_in(tmp_path: Path) -> Configure:
    """``hooks(PreToolUse="line of shell", …)`` or a whole list of rules; ``$D`` is a folder for what they write down."""

    def configure(**events: str | list[Any]) -> Callable[[EventLog], Hooks]:
        rules = {event: [{"command": given}] if isinstance(given, str) else given for event, given in events.items()}
        settings = msgspec.convert(rules, HookSettings)
        env = {"PATH": os.environ["PATH"], "D": str(tmp_path)}

        def made(log: EventLog) -> Hooks:
            common = {"session_id": log.session_id, "transcript_path": "", "cwd": str(tmp_path)}
            return Hooks(log, HookRunner(settings, cwd=tmp_path, env=env, common=common), Transcript(log, tmp_path / "own"))

        return made

    return configure


def says(**answer: object) -> str:
    return f"echo '{json.dumps(answer)}'"


def told(tmp_path: Path, name: str = "told") -> dict[str, Any]:
    return json.loads((tmp_path / name).read_text())


def last_answer(w: World) -> e.ToolFinished:
    return w.of(e.ToolFinished)[-1]


def ran(w: World) -> list[tuple[str, str]]:
    return [(event.hook_event_name, event.outcome) for event in w.of(e.HookRan) if event.outcome != "ran"]
