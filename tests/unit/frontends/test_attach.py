"""``ml-intern attach``: what is shown of a session that another process has open, and what becomes of what is typed."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ml_intern.config.environ import Environ
from ml_intern.config.paths import paths_from
from ml_intern.errors import SessionClosed, SessionNotFound
from ml_intern.frontends.attach.cards import approval_card, chosen
from ml_intern.frontends.attach.follow import DONE, FAILED, Follower
from ml_intern.frontends.attach.keyboard import LONGEST_LINE, LineBuffer, lines_from
from ml_intern.frontends.attach.views import LineView
from ml_intern.frontends.commands.attach import which
from ml_intern.frontends.headless.text import Line, bare
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.codec import Envelope
from ml_intern.protocol.messages import UnreadMessage
from ml_intern.session.control import Welcome
from ml_intern.session.state import SessionState

BASH = e.PendingTool(tool="bash", arguments={"command": "make\nmake install"}, tool_call_id="c1", reason="It writes outside.")
EDIT = e.PendingTool(tool="edit", arguments={"path": "a.py"}, tool_call_id="c2")


class Joined:
    """A session of another process that plays what it is told to."""

    session_id = "0123456789abcdef"
    sender = "process 77"

    def __init__(self) -> None:
        self.state = SessionState()
        self.operations: list[op.AnyOperation] = []
        self.closed = False
        self.context_window: int | None = None
        self._queue: asyncio.Queue[Envelope | None] = asyncio.Queue()

    @property
    def busy(self) -> bool:
        return self.state.turn_running

    def emit(self, *events: e.AnyEvent) -> None:
        for event in events:
            seq = None if event.transient or isinstance(event, e.ToolLog) else self.state.last_seq + 1
            if seq is not None:
                self.state.apply(seq, event)
            self._queue.put_nowait(Envelope(session=self.session_id, seq=seq, at=datetime.now(UTC), event=event))

    async def submit(self, operation: op.AnyOperation) -> None:
        if self.closed:
            raise SessionClosed("It is gone.", hint="Go on here.")
        self.operations.append(operation)

    async def events(self, *, after_seq: int | None = None) -> AsyncIterator[Envelope]:
        while (envelope := await self._queue.get()) is not None:
            yield envelope

    async def aclose(self) -> None:
        self.closed = True
        self._queue.put_nowait(None)


class Terminal:
    """A follower, what it has shown, and a clock that stands still."""

    def __init__(self, host: Joined, *, answers: bool = True, calm_s: float = 0.0) -> None:
        self.text = ""
        self.now = 100.0
        view = LineView(self._write, _unpainted, verbose=False)
        self.follower = Follower(host, view, answers=answers, clock=lambda: self.now, calm_s=calm_s)
        self.host = host
        self.run = asyncio.create_task(self.follower.run(after_seq=0))

    def _write(self, text: str) -> None:
        self.text += text

    async def settled(self) -> None:
        """Everything that was emitted is shown, everything that was typed is sent."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def left(self) -> int:
        if not self.run.done():
            self.follower.leave()
        return await asyncio.wait_for(self.run, 10)


def _unpainted(rows: list[Line]) -> str:
    return "".join(f"{bare(row)}\n" for row in rows)


def asks(*tools: e.PendingTool) -> e.ApprovalRequired:
    return e.ApprovalRequired(tools=tools, count=len(tools))


def decided(tool: e.PendingTool, state: str = "approved", sent_by: str = "process 77") -> e.ToolStateChange:
    return e.ToolStateChange(tool_call_id=tool.tool_call_id, tool=tool.tool, state=state, sent_by=sent_by)


@pytest.mark.parametrize(
    ("typed", "approved", "feedback"),
    [("y", True, None), ("YES", True, None), ("n", False, None), ("Not on Fridays", False, "Not on Fridays")],
)
async def test_an_approval_is_answered_in_the_words_that_were_typed(typed: str, approved: bool, feedback: str | None) -> None:
    """W5.5: feedback keeps its capitals."""
    terminal = Terminal(Joined())
    terminal.host.emit(asks(BASH))
    await terminal.settled()
    assert "command:\n    make\n    make install" in terminal.text and "It writes outside." in terminal.text
    terminal.follower.typed(f"  {typed} ")
    await terminal.settled()
    assert terminal.host.operations == [
        op.ExecApproval(approvals=(op.ApprovalAnswer(tool_call_id="c1", approved=approved, feedback=feedback),))
    ]
    assert await terminal.left() == DONE


