"""``ml-intern hooks``: which hooks there are and whether they are run; ``hooks test`` runs those of one moment as a session would."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from ml_intern.config.hook_settings import HookCommand, HookSettings
from ml_intern.config.load import LoadedSettings
from ml_intern.errors import ConfigError
from ml_intern.frontends.invocation import Invocation
from ml_intern.frontends.sanitize import plain
from ml_intern.protocol.messages import JsonObject

if TYPE_CHECKING:
    from ml_intern.compute.piped import PipedResult
    from ml_intern.protocol.hook_events import HookRan
    from ml_intern.session.hooks.contract import HookEvent
    from ml_intern.session.hooks.verdict import Verdict

EVENTS = tuple(field.encode_name for field in msgspec.structs.fields(HookSettings))
_CALL: JsonObject = {"tool_name": "bash", "tool_input": {"command": "echo hello"}, "tool_use_id": "test"}
_JOB: JsonObject = {
    "tool_name": "hf_jobs", "tool_input": {"operation": "run", "script": "print('hello')", "hardware_flavor": "cpu-basic"},
    "tool_use_id": "test", "script": "print('hello')", "reason": "This is a test.",
}  # fmt: skip
SAMPLES: Mapping[str, JsonObject] = {
    "PreToolUse": _CALL,
    "PostToolUse": {**_CALL, "tool_response": {"success": True, "output": "hello", "error_kind": ""}},
    "PermissionRequest": {**_CALL, "reason": "This is a test.", "estimated_cost_usd": None},
    "UserPromptSubmit": {"prompt": "Fine-tune a small model on data.csv"},
    "SessionStart": {"source": "startup", "model": "test/model"},
    "Stop": {"stop_hook_active": False, "last_assistant_message": "Done."},
    "PreCompact": {"trigger": "manual", "custom_instructions": ""},
    "Notification": {"notification_type": "permission_prompt", "message": "ml-intern needs your permission: bash"},
    "PreJob": {**_JOB, "estimated_cost_usd": 0.01},
    "PostJob": {"job_id": "test", "status": "completed", "hardware": "cpu-basic", "wall_time_s": 60.0, "estimated_cost_usd": 0.01},
    "OnAlert": {"level": "warn", "message": "Loss spike", "step": 40, "tool_name": "hf_jobs", "tool_use_id": "test"},
    "PrePublish": _JOB,
}
"""What a hook is told in a test, unless the user says otherwise."""
_MATCHED_BY = ("tool_name", "source", "trigger", "notification_type", "status", "level")
"""The one of them that a moment tells is what its matchers look at; an alert tells of a tool too."""


@click.group("hooks", invoke_without_command=True)
@click.pass_context
def hooks_group(ctx: click.Context) -> None:
    """Show your hooks and whether they are run, or try them out."""
    if ctx.invoked_subcommand is None:
        _list(Invocation.of(ctx).load(warn=False))


def _list(loaded: LoadedSettings) -> None:
    from ml_intern.config.hook_sources import ON, configured_hooks

    hooks = sorted(configured_hooks(loaded), key=lambda hook: EVENTS.index(hook.event) if hook.event else len(EVENTS))
    for event, rows in groupby(hooks, key=lambda hook: hook.event):
        click.secho(event or "?", bold=True)
        for hook in rows:
            click.echo(plain(f"  {hook.matcher or '*'}  {hook.command.command}  ({words_of(hook.command)})"))
            where = plain(f"    {hook.source}: {hook.state}")
            click.secho(where, fg=None if hook.state == ON else "yellow")
    if not hooks:
        click.echo("There are no hooks. docs/hooks.md says how to write one.")


def words_of(command: HookCommand) -> str:
    """How it is run."""
    return f"{command.timeout:g} s{', in the background' if command.in_background else ''}"


@hooks_group.command("test")
@click.argument("event", type=click.Choice(EVENTS))
@click.option("--json", "file", type=click.File("rb"), help="A JSON object: what the hook is told, over the sample. - is standard input.")
@click.option("--tool", help="The tool's name.")
@click.pass_context
def test_command(ctx: click.Context, event: HookEvent, file: Any, tool: str | None) -> int:
    """Run the hooks of EVENT once, with made-up details, and show what they answer and what would come of it.

    They run for real, with your rights. Exit code 1: one of them failed, or there is none.
    """
    loaded = Invocation.of(ctx).load()
    told = {**SAMPLES[event], **({"tool_name": tool} if tool else {}), **_given(file)}
    return asyncio.run(_test(loaded, event, told))


def _given(file: Any) -> JsonObject:
    if file is None:
        return {}
    try:
        return msgspec.json.decode(file.read(), type=JsonObject)
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{file.name} is no JSON object: {error}.", hint='Such as {"tool_input": {"command": "rm -rf /"}}') from error


async def _test(loaded: LoadedSettings, event: HookEvent, told: JsonObject) -> int:
    from ml_intern.compute.child_env import child_environment
    from ml_intern.config.project_programs import ProjectPrograms
    from ml_intern.session.hooks.contract import Moment
    from ml_intern.session.hooks.runner import HookRunner

    ends: dict[str, PipedResult] = {}

    def look(command: HookCommand, result: PipedResult) -> None:
        ends[command.command] = result

    keys = ("level",) if event == "OnAlert" else _MATCHED_BY
    about = str(next((told[key] for key in keys if key in told), ""))
    env = child_environment(loaded.environ.as_dict(), loaded.settings.sandbox.pass_env)
    common = {"session_id": "test", "transcript_path": "", "cwd": str(loaded.cwd), "permission_mode": "default"}
    programs = await asyncio.to_thread(ProjectPrograms, loaded)
    runner = HookRunner(loaded.settings.hooks, cwd=loaded.cwd, env=env, common=common, look=look, place=programs.place)
    if not runner.commands(event, about):
        why = f"No hook of {event} is run for '{about}'." if about else f"There is no hook for {event}."
        click.echo(plain(f"{why} `ml-intern hooks` lists them."), err=True)
        return 1
    verdict = await runner.run(Moment(event=event, about=about, details=told, tool_call_id="test"))
    for line, events in groupby(verdict.told, key=lambda ran: ran.command):
        _show(line, list(events), ends.get(line))
    _conclude(verdict)
    return 1 if any(ran.outcome == "failed" for ran in verdict.told) else 0


def _show(command: str, events: list[HookRan], end: PipedResult | None) -> None:
    first = events[0]
    code = "no exit code" if first.exit_code is None else f"exit code {first.exit_code}"
    click.secho(plain(command), bold=True)
    click.echo(f"  {code}, {first.duration_s:.2f} s, {', '.join(event.outcome for event in events)}")
    for name, text in (("stdout", end.stdout), ("stderr", end.stderr)) if end is not None else ():
        for row in plain(text).splitlines():
            click.echo(f"  {name}  {row}")
    for event in events:
        if event.outcome == "failed":
            click.secho(plain(f"  {event.message}"), fg="red")


def _conclude(verdict: Verdict) -> None:
    found = [
        ("blocked", verdict.blocked),
        ("the turn ends", verdict.stop),
        (f"permission {verdict.permission}", verdict.why if verdict.permission else ""),
        ("arguments", msgspec.json.encode(verdict.arguments).decode() if verdict.arguments is not None else ""),
        ("the model is told", verdict.context),
    ]
    click.echo("What comes of it:")
    for name, text in found:
        if text:
            click.echo(plain(f"  {name}: {text}"))
    if not any(text for _, text in found):
        click.echo("  nothing: it goes on.")


def hooks_file_hint(path: Path) -> str:
    """Where a hook may be written."""
    return f'In {path}: {{"hooks": {{"PreToolUse": [{{"matcher": "bash", "command": "~/bin/check.sh"}}]}}}}'
