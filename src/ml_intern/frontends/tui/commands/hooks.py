"""``/hooks``: the hooks of each moment, where they stand, whether they are run, and how they ended the last time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ml_intern.config.hook_sources import ON, ConfiguredHook, configured_hooks
from ml_intern.config.load import user_file
from ml_intern.frontends.commands.hooks import EVENTS, hooks_file_hint, words_of
from ml_intern.frontends.headless.text import Line, line
from ml_intern.frontends.sanitize import one_line
from ml_intern.frontends.tui.screens.pager import Pager

if TYPE_CHECKING:
    from ml_intern.frontends.tui.app import TuiApp
    from ml_intern.frontends.tui.commands.recall import HookRun


async def show_hooks(app: TuiApp, rest: str) -> None:
    """``/hooks``."""
    if rest:
        app.say("/hooks takes no words.", hint="In a shell: ml-intern hooks test EVENT runs those of one moment.", bad=True)
        return
    hooks = await asyncio.to_thread(configured_hooks, app.loaded)
    if not hooks:
        app.say("There are no hooks.", hint=hooks_file_hint(user_file(app.loaded.environ)))
        return
    rows: list[Line] = [line(("dim", "Changes take effect at the next start. `ml-intern hooks test EVENT` tries them out."))]
    for event in (*EVENTS, ""):
        here = [hook for hook in hooks if hook.event == event]
        rows += [line(), line(("bold", event or "?"))] if here else []
        for hook in here:
            rows += _about(hook, [run for run in app.recall.hook_runs if run.is_of(hook.event, hook.command.command)])
    await app.push_screen_wait(Pager("Hooks", rows))


def _about(hook: ConfiguredHook, runs: list[HookRun]) -> list[Line]:
    on = hook.state == ON
    head = line(("tool" if on else "dim", f"  {one_line(hook.matcher) or '*'}"), f"  {one_line(hook.command.command)}", ("dim", _how(hook)))
    rows = [head, line(("dim" if on else "warn", f"    {one_line(hook.state)}  {one_line(str(hook.source))}"))]
    if runs:
        rows.append(_last(runs))
    elif on:
        rows.append(line(("dim", "    has not run in this session")))
    return rows


def _how(hook: ConfiguredHook) -> str:
    return f"  {words_of(hook.command)}"


def _last(runs: list[HookRun]) -> Line:
    last = runs[-1]
    code = "no exit code" if last.exit_code is None else f"exit {last.exit_code}"
    told = f": {one_line(last.stderr)}" if last.stderr else ""
    count = f"ran {len(runs)} times, the last" if len(runs) > 1 else "ran"
    words = f"    {count} at {last.at.astimezone():%H:%M:%S}, {last.duration_s:.2f} s, {code}, {', '.join(last.outcomes)}{told}"
    return line(("bad" if "failed" in last.outcomes else "dim", words))