async def test_several_calls_are_asked_one_after_the_other() -> None:
    terminal = Terminal(Joined())
    terminal.host.emit(asks(BASH, EDIT))
    await terminal.settled()
    assert "edit needs" not in terminal.text
    terminal.follower.typed("y")
    terminal.host.emit(decided(BASH))
    await terminal.settled()
    assert "edit needs" in terminal.text and " by " not in terminal.text.partition("bash approved")[2]
    terminal.follower.typed("n")
    await terminal.settled()
    assert [answer.tool_call_id for x in terminal.host.operations if isinstance(x, op.ExecApproval) for answer in x.approvals] == [
        "c1",
        "c2",
    ]
    await terminal.left()


@pytest.mark.parametrize(
    ("sent_by", "told"),
    [("", "in the other terminal"), ("process 99", "in another terminal"), ("bea (U1) on Slack", "by bea (U1) on Slack")],
)
async def test_who_else_decided_is_said_in_words_and_never_by_the_number_of_a_process(sent_by: str, told: str) -> None:
    terminal = Terminal(Joined())
    question = e.QuestionAsked(question_id="q1", question="Which one?")
    terminal.host.emit(asks(BASH), question, decided(BASH, sent_by=sent_by))
    terminal.host.emit(e.QuestionAnswered(question_id="q1", answer="red", reason="answered", sent_by=sent_by))
    await terminal.settled()
    assert f"bash approved {told}\n" in terminal.text and f"answered {told}: red\n" in terminal.text
    assert "process 99" not in terminal.text
    await terminal.left()


async def test_an_answer_that_was_meant_for_a_call_that_was_decided_elsewhere_is_not_taken_for_the_next() -> None:
    terminal = Terminal(Joined())
    terminal.host.emit(asks(BASH, EDIT))
    await terminal.settled()
    terminal.host.emit(decided(BASH, sent_by="process 99"))
    await terminal.settled()
    assert "bash approved in another terminal" in terminal.text
    terminal.follower.typed("y")
    await terminal.settled()
    assert terminal.host.operations == [] and "Once more, please" in terminal.text
    terminal.follower.typed("y")
    await terminal.settled()
    assert len(terminal.host.operations) == 1
    await terminal.left()


async def test_what_was_decided_before_one_came_is_not_asked_again() -> None:
    host = Joined()
    host.emit(asks(BASH), decided(BASH), asks(EDIT))
    terminal = Terminal(host)
    await terminal.settled()
    assert "bash needs" not in terminal.text and terminal.text.count("edit needs") == 1
    await terminal.left()


async def test_a_question_is_answered_by_number_by_words_or_not_at_all() -> None:
    question = e.QuestionAsked(question_id="q1", question="Which?", options=("small", "large"))
    assert [chosen(question, typed) for typed in ("2", "3", "neither", "-")] == ["large", "3", "neither", None]
    terminal = Terminal(Joined())
    terminal.host.emit(question)
    await terminal.settled()
    assert "  2. large" in terminal.text
    terminal.follower.typed("2")
    await terminal.settled()
    assert terminal.host.operations == [op.AnswerQuestion(question_id="q1", answer="large")]
    await terminal.left()


async def test_ctrl_c_leaves_without_touching_the_session() -> None:
    terminal = Terminal(Joined())
    terminal.host.emit(e.Processing(message="…"))
    await terminal.settled()
    terminal.follower.on_signal(signal.SIGINT)
    assert await asyncio.wait_for(terminal.run, 10) == DONE
    assert terminal.host.closed and terminal.host.operations == []


async def test_another_signal_leaves_too_and_is_the_exit_code() -> None:
    terminal = Terminal(Joined())
    await terminal.settled()
    terminal.follower.on_signal(signal.SIGTERM)
    assert await asyncio.wait_for(terminal.run, 10) == 143


