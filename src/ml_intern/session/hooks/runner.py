"""Runs the hooks of one moment side by side, each within its time, and puts their answers together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from ml_intern.compute.piped import PipedResult, run_piped
from ml_intern.config.hook_settings import HookCommand, HookRule, HookSettings
from ml_intern.config.project_programs import HookPlace
from ml_intern.protocol.messages import JsonObject
from ml_intern.session.hooks.contract import HookEvent, Moment
from ml_intern.session.hooks.verdict import SILENCE, Verdict, failed, judged, left_out, signed, together

MAX_AT_ONCE = 8
MAX_IN_BACKGROUND = 32
"""Hooks that nothing waits for; more of them are not started."""
FIELDS: Mapping[HookEvent, str] = {
    "PreToolUse": "pre_tool_use", "PostToolUse": "post_tool_use", "PermissionRequest": "permission_request",
    "UserPromptSubmit": "user_prompt_submit", "SessionStart": "session_start", "Stop": "stop", "PreCompact": "pre_compact",
    "Notification": "notification", "PreJob": "pre_job", "PostJob": "post_job", "OnAlert": "on_alert", "PrePublish": "pre_publish",
}  # fmt: skip


def rules_of(settings: HookSettings, event: HookEvent) -> Sequence[HookRule]:
    """Those of one event."""
    return getattr(settings, FIELDS[event])


def nobody_looks(command: HookCommand, result: PipedResult) -> None:
    """For those who need no more than the verdict."""


def always(_: str) -> str:
    """Where no hook can have changed since it was trusted."""
    return ""


class HookRunner:
    """The hooks of one session. ``common`` is told to each of them (``session_id``, ``cwd``); ``look`` is given every end as it was.

    ``why_not`` is asked before each run, in a thread: why this command line may not run now, or empty. ``place`` says where it runs;
    without, all of them in ``cwd``.
    """

    def __init__(
        self,
        settings: HookSettings,
        *,
        cwd: Path,
        env: Mapping[str, str],
        common: JsonObject,
        look: Callable[[HookCommand, PipedResult], None] = nobody_looks,
        why_not: Callable[[str], str] = always,
        place: Callable[[str], HookPlace] | None = None,
    ) -> None:
        self._settings = settings
        self._env = env
        self._common = common
        self._look = look
        self._why_not = why_not
        self._place: Callable[[str], HookPlace] = place or (lambda _: HookPlace(cwd, cwd))
        self._places = asyncio.Semaphore(MAX_AT_ONCE)
        self._behind: set[asyncio.Task[None]] = set()

    def has(self, event: HookEvent) -> bool:
        """Whether there is any for this event: where there is none, nothing is done at all."""
        return bool(rules_of(self._settings, event))

    def commands(self, event: HookEvent, about: str) -> list[HookCommand]:
        """What is run for it, each line once."""
        found = {one.command: one for rule in rules_of(self._settings, event) if rule.covers(about) for one in rule.commands}
        return list(found.values())

    async def run(self, moment: Moment, later: Callable[[Verdict], None] | None = None, **more: str) -> Verdict:
        """Their common verdict. Cancelled, it ends them first. ``later`` hears of those in the background, when they are over."""
        commands = self.commands(moment.event, moment.about)
        if not commands:
            return SILENCE
        given = msgspec.json.encode({**self._common, **more, "hook_event_name": moment.event, **moment.details})
        for command in commands:
            if command.in_background and later is not None:
                self._start_behind(moment, command, given, later)
        waited_for = [command for command in commands if later is None or not command.in_background]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._run_one(moment, command, given)) for command in waited_for]
        return together([task.result() for task in tasks])

    async def aclose(self) -> None:
        """End those in the background."""
        behind = list(self._behind)
        for task in behind:
            task.cancel()
        await asyncio.gather(*behind, return_exceptions=True)

    def _start_behind(self, moment: Moment, command: HookCommand, given: bytes, later: Callable[[Verdict], None]) -> None:
        if len(self._behind) >= MAX_IN_BACKGROUND:
            why = f"{MAX_IN_BACKGROUND} hooks run in the background already: this one was not started."
            later(signed(failed(why), moment, command.command, 0.0, None))
            return
        task = asyncio.create_task(self._run_behind(moment, command, given, later))
        self._behind.add(task)
        task.add_done_callback(self._behind.discard)

    async def _run_behind(self, moment: Moment, command: HookCommand, given: bytes, later: Callable[[Verdict], None]) -> None:
        """In no place of those that are waited for: a long one must not hold them up."""
        later(await self._timed(moment, command, given))

    async def _run_one(self, moment: Moment, command: HookCommand, given: bytes) -> Verdict:
        async with self._places:
            return await self._timed(moment, command, given)

    async def _timed(self, moment: Moment, command: HookCommand, given: bytes) -> Verdict:
        started = time.monotonic()
        if why := await asyncio.to_thread(self._why_not, command.command):
            return signed(left_out(moment.event, why), moment, command.command, 0.0, None)
        result: PipedResult | None = None
        try:
            result = await self._piped(command, given)
        except OSError as error:
            verdict = left_out(moment.event, f"It could not be started: {error}.")
        else:
            verdict = judged(moment.event, result, command.timeout)
            self._look(command, result)
        return signed(verdict, moment, command.command, round(time.monotonic() - started, 3), result)

    async def _piped(self, command: HookCommand, given: bytes) -> PipedResult:
        cwd, project = self._place(command.command)
        env = {**self._env, "CLAUDE_PROJECT_DIR": str(project), "ML_INTERN_PROJECT_DIR": str(project)}
        return await run_piped(command.command, given, cwd=cwd, env=env, timeout_s=command.timeout)
