"""``notify`` and its services against the fake Slack and a webhook on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from ml_intern.config.secret import SecretStr
from ml_intern.config.settings import AppriseDestination, Messaging, SlackDestination
from ml_intern.errors import NotFoundError, ServiceAuthError, ServiceDown, ServiceLimited, ServiceRefused, ToolError
from ml_intern.gateways.apprise_services import AppriseService
from ml_intern.gateways.notice import Notice, open_service
from ml_intern.gateways.slack import SlackChannel
from ml_intern.sinks.notifications import Notifier
from ml_intern.testing.fake_service import Answer, Call, FakeService
from ml_intern.testing.fake_slack import FakeSlack
from ml_intern.tools.base import Effect
from ml_intern.tools.notify import NotifyTool
from tests.workspaces import Calls

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # a plug-in of apprise imports it


@dataclass
class World:
    """``waits`` are the pauses that were asked for; none is made."""

    slack: FakeSlack
    hook: FakeService
    hooked: list[Any]
    waits: list[float] = field(default_factory=list)
    notifiers: list[Notifier] = field(default_factory=list)

    def slack_to(self, channel: str = "C1", *, token: str = FakeSlack.TOKEN, agent: bool = True) -> SlackDestination:
        return SlackDestination(token=SecretStr(token), channel=channel, allow_agent_tool=agent)

    def hook_to(self, path: str = "hook") -> AppriseDestination:
        return AppriseDestination(url=SecretStr(f"json://127.0.0.1:{self.hook.port}/{path}"), allow_agent_tool=True)

    def tool(self, enabled: bool = True, **destinations: SlackDestination | AppriseDestination) -> NotifyTool:
        async def sleep(seconds: float) -> None:
            self.waits.append(seconds)

        notifier = Notifier(
            Messaging(enabled=enabled, destinations=dict(destinations)),
            lambda destination: open_service(destination, slack_url=self.slack.url),
            scrub=lambda text: text.replace("hf_secret", "[REDACTED]"),
            facts=lambda: (("session_id", "s1"), ("model", "org/model")),
            sleep=sleep,
        )
        self.notifiers.append(notifier)
        return NotifyTool(notifier)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    hooked: list[Any] = []

    def take(call: Call) -> Answer:
        hooked.append(call.json)
        return Answer(body={"ok": True})

    async with FakeSlack("C1", "C2") as slack, FakeService() as hook:
        hook.route("POST", "/hook", take)
        made = World(slack, hook, hooked)
        yield made
        for notifier in made.notifiers:
            await notifier.aclose()


async def run(tool: NotifyTool, **arguments: Any) -> tuple[bool, str]:
    args = tool.parse_object({"message": "It works", **arguments})
    assert tool.risk(args).effects == {Effect.LEAVES_MACHINE}
    output = await tool.run(args, Calls().context)
    return output.success, output.text


async def test_a_message_goes_to_each_destination_once_with_session_and_model(world: World) -> None:
    tool = world.tool(ops=world.slack_to(), hook=world.hook_to())
    done = await run(tool, destinations=[" ops ", "hook", "ops"], title="Training", message="**loss** 0.2", severity="success")
    assert done == (True, "ops: sent\nhook: sent")
    (posted,) = world.slack.posted
    assert posted["text"] == "*[SUCCESS] Training*\n*loss* 0.2\nsession_id: s1\nmodel: org/model"
    assert (posted["channel"], posted["mrkdwn"], posted["unfurl_links"], posted["unfurl_media"]) == ("C1", True, False, False)
    (hooked,) = world.hooked
    assert hooked["title"] == "Training" and "loss" in hooked["message"] and "session_id: s1" in hooked["message"]
    assert hooked["type"] == "success"


async def test_a_destination_that_is_not_open_to_the_agent_gets_nothing_and_neither_do_the_others(world: World) -> None:
    tool = world.tool(ops=world.slack_to(), boss=world.slack_to("C2", agent=False))
    with pytest.raises(ToolError, match=r"may not write to boss, nobody; nothing was sent\. It may write to: ops\."):
        await run(tool, destinations=["ops", "boss", "nobody"])
    assert world.slack.posted == []


async def test_nothing_is_sent_while_messaging_is_off(world: World) -> None:
    tool = world.tool(enabled=False, ops=world.slack_to())
    with pytest.raises(ToolError, match=r"messaging\.enabled"):
        await run(tool, destinations=["ops"])
    with pytest.raises(ToolError, match="needs a message"):
        await run(tool, destinations=["ops"], message="  ")


async def test_one_destination_that_fails_is_said_and_keeps_no_other_from_the_message(world: World) -> None:
    tool = world.tool(gone=world.slack_to("C9"), ops=world.slack_to())
    ok, text = await run(tool, destinations=["gone", "ops"])
    assert not ok
    assert text.splitlines()[0].startswith("gone: failed (Slack refused the message: channel_not_found.")
    assert text.splitlines()[1] == "ops: sent"
    assert world.waits == []


async def test_secrets_are_taken_out_before_a_message_leaves(world: World) -> None:
    await run(world.tool(ops=world.slack_to()), destinations=["ops"], message="the token hf_secret", title="hf_secret")
    assert "hf_secret" not in str(world.slack.posted) and "[REDACTED]" in str(world.slack.posted)


async def test_a_service_that_is_busy_or_away_is_tried_again_after_1_2_and_4_seconds(world: World) -> None:
    world.slack.limited, world.slack.retry_after_s = 1, 3
    world.slack.fail("POST /chat.postMessage", status=503, times=1)
    world.slack.fail("POST /chat.postMessage", body="<html>", status=200, times=1)
    assert await run(world.tool(ops=world.slack_to()), destinations=["ops"]) == (True, "ops: sent")
    assert world.waits == [1, 2, 4] and len(world.slack.posted) == 1


async def test_a_service_that_stays_away_fails_after_the_last_try(world: World) -> None:
    world.slack.fail("POST /chat.postMessage", cut=True, times=9)
    ok, text = await run(world.tool(ops=world.slack_to()), destinations=["ops"])
    assert not ok and "cannot be reached" in text
    assert world.waits == [1, 2, 4] and len(world.slack.seen("chat.postMessage")) == 4


async def test_a_service_that_asks_to_wait_for_long_is_not_waited_for(world: World) -> None:
    """core W4.10: the original ignored Retry-After."""
    world.slack.limited, world.slack.retry_after_s = 1, 600
    ok, text = await run(world.tool(ops=world.slack_to()), destinations=["ops"])
    assert not ok and "600 s" in text and world.waits == []


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ratelimited", ServiceLimited),
        ("internal_error", ServiceDown),
        ("invalid_auth", ServiceAuthError),
        ("channel_not_found", NotFoundError),
        ("not_in_channel", ServiceRefused),
        ("a_new_one", ServiceRefused),
    ],
)
async def test_slacks_no_within_a_200_is_an_error_of_its_kind(world: World, code: str, kind: type[Exception]) -> None:
    world.slack.fail("POST /chat.postMessage", status=200, body={"ok": False, "error": code})
    channel = SlackChannel(world.slack_to(), world.slack.url)
    try:
        with pytest.raises(kind, match=code) as caught:
            await channel.send(Notice(text="x"))
        assert type(caught.value) is kind
    finally:
        await channel.aclose()


async def test_a_wrong_token_is_said_without_being_shown(world: World) -> None:
    ok, text = await run(world.tool(ops=world.slack_to(token="xoxb-wrong")), destinations=["ops"])
    assert not ok and "invalid_auth" in text and "xoxb-wrong" not in text


async def test_a_name_and_a_picture_are_sent_only_if_set(world: World) -> None:
    plain, dressed = world.slack_to(), SlackDestination(token=SecretStr(FakeSlack.TOKEN), channel="C2", username="bot", icon_emoji=":x:")
    for destination in (plain, dressed):
        channel = SlackChannel(destination, world.slack.url)
        await channel.send(Notice(text="x"))
        await channel.aclose()
    first, second = world.slack.posted
    assert "username" not in first and "icon_emoji" not in first
    assert (second["username"], second["icon_emoji"]) == ("bot", ":x:")


async def test_a_very_long_message_is_cut_to_what_slack_takes(world: World) -> None:
    """core W5.15: the original cut before it escaped, and what it sent was too long."""
    text = "\n".join(f"line {n} <&>" for n in range(9000))
    assert await run(world.tool(ops=world.slack_to()), destinations=["ops"], message=text) == (True, "ops: sent")
    posted = world.slack.posted[0]["text"]
    assert len(posted) < 40_000 and posted.endswith("model: org/model") and "\n…\n" in posted


async def test_an_address_that_apprise_does_not_know_is_refused_without_its_key(world: World) -> None:
    service = AppriseService(AppriseDestination(url=SecretStr("nosuch://key-of-mine")))
    with pytest.raises(ServiceRefused, match="knows no service") as caught:
        await service.send(Notice(text="x"))
    assert "key-of-mine" not in str(caught.value)


async def test_a_webhook_that_refuses_is_a_failure(world: World) -> None:
    service = AppriseService(world.hook_to("no-such-hook"))
    with pytest.raises(ServiceDown, match="did not take"):
        await service.send(Notice(text="x"))