@pytest.mark.parametrize("how", ["escape", "word"])
async def test_escape_or_its_word_interrupts_the_turn_and_only_a_turn(how: str) -> None:
    terminal = Terminal(Joined())
    for running in (False, True):
        if running:
            terminal.host.emit(e.Processing(message="…"))
        await terminal.settled()
        terminal.follower.escape() if how == "escape" else terminal.follower.typed("/interrupt")
        await terminal.settled()
        assert terminal.host.operations == [op.Interrupt()] * running
    await terminal.left()


async def test_a_line_is_the_next_message_and_while_a_turn_runs_it_says_when_it_arrives() -> None:
    terminal = Terminal(Joined())
    await terminal.settled()
    terminal.follower.typed("Try a larger batch")
    terminal.host.emit(e.Processing(message="…"))
    await terminal.settled()
    assert "at its next step" not in terminal.text
    terminal.follower.typed("and be quick")
    await terminal.settled()
    assert terminal.host.operations == [op.UserInput(text="Try a larger batch"), op.UserInput(text="and be quick")]
    assert "at its next step" in terminal.text
    await terminal.left()


async def test_text_and_output_of_commands_are_shown_as_they_come_and_only_once() -> None:
    terminal = Terminal(Joined())
    terminal.host.emit(e.AssistantChunk(content="I will "), e.AssistantChunk(content="bui"))
    await terminal.settled()
    assert terminal.text.endswith("I will bui")
    terminal.host.emit(
        e.AssistantChunk(content="ld it."),
        e.AssistantMessageAdded(content="I will build it."),
        e.ToolCalled(tool="bash", arguments={"command": "make"}, tool_call_id="c1"),
        e.ToolLog(tool="bash", tool_call_id="c1", log="cc a.c\ncc b"),
    )
    await terminal.settled()
    assert terminal.text.count("build it.") == 1
    assert "│ cc a.c\n" in terminal.text and "cc b" not in terminal.text
    terminal.host.emit(e.ToolLog(tool="bash", tool_call_id="c1", log=".c\n"))
    await terminal.settled()
    assert "│ cc b.c\n" in terminal.text
    await terminal.left()


async def test_of_a_call_that_was_edited_what_ran_is_shown_with_its_answer() -> None:
    terminal = Terminal(Joined())
    edited = e.ToolStateChange(tool_call_id="c1", tool="bash", state="approved", arguments={"command": "make test"})
    terminal.host.emit(
        e.ToolCalled(tool="bash", arguments={"command": "make install"}, tool_call_id="c1"),
        edited,
        e.ToolFinished(tool="bash", tool_call_id="c1", output="ok", success=True),
    )
    await terminal.settled()
    [answer] = [row for row in terminal.text.splitlines() if row.startswith("✓")]
    assert "make test" in answer and terminal.text.count("make install") == 1, terminal.text
    await terminal.left()


async def test_a_reply_whose_beginning_was_missed_is_shown_whole_at_its_end() -> None:
    terminal = Terminal(Joined())
    terminal.host.emit(
        e.AssistantChunk(content="batch of 32 fits."), e.AssistantMessageAdded(content="I looked at the memory: a batch of 32 fits.")
    )
    await terminal.settled()
    assert "I looked at the memory: a batch of 32 fits." in terminal.text
    await terminal.left()


async def test_an_answer_that_came_too_late_is_told_with_the_name_of_who_was_faster() -> None:
    terminal = Terminal(Joined())
    terminal.host.emit(asks(BASH))
    await terminal.settled()
    terminal.follower.typed("y")
    terminal.host.emit(decided(BASH, "rejected", sent_by="process 99"))
    await terminal.settled()
    assert "bash rejected in another terminal Your answer came after that" in terminal.text
    await terminal.left()


async def test_an_error_about_what_another_terminal_sent_is_not_shown() -> None:
    terminal = Terminal(Joined())
    for sent_by in ("process 99", "", "process 77"):
        terminal.host.emit(e.ErrorRaised(error=f"Said to <{sent_by}>.", ends_turn=False, sent_by=sent_by))
    await terminal.settled()
    assert "<process 77>" in terminal.text and "<>" not in terminal.text and "<process 99>" not in terminal.text
    await terminal.left()


