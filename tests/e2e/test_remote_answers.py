"""A whole session whose approval is given in Slack."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from ml_intern.app import open_session
from ml_intern.config.load import load_settings
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.testing.fake_slack_socket import FakeSlackSocket
from ml_intern.testing.model_server import ModelServer
from ml_intern.testing.replies import Call, ServerReply

from .command import Command

pytestmark = pytest.mark.timeout(90)


class Slackers(Command):
    """The installed command, whose approvals can be answered in Slack; ``write`` asks."""

    def __init__(self, home: Path, folder: Path, server: ModelServer, slack: FakeSlackSocket) -> None:
        super().__init__(home, folder, server)
        config = home / ".config" / "ml-intern" / "cli_agent_config.json"
        config.write_text(json.dumps({**json.loads(config.read_text()), **answered_in(slack)}))


def answered_in(slack: FakeSlackSocket) -> dict[str, Any]:
    return {
        "permissions": {"ask": ["write"]},
        "services": {"slack": slack.url},
        "messaging": {
            "enabled": True,
            "destinations": {"team": {"provider": "slack", "token": slack.TOKEN, "channel": "C1"}},
            "answers": {"enabled": True, "app_token": slack.APP_TOKEN, "allowed_users": ["UBOSS"]},
        },
    }


WRITE = Call("write", json.dumps({"path": "answer.txt", "content": "42\n"}))


async def test_a_headless_run_waits_for_slack_and_goes_on(home: Path, tmp_path: Path) -> None:
    replies = [ServerReply(text="May I?", calls=(WRITE,)), ServerReply(text="Thank you.")]
    async with FakeSlackSocket() as slack, ModelServer(replies) as server:
        command = Slackers(home, tmp_path / "w", server, slack)
        running = await command.start("Write the answer.")
        await slack.until(1, slack.posted)
        slack.click(slack.posted[0], "Approve", user="UBOSS")
        out, err = await asyncio.wait_for(running.communicate(), 60)
        assert running.returncode == 0, err.decode()
        assert out.decode() == "Thank you.\n" and (command.folder / "answer.txt").read_text() == "42\n"
        assert "waits for an answer until" in err.decode() and "in Slack" in err.decode()


async def test_a_headless_run_that_nobody_answers_ends_with_4(home: Path, tmp_path: Path) -> None:
    replies = [ServerReply(text="May I?", calls=(WRITE,)), ServerReply(text="Then not.")]
    async with FakeSlackSocket() as slack, ModelServer(replies) as server:
        command = Slackers(home, tmp_path / "w", server, slack)
        finished = await command.run("--wait-for-approval", "0.5s", "Write the answer.")
        assert finished.code == 4 and "nobody answered in time" in finished.stderr
        assert not (command.folder / "answer.txt").exists()


async def test_with_a_wait_of_nothing_it_is_refused_at_once(home: Path, tmp_path: Path) -> None:
    replies = [ServerReply(text="May I?", calls=(WRITE,)), ServerReply(text="Then not.")]
    async with FakeSlackSocket() as slack, ModelServer(replies) as server:
        finished = await Slackers(home, tmp_path / "w", server, slack).run("--wait-for-approval", "0", "Write the answer.")
        assert finished.code == 4 and "waits for an answer" not in finished.stderr and slack.posted == []


async def test_a_call_that_was_approved_in_slack_runs(home: Path, tmp_path: Path) -> None:
    async with (
        FakeSlackSocket() as slack,
        ModelServer([ServerReply(text="May I?", calls=(WRITE,)), ServerReply(text="Thank you.")]) as server,
    ):
        settings = {
            "model_name": "local/m",
            "providers": {"local": {"base_url": server.v1}},
            **answered_in(slack),
        }
        config = home / ".config" / "ml-intern" / "cli_agent_config.json"
        config.parent.mkdir(parents=True)
        config.write_text(json.dumps(settings))
        folder = tmp_path / "w"
        folder.mkdir()
        loaded = load_settings(frontend="cli", cwd=folder, environ=dict(os.environ))
        async with asyncio.timeout(60), await open_session(loaded=loaded) as session:
            events = session.events()
            await session.submit(op.UserInput(text="Write the answer."))
            await slack.until(1, slack.posted)
            slack.click(slack.posted[0], "Approve", user="UBOSS")
            seen = []
            async for envelope in events:
                seen.append(envelope.event)
                if isinstance(envelope.event, e.TurnComplete):
                    break
        assert (folder / "answer.txt").read_text() == "42\n"
        (audit,) = [event for event in seen if isinstance(event, e.RemoteAnswered)]
        assert (audit.user, audit.outcome, audit.answer) == ("UBOSS", "taken", "approve")
        assert "approved" in slack.updated[0]["text"]
