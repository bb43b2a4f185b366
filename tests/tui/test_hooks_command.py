"""``/hooks``: what is configured, and how it ended the last time."""

from __future__ import annotations

import json
import os
from pathlib import Path

from msgspec.structs import replace

from ml_intern.config.load import load_settings
from ml_intern.frontends.tui.app import TuiApp
from ml_intern.frontends.tui.commands.recall import Recall
from ml_intern.protocol import events as e
from tests.tui.pilots import command, until
from tests.tui.scripted import envelopes, running, screen_text, scripted

RAN = e.HookRan(hook_event_name="PreToolUse", command="check.sh", outcome="blocked", duration_s=0.25, exit_code=2, stderr="[b]no[/b]")


def text_of(app: TuiApp) -> str:
    return "\n".join(screen_text(app))


async def test_hooks_are_shown_with_their_file_and_how_they_ended(tmp_path: Path) -> None:
    settings = tmp_path / ".config" / "ml-intern" / "cli_agent_config.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({"hooks": {"PreToolUse": [{"matcher": "bash", "command": "check.sh"}], "Stop": [{"command": "x"}]}}))
    folder = tmp_path / "work"
    (folder / ".ml-intern").mkdir(parents=True)
    (folder / ".ml-intern" / "config.json").write_text(json.dumps({"hooks": {"Stop": [{"command": "theirs.sh"}]}}))
    host = scripted()
    async with running(host, size=(160, 40)) as (app, pilot):
        environ = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
        app.loaded = load_settings(frontend="cli", cwd=folder, environ=environ)
        host.emit(RAN)
        await command(app, pilot, host, "/hooks")
        await until(pilot, lambda: "theirs.sh" in text_of(app))
        text = text_of(app)
        assert "0.25 s, exit 2, blocked: [b]no[/b]" in text and "ran at" in text
        assert f"    on  {str(settings)[:40]}" in text and "    off: this folder is not trusted" in text
        assert "has not run in this session" in text


async def test_without_hooks_it_is_said_how_to_write_one(tmp_path: Path) -> None:
    host = scripted()
    async with running(host, size=(160, 40)) as (app, pilot):
        app.loaded = load_settings(frontend="cli", cwd=tmp_path, environ={"HOME": str(tmp_path), "PATH": os.environ["PATH"]})
        await command(app, pilot, host, "/hooks")
        await until(pilot, lambda: "There are no hooks." in text_of(app))
        assert '"PreToolUse"' in text_of(app)


def test_what_one_run_did_is_one_run() -> None:
    recall = Recall()
    for envelope in envelopes(RAN, replace(RAN, outcome="said"), replace(RAN, duration_s=0.5)):
        recall.read(envelope, live=True)
    assert [(run.outcomes, run.duration_s) for run in recall.hook_runs] == [(("blocked", "said"), 0.25), (("blocked",), 0.5)]