async def test_who_only_watches_sends_nothing() -> None:
    terminal = Terminal(Joined(), answers=False)
    terminal.host.emit(e.Processing(message="…"), asks(BASH))
    await terminal.settled()
    assert not terminal.follower.decides("y", "c1")
    terminal.follower.typed("y")
    terminal.follower.escape()
    await terminal.settled()
    assert terminal.host.operations == []
    await terminal.left()


async def test_what_an_interrupt_kept_from_being_read_is_told() -> None:
    terminal = Terminal(Joined())
    terminal.host.emit(e.Processing(message="…"), e.Interrupted(unread=(UnreadMessage("use less memory", sent_by="process 77"),)))
    await terminal.settled()
    assert "not read" in terminal.text and "use less memory" in terminal.text
    await terminal.left()


async def test_that_the_owner_died_is_the_exit_code() -> None:
    terminal = Terminal(Joined())
    terminal.host.emit(e.ConnectionChanged(state="gone", message="The process is gone."))
    assert await terminal.left() == FAILED
    assert "The process is gone." in terminal.text


async def test_without_a_keyboard_nothing_is_asked_but_all_is_shown() -> None:
    terminal = Terminal(Joined(), answers=False)
    terminal.host.emit(e.AssistantMessageAdded(content="I will build it."), asks(BASH))
    await terminal.settled()
    assert "I will build it." in terminal.text and "y: yes" not in terminal.text and "bash" in terminal.text
    await terminal.left()


async def test_an_answer_that_nobody_took_is_told() -> None:
    terminal = Terminal(Joined())
    terminal.host.emit(asks(BASH))
    await terminal.settled()
    terminal.host.closed = True
    terminal.follower.typed("y")
    await terminal.settled()
    assert "It is gone. Go on here." in terminal.text
    await terminal.left()


def test_nothing_that_a_model_wrote_commands_the_terminal() -> None:
    """W2.10: terminal injection."""
    evil = e.PendingTool(tool="bash\x1b[2J", arguments={"command": "ls\x1b]0;gone\x07\n\u202erm"}, tool_call_id="c1", reason="[red]\x9b1m")
    text = "\n".join(map(bare, approval_card(evil)))
    assert "\x1b" not in text and "\x9b" not in text and "\u202e" not in text and "[red]" in text


async def test_lines_come_from_a_descriptor_whole_and_its_end_is_told() -> None:
    reading, writing = os.pipe()
    lines: list[str] = []
    ended = asyncio.Event()
    with lines_from(reading, lines.append, ended.set):
        os.write(writing, "y\nnö".encode()[:-1])
        os.write(writing, "ö".encode()[-1:] + b"\nrest")
        os.close(writing)
        await asyncio.wait_for(ended.wait(), 10)
    os.close(reading)
    assert lines == ["y", "nö"]


def test_a_line_without_an_end_does_not_fill_the_memory() -> None:
    buffer = LineBuffer()
    assert buffer.feed(b"x" * (LONGEST_LINE + 1)) == []
    assert buffer.feed(b"y\n") == ["y"]


def _live(session: str, cwd: str) -> Welcome:
    return Welcome(session=session, last_seq=1, pid=42, host="h", cwd=cwd, title="A\x1b[2Jtask", busy=True, since=datetime.now(UTC))


async def test_the_session_of_this_folder_is_meant_or_the_only_one(tmp_path: Path) -> None:
    paths = paths_from(Environ({"HOME": str(tmp_path)}))
    one, two, three = _live("aaaa1", "/a"), _live("aabb2", "/b"), _live("cccc3", "/b")
    assert await which(None, [one, two], "/a", paths) == "aaaa1"
    assert await which(None, [one], "/elsewhere", paths) == "aaaa1"
    assert await which("aab", [one, two], "/a", paths) == "aabb2"
    with pytest.raises(SessionNotFound, match=r"(?s)Several.*aabb2.*process 42") as several:
        await which(None, [one, two, three], "/b", paths)
    assert "\x1b" not in str(several.value)
    with pytest.raises(SessionNotFound, match="No session is open"):
        await which(None, [], "/a", paths)
    with pytest.raises(SessionNotFound):
        await which("zzzz", [one], "/a", paths)
    assert not paths.sessions_db.exists(), "looking makes no store"
