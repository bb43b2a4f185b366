"""The hooks that the settings name, for one session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from ml_intern.config.settings import Settings
from ml_intern.session.hooks.hooks import NO_HOOKS, Hooks
from ml_intern.session.log import EventLog

WhyNot: TypeAlias = Callable[[str], str]
"""Of a command line: why it may not run now, or empty. Blocks."""


def session_hooks(settings: Settings, env: Mapping[str, str], log: EventLog, folder: Path, why_not: WhyNot) -> Hooks:
    """They run in the session's folder. ``env`` is what commands get: no secrets but those that the user lets through.

    ``folder`` is the session's own: the transcript that hooks may read lies there.
    """
    if not settings.hooks:
        return NO_HOOKS
    from ml_intern.session.hooks.runner import HookRunner
    from ml_intern.session.hooks.transcript import Transcript

    state = log.state
    common = {"session_id": log.session_id, "transcript_path": "", "cwd": state.cwd}
    runner = HookRunner(settings.hooks, cwd=Path(state.cwd), env=env, common=common, why_not=why_not)
    return Hooks(log, runner, Transcript(log, folder))
