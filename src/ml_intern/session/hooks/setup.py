"""The hooks that the settings name, for one session."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ml_intern.config.project_programs import ProjectPrograms
from ml_intern.config.settings import Settings
from ml_intern.session.hooks.hooks import NO_HOOKS, Hooks
from ml_intern.session.log import EventLog


def session_hooks(settings: Settings, env: Mapping[str, str], log: EventLog, folder: Path, programs: ProjectPrograms) -> Hooks:
    """Where they run, and whether, is for ``programs`` to say.

    ``env`` is what commands get: no secrets but those that the user lets through. ``folder`` is the session's own:
    the transcript that hooks may read lies there.
    """
    if not settings.hooks:
        return NO_HOOKS
    from ml_intern.session.hooks.runner import HookRunner
    from ml_intern.session.hooks.transcript import Transcript

    state = log.state
    common = {"session_id": log.session_id, "transcript_path": "", "cwd": state.cwd}
    cwd = Path(state.cwd)
    runner = HookRunner(settings.hooks, cwd=cwd, env=env, common=common, why_not=programs.why_not, place=programs.place)
    return Hooks(log, runner, Transcript(log, folder))
