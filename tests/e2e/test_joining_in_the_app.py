"""A headless session is opened in the app while it runs."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from ml_intern.app import open_or_join
from ml_intern.config.load import load_settings
from ml_intern.frontends.tui.app import TuiApp
from ml_intern.session.host import SessionHost
from ml_intern.testing.model_server import ModelServer
from ml_intern.testing.replies import Call, ServerReply

from .command import Command, read_events

pytestmark = pytest.mark.timeout(120)


async def test_the_app_joins_a_headless_session_interrupts_it_and_has_it_when_its_process_ends(home: Path, tmp_path: Path) -> None:
    wait = Call("bash", json.dumps({"command": "until [ -e never ]; do sleep 0.05; done"}))
    async with ModelServer([ServerReply(text="Wait.", calls=(wait,))]) as server:
        command = Command(home, tmp_path / "w", server)
        owner = await command.start("--json", "wait")
        await read_events(owner, "tool_call")
        loaded = load_settings(frontend="cli", cwd=command.folder, environ=dict(os.environ))
        joined: list[SessionHost] = []

        async def opening() -> SessionHost:
            host = await open_or_join(loaded=loaded, resume="last", auto_approve=False, read_only=False)
            assert host.owner
            joined.append(host)
            return host

        app = TuiApp(opening, loaded)
        async with app.run_test(size=(100, 30)) as pilot:
            async with asyncio.timeout(60):
                while not (joined and joined[0].busy and "Joined session" in _text(app)):
                    await pilot.pause(0.05)
                await pilot.press("escape")
                await owner.communicate()
                while joined[0].owner:
                    await pilot.pause(0.05)
                assert not joined[0].vacated, "this terminal has it now"
                server.enqueue(ServerReply(text="Here, in this terminal."))
                await pilot.press(*"on", "enter")
                while "Here, in this terminal." not in _text(app):
                    await pilot.pause(0.05)
        assert owner.returncode == 130


def _text(app: TuiApp) -> str:
    return "\n".join("".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips())
