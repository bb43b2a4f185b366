"""Answers from Slack: the real slack_sdk, in Socket Mode, against a Slack on loopback, and a session that waits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from ml_intern.config.answer_settings import AnswerSettings
from ml_intern.config.secret import SecretStr
from ml_intern.config.settings import SlackDestination
from ml_intern.errors import ServiceAuthError, SessionClosed
from ml_intern.gateways.remote_answers import Card, Choice, Reply
from ml_intern.gateways.slack_blocks import CODE_LIMIT_CHARS
from ml_intern.gateways.slack_socket import SlackAnswers
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.codec import Envelope
from ml_intern.protocol.display import Text
from ml_intern.session.state import SessionState
from ml_intern.sinks.remote_answers import AnswerDesk
from ml_intern.testing.fake_slack_socket import FakeSlackSocket

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
UBOSS = "uboss (UBOSS) on slack"
BASH = e.PendingTool(tool="bash", arguments={"command": "rm -r <!channel> *build*"}, tool_call_id="c1", reason="It writes outside.")


class Waiting:
    """A session: its state, what was submitted to it, and what its log got."""

    def __init__(self, slack: FakeSlackSocket, **settings: Any) -> None:
        self.state = SessionState()
        self.submitted: list[op.AnyOperation] = []
        self.audit: list[e.RemoteAnswered | e.ToolLog] = []
        self.now = NOW
        self.closed = self.decided_elsewhere = False
        self._queue: asyncio.Queue[Envelope | None] = asyncio.Queue()
        self.changed = asyncio.Event()
        destination = SlackDestination(token=SecretStr(FakeSlackSocket.TOKEN), channel="C1")
        app_token = settings.pop("app_token", SecretStr(FakeSlackSocket.APP_TOKEN))
        self.desk = AnswerDesk(
            SlackAnswers(destination, app_token, slack.url),
            AnswerSettings(**{"enabled": True, "app_token": app_token, "allowed_users": ("UBOSS",), **settings}),
            self.state,
            answer=self._submit,
            append=self._append,
            scrub=lambda text: text.replace("hunter2", "[REDACTED]"),
            now=lambda: self.now,
            about="session s1 in /home/ada",
        )

    def start(self) -> None:
        self.desk.start(self._events())

    def emit(self, *events: e.AnyEvent) -> None:
        for event in events:
            seq = self.state.last_seq + 1
            self.state.apply(seq, event)
            self._queue.put_nowait(Envelope(session="s1", seq=seq, at=NOW, event=event))

    async def _events(self) -> AsyncGenerator[Envelope]:
        while (envelope := await self._queue.get()) is not None:
            yield envelope

    async def _submit(self, operation: op.ExecApproval | op.AnswerQuestion) -> bool:
        if self.closed:
            raise SessionClosed("This session is closed.")
        self.submitted.append(operation)
        self.changed.set()
        self.state.pending = self.state.pending if self.decided_elsewhere else {}  # a log has folded a decision when that is told
        return not self.decided_elsewhere

    async def _append(self, event: e.RemoteAnswered | e.ToolLog) -> None:
        self.audit.append(event)
        self.changed.set()

    async def until_submitted(self) -> None:
        async with asyncio.timeout(20):
            while not self.submitted:
                self.changed.clear()
                await self.changed.wait()

    async def close(self) -> None:
        self._queue.put_nowait(None)
        await self.desk.aclose()

    @property
    def outcomes(self) -> list[str]:
        return [event.outcome for event in self.audit if isinstance(event, e.RemoteAnswered)]


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlackSocket]:
    async with FakeSlackSocket() as server:
        yield server


@pytest.fixture
async def waiting(slack: FakeSlackSocket) -> AsyncIterator[Waiting]:
    made = Waiting(slack)
    made.start()
    yield made
    await made.close()


def asks(*tools: e.PendingTool) -> e.ApprovalRequired:
    return e.ApprovalRequired(tools=tools, count=len(tools))


async def test_an_approval_in_slack_is_the_sessions_operation_and_audited(slack: FakeSlackSocket, waiting: Waiting) -> None:
    waiting.emit(asks(BASH))
    await slack.until(1, slack.posted)
    slack.click(slack.posted[0], "Approve", user="UBOSS")
    await waiting.until_submitted()
    assert waiting.submitted == [op.ExecApproval(approvals=(op.ApprovalAnswer(tool_call_id="c1", approved=True),), sent_by=UBOSS)]
    assert waiting.audit == [e.RemoteAnswered(service="slack", user="UBOSS", where="C1", keys=("c1",), answer="approve", outcome="taken")]
    await slack.until(1, slack.acknowledged)
    waiting.emit(e.ToolStateChange(tool_call_id="c1", tool="bash", state="approved", sent_by=UBOSS))
    await slack.until(1, slack.updated)
    assert "approved by uboss (UBOSS) on slack, 2026-11-21" in slack.updated[0]["text"]
    assert all(block["type"] != "actions" for block in slack.updated[0]["blocks"])


async def test_a_rejection_says_who_rejected(slack: FakeSlackSocket, waiting: Waiting) -> None:
    waiting.emit(asks(BASH))
    await slack.until(1, slack.posted)
    slack.click(slack.posted[0], "Reject", user="UBOSS")
    await waiting.until_submitted()
    (operation,) = waiting.submitted
    assert isinstance(operation, op.ExecApproval)
    (answer,) = operation.approvals
    assert not answer.approved and "UBOSS" in (answer.feedback or "")


async def test_the_card_shows_all_that_will_run_as_data(slack: FakeSlackSocket, waiting: Waiting) -> None:
    """W2.9: text of models and tools pinged a whole channel."""
    waiting.emit(asks(BASH))
    await slack.until(1, slack.posted)
    (card,) = slack.posted
    code = "".join(b["elements"][0]["elements"][0]["text"] for b in card["blocks"] if b["type"] == "rich_text")
    assert json.loads(code) == BASH.arguments
    assert "<!channel>" not in card["text"] and "mrkdwn" not in {b["text"]["type"] for b in card["blocks"] if b["type"] == "section"}
    assert "session s1 in /home/ada" in card["blocks"][0]["text"]["text"]


async def test_what_is_too_long_to_be_shown_whole_cannot_be_approved_there(slack: FakeSlackSocket, waiting: Waiting) -> None:
    waiting.emit(asks(e.PendingTool(tool="write", arguments={"text": "x" * CODE_LIMIT_CHARS}, tool_call_id="c2")))
    await slack.until(1, slack.posted)
    (actions,) = [block for block in slack.posted[0]["blocks"] if block["type"] == "actions"]
    assert [button["text"]["text"] for button in actions["elements"]] == ["Reject", "Reject with a reason …"]
    assert "are left out" in slack.posted[0]["blocks"][0]["text"]["text"]
    slack.click(slack.posted[0], "Reject", user="UBOSS", value="approve")
    await slack.until(1, slack.ephemeral)
    assert waiting.submitted == [] and waiting.outcomes == ["unreadable"]


async def test_secrets_do_not_go_to_slack(slack: FakeSlackSocket, waiting: Waiting) -> None:
    waiting.emit(asks(e.PendingTool(tool="bash", arguments={"command": "login hunter2"}, tool_call_id="c1", reason="hunter2?")))
    await slack.until(1, slack.posted)
    assert "hunter2" not in json.dumps(slack.posted)


async def test_somebody_who_is_not_on_the_list_is_refused_told_and_audited(slack: FakeSlackSocket, waiting: Waiting) -> None:
    waiting.emit(asks(BASH))
    await slack.until(1, slack.posted)
    slack.click(slack.posted[0], "Approve", user="UEVIL")
    await slack.until(1, slack.ephemeral)
    assert waiting.submitted == [] and waiting.outcomes == ["foreign"]
    assert slack.ephemeral[0]["user"] == "UEVIL" and "allowed_users" in slack.ephemeral[0]["text"]
    slack.click(slack.posted[0], "Approve", user="UBOSS")
    await waiting.until_submitted()


async def test_an_expired_question_is_not_answered(slack: FakeSlackSocket, waiting: Waiting) -> None:
    waiting.emit(asks(BASH))
    await slack.until(1, slack.posted)
    waiting.now = NOW + timedelta(hours=1)
    slack.click(slack.posted[0], "Approve", user="UBOSS")
    await slack.until(1, slack.ephemeral)
    assert waiting.submitted == [] and waiting.outcomes == ["expired"] and "expired" in slack.ephemeral[0]["text"]


async def test_what_was_decided_in_the_terminal_is_closed_in_slack_and_a_late_click_is_told(
    slack: FakeSlackSocket, waiting: Waiting
) -> None:
    waiting.emit(asks(BASH))
    await slack.until(1, slack.posted)
    waiting.emit(e.ToolStateChange(tool_call_id="c1", tool="bash", state="rejected"))
    await slack.until(1, slack.updated)
    assert "rejected in its terminal, 2026-11-21" in slack.updated[0]["text"]
    slack.click(slack.posted[0], "Approve", user="UBOSS")
    await slack.until(1, slack.ephemeral)
    assert waiting.submitted == [] and waiting.outcomes == ["late"] and "decided already" in slack.ephemeral[0]["text"]


async def test_a_click_that_loses_against_the_terminal_is_late_in_the_audit_on_the_card_and_to_who_clicked(
    slack: FakeSlackSocket, waiting: Waiting
) -> None:
    waiting.emit(asks(BASH))
    await slack.until(1, slack.posted)
    waiting.decided_elsewhere = True
    slack.click(slack.posted[0], "Approve", user="UBOSS")
    await slack.until(1, slack.ephemeral)
    assert waiting.outcomes == ["late"] and "decided already" in slack.ephemeral[0]["text"]
    waiting.emit(e.ToolStateChange(tool_call_id="c1", tool="bash", state="rejected"))
    await slack.until(1, slack.updated)
    assert "rejected in its terminal, 2026-11-21" in slack.updated[0]["text"]


async def test_a_click_on_an_older_card_of_the_same_call_is_not_taken_for_the_new_one(slack: FakeSlackSocket, waiting: Waiting) -> None:
    over, edited = (e.ToolStateChange(tool_call_id="c1", tool="bash", state=state) for state in ("cancelled", "changed"))
    waiting.emit(asks(BASH), over, asks(BASH), edited, asks(structs.replace(BASH, estimated_cost_usd=20.0)))
    await slack.until(3, slack.posted)
    slack.click(slack.posted[1], "Approve", user="UBOSS")
    await slack.until(1, slack.ephemeral)
    assert waiting.submitted == [] and waiting.outcomes == ["changed"]


async def test_a_question_is_answered_by_its_options(slack: FakeSlackSocket, waiting: Waiting) -> None:
    waiting.emit(e.QuestionAsked(question_id="q1", question="Which *size*?", options=("small", "large")))
    await slack.until(1, slack.posted)
    slack.click(slack.posted[0], "large", user="UBOSS")
    await waiting.until_submitted()
    assert waiting.submitted == [op.AnswerQuestion(question_id="q1", answer="large", sent_by=UBOSS)]


async def test_a_rejection_may_have_a_reason(slack: FakeSlackSocket, waiting: Waiting) -> None:
    waiting.emit(asks(BASH))
    await slack.until(1, slack.posted)
    slack.click(slack.posted[0], "Reject with a reason …", user="UBOSS")
    await slack.until(1, slack.opened)
    assert waiting.submitted == [] and waiting.outcomes == [], "opening the form decides nothing"
    slack.write(slack.opened[0], "keep the build", user="UBOSS")
    await waiting.until_submitted()
    (operation,) = waiting.submitted
    assert isinstance(operation, op.ExecApproval)
    assert operation.approvals[0].feedback == "Rejected by UBOSS on slack: keep the build" and not operation.approvals[0].approved
    assert waiting.audit == [
        e.RemoteAnswered(service="slack", user="UBOSS", where="C1", keys=("c1",), answer="reject_with_words", outcome="taken")
    ]


async def test_somebody_who_is_not_on_the_list_gets_no_form_and_a_form_sent_by_them_does_nothing(
    slack: FakeSlackSocket, waiting: Waiting
) -> None:
    waiting.emit(asks(BASH))
    await slack.until(1, slack.posted)
    slack.click(slack.posted[0], "Reject with a reason …", user="UEVIL")
    await slack.until(1, slack.ephemeral)
    assert slack.opened == []
    slack.click(slack.posted[0], "Reject with a reason …", user="UBOSS")
    await slack.until(1, slack.opened)
    slack.write(slack.opened[0], "mine", user="UEVIL")
    await slack.until(2, slack.ephemeral)
    assert waiting.submitted == [] and waiting.outcomes == ["foreign", "foreign"]


async def test_a_form_that_comes_after_the_decision_is_late(slack: FakeSlackSocket, waiting: Waiting) -> None:
    waiting.emit(asks(BASH))
    await slack.until(1, slack.posted)
    slack.click(slack.posted[0], "Reject with a reason …", user="UBOSS")
    await slack.until(1, slack.opened)
    waiting.emit(e.ToolStateChange(tool_call_id="c1", tool="bash", state="approved", sent_by="process 7"))
    await slack.until(1, slack.updated)
    assert "approved in another terminal" in slack.updated[0]["text"]
    slack.write(slack.opened[0], "no", user="UBOSS")
    await slack.until(1, slack.ephemeral)
    assert waiting.submitted == [] and waiting.outcomes == ["late"]


async def test_a_question_is_answered_in_words(slack: FakeSlackSocket, waiting: Waiting) -> None:
    waiting.emit(e.QuestionAsked(question_id="q1", question="Which size?", options=("small",)))
    await slack.until(1, slack.posted)
    slack.click(slack.posted[0], "In words …", user="UBOSS")
    await slack.until(1, slack.opened)
    slack.write(slack.opened[0], "medium", user="UBOSS")
    await waiting.until_submitted()
    assert waiting.submitted == [op.AnswerQuestion(question_id="q1", answer="medium", sent_by=UBOSS)]


@pytest.mark.parametrize("allowed", [True, False])
async def test_always_in_this_session_is_offered_only_where_the_settings_allow_it(slack: FakeSlackSocket, allowed: bool) -> None:
    waiting = Waiting(slack, allow_remember=allowed)
    waiting.start()
    waiting.emit(asks(structs.replace(BASH, remember_rule="bash(rm *)")))
    await slack.until(1, slack.posted)
    labels = [button["text"]["text"] for block in slack.posted[0]["blocks"] if block["type"] == "actions" for button in block["elements"]]
    assert ("Always in this session" in labels) is allowed
    slack.click(slack.posted[0], "Approve", user="UBOSS", value="approve_session")
    if allowed:
        assert "bash(rm *)" in slack.posted[0]["blocks"][0]["text"]["text"]
        await waiting.until_submitted()
        (operation,) = waiting.submitted
        assert isinstance(operation, op.ExecApproval) and operation.approvals[0].remember == "session"
    else:
        await slack.until(1, slack.ephemeral)
        assert waiting.submitted == [] and waiting.outcomes == ["unreadable"]
    await waiting.close()


async def test_the_card_says_what_it_may_do_its_worst_case_and_what_is_left(slack: FakeSlackSocket, waiting: Waiting) -> None:
    job = e.PendingTool(
        tool="hf_jobs",
        arguments={"operation": "run"},
        tool_call_id="c1",
        risk=("spends",),
        estimated_cost_usd=0.004,
        remaining_cap_usd=7.5,
        display=(Text(text="Warning: it never pushes a model."), Text(text="print(1)", language="python")),
    )
    waiting.emit(asks(job))
    await slack.until(1, slack.posted)
    text = slack.posted[0]["blocks"][0]["text"]["text"]
    for words in ("It may: spends.", "It costs at most $0.0040.", "$7.50 is left of the budget.", "never pushes"):
        assert words in text


async def test_an_expired_question_says_so_and_loses_its_buttons(slack: FakeSlackSocket) -> None:
    waiting = Waiting(slack, expires_s=0.05)
    waiting.start()
    waiting.emit(asks(BASH))
    await slack.until(1, slack.updated)
    assert "expired" in slack.updated[0]["text"] and all(block["type"] != "actions" for block in slack.updated[0]["blocks"])
    slack.click(slack.posted[0], "Approve", user="UBOSS")
    await slack.until(1, slack.ephemeral)
    assert waiting.submitted == [] and waiting.outcomes == ["expired"]
    await waiting.close()


async def test_what_waited_before_the_connection_was_there_is_asked(slack: FakeSlackSocket) -> None:
    waiting = Waiting(slack)
    waiting.emit(asks(BASH))  # in the state, and among the events that are still to be read
    waiting.start()
    await slack.until(1, slack.posted)
    await waiting.close()
    assert len(slack.posted) == 1, "once"
    assert "closed" in slack.updated[0]["text"], "nobody is left with buttons that do nothing"


async def test_a_wrong_token_is_told_in_the_session_and_stops_nothing(slack: FakeSlackSocket) -> None:
    waiting = Waiting(slack, app_token=SecretStr("xapp-wrong"))
    waiting.start()
    async with asyncio.timeout(20):
        await waiting.changed.wait()
    await waiting.close()
    (said,) = waiting.audit
    assert isinstance(said, e.ToolLog) and "app_token" in said.log and "xapp-wrong" not in said.log


async def test_a_session_that_is_closed_meanwhile_is_told(slack: FakeSlackSocket, waiting: Waiting) -> None:
    waiting.emit(asks(BASH))
    await slack.until(1, slack.posted)
    waiting.closed = True
    slack.click(slack.posted[0], "Approve", user="UBOSS")
    await slack.until(1, slack.ephemeral)
    assert "not taken" in slack.ephemeral[0]["text"]


@pytest.mark.parametrize(
    "payload",
    [{"type": "view_submission"}, {"type": "block_actions"}, {"type": "block_actions", "user": {"id": 5}, "channel": {}, "actions": []}],
)
async def test_what_is_no_click_of_ours_is_acknowledged_and_ignored(
    slack: FakeSlackSocket, waiting: Waiting, payload: dict[str, Any]
) -> None:
    await slack.connected()
    slack.send(payload)
    await slack.until(1, slack.acknowledged)
    waiting.emit(asks(BASH))
    await slack.until(1, slack.posted)
    assert waiting.audit == []


async def test_a_wrong_bot_token_is_an_error_with_a_hint(slack: FakeSlackSocket) -> None:
    destination = SlackDestination(token=SecretStr("xoxb-wrong"), channel="C1")
    service = SlackAnswers(destination, SecretStr(FakeSlackSocket.APP_TOKEN), slack.url)

    async def nobody(_click: object) -> Reply:
        return Reply()

    await service.start(nobody)
    with pytest.raises(ServiceAuthError, match="bot token"):
        await service.ask(Card(key="k", title="t", text="x", choices=(Choice(label="Yes", value="y"),)))
    await service.aclose()


async def test_a_connection_that_slack_closes_is_made_again(slack: FakeSlackSocket, waiting: Waiting) -> None:
    await slack.connected()
    slack.drop()
    await slack.connected(2)
    waiting.emit(asks(BASH))
    await slack.until(1, slack.posted)
    slack.click(slack.posted[0], "Approve", user="UBOSS")
    await waiting.until_submitted()
