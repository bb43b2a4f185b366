"""A click in Slack decides what its card shows: not another price that the call has when a resumed session asks again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from ml_intern.config.answer_settings import AnswerSettings
from ml_intern.config.secret import SecretStr
from ml_intern.config.settings import SlackDestination
from ml_intern.gateways.slack_socket import SlackAnswers
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.sinks.remote_answers import AnswerDesk
from ml_intern.testing.fake_slack_socket import FakeSlackSocket
from ml_intern.tools.base import Effect, Risk

from .conftest import MakeWorld
from .support import Echo
from .test_early_answers import Resumed


def priced(usd: float) -> Any:
    return lambda _args: Risk(effects=frozenset({Effect.SPENDS}), cost_usd=usd)


class Clicked:
    """A session that was resumed and is about to ask again, a Slack on loopback, and the desk between them."""

    def __init__(self, world: MakeWorld, slack: FakeSlackSocket) -> None:
        self.slack = slack
        self.resumed = Resumed(world)
        self._desk: AnswerDesk | None = None
        self.echo = Echo()

    async def open(self, *, now_usd: float) -> None:
        """It was asked at a dollar; its card is posted."""
        self.echo = await self.resumed.open("c1", before=priced(1.0), now=priced(now_usd))
        session, slack = self.resumed.w.session, self.slack
        token = SecretStr(FakeSlackSocket.APP_TOKEN)
        self._desk = AnswerDesk(
            SlackAnswers(SlackDestination(token=SecretStr(FakeSlackSocket.TOKEN), channel="C1"), token, slack.url),
            AnswerSettings(enabled=True, app_token=token, allowed_users=("UBOSS",)),
            session.state,
            answer=session.answer,
            append=session.log.append,
            scrub=lambda text: text,
            now=lambda: datetime.now(UTC),
            about="session s1",
        )
        self._desk.start(session.log.events(after_seq=session.log.state.last_seq))
        await slack.until(1, slack.posted)
        assert "It costs at most $1.00." in self.text(0)

    def text(self, card: int) -> str:
        return str(self.slack.posted[card]["blocks"][0]["text"]["text"])

    async def click(self, label: str, card: int = 0) -> str:
        """What the one who clicked is told, of what is told at all; else the outcome is in the log."""
        told = len(self.slack.ephemeral)
        self.slack.click(self.slack.posted[card], label, user="UBOSS")
        await self.slack.until(told + 1, self.slack.ephemeral)
        return str(self.slack.ephemeral[told]["text"])

    async def audit(self, count: int) -> list[str]:
        await self.resumed.w.until(e.RemoteAnswered, count=count)
        return [each.outcome for each in self.resumed.w.of(e.RemoteAnswered)]

    async def close(self) -> None:
        await self.resumed.w.session.aclose()
        if self._desk is not None:
            await self._desk.aclose()


@pytest.fixture
async def clicked(world: MakeWorld) -> AsyncIterator[Clicked]:
    async with FakeSlackSocket() as slack:
        made = Clicked(world, slack)
        yield made
        await asyncio.wait_for(made.close(), 10)


async def test_a_click_on_a_card_whose_price_has_changed_decides_nothing_and_the_new_price_is_asked(clicked: Clicked) -> None:
    await clicked.open(now_usd=4.0)
    clicked.resumed.let_it_ask()
    await clicked.slack.until(2, clicked.slack.posted)
    assert "It costs at most $4.00." in clicked.text(1)
    assert "it changed, and is asked anew" in clicked.slack.updated[0]["text"]
    assert "has changed since that card was posted" in await clicked.click("Approve", card=0)
    assert await clicked.audit(1) == ["changed"] and clicked.echo.ran == [] and "c1" in clicked.resumed.w.state.pending
    clicked.slack.click(clicked.slack.posted[1], "Approve", user="UBOSS")
    await clicked.resumed.w.turn_end()
    assert clicked.echo.ran == ["c1"] and await clicked.audit(2) == ["changed", "taken"]


async def test_an_early_yes_in_slack_to_another_price_is_said_to_be_kept_and_then_not_to_count(clicked: Clicked) -> None:
    await clicked.open(now_usd=4.0)
    assert "is about to ask that again" in await clicked.click("Approve")
    assert await clicked.audit(1) == ["kept"]
    clicked.resumed.let_it_ask()
    await clicked.slack.until(2, clicked.slack.posted)
    assert await clicked.audit(2) == ["kept", "lapsed"]
    assert "has changed since" in await clicked.click("Approve", card=0), "a second click on the old card decides no more than the first"
    assert clicked.echo.ran == [] and clicked.resumed.w.state.pending["c1"].estimated_cost_usd == 4.0


async def test_an_early_yes_in_slack_to_what_is_asked_again_as_it_was_counts(clicked: Clicked) -> None:
    await clicked.open(now_usd=1.0)
    await clicked.click("Approve")
    await clicked.resumed.end()
    await clicked.slack.until(1, clicked.slack.updated)
    assert clicked.echo.ran == ["c1"] and await clicked.audit(1) == ["kept"] and len(clicked.slack.posted) == 1
    assert "approved by uboss (UBOSS) on slack" in clicked.slack.updated[0]["text"]


async def test_an_early_no_in_slack_counts_whatever_the_price_is_now(clicked: Clicked) -> None:
    await clicked.open(now_usd=4.0)
    await clicked.click("Reject")
    await clicked.resumed.end()
    await clicked.slack.until(2, clicked.slack.updated)
    assert clicked.echo.ran == [] and "Rejected by UBOSS" in clicked.resumed.w.of(e.ToolFinished)[0].output
    assert await clicked.audit(1) == ["kept"], "it did count"
    assert "rejected by uboss (UBOSS) on slack" in clicked.slack.updated[1]["text"]


async def test_an_early_yes_in_slack_to_what_is_not_asked_again_is_said_not_to_count(clicked: Clicked) -> None:
    await clicked.open(now_usd=1.0)
    await clicked.click("Approve")
    await clicked.resumed.w.session.submit(op.Interrupt())
    assert await clicked.audit(2) == ["kept", "lapsed"] and clicked.echo.ran == []
