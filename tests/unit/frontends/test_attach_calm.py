"""``ml-intern attach``: which keys are an answer to a card, and which were meant for something else."""

from __future__ import annotations

from ml_intern.frontends.attach.keyboard import Editor
from ml_intern.protocol import operations as op
from tests.unit.frontends.test_attach import BASH, EDIT, Joined, Terminal, asks, decided

APPROVED = op.ExecApproval(approvals=(op.ApprovalAnswer(tool_call_id="c1", approved=True),))
NEVER_S = 1e6


async def test_a_letter_alone_answers_what_waits_once_it_is_quiet_and_is_part_of_a_line_where_nothing_does() -> None:
    terminal = Terminal(Joined())
    editor = Editor(terminal.follower, quiet_s=0.0)
    await terminal.settled()
    editor.feed(b"ye")
    assert (editor.text, terminal.host.operations) == ("ye", [])
    terminal.host.emit(asks(BASH))
    await terminal.settled()
    editor.feed(b"\x7f")
    await terminal.settled()
    assert (editor.text, terminal.host.operations) == ("y", []), "nobody approves with what is left of a word"
    editor.feed(b"\x15y")
    await terminal.settled()
    assert editor.text == ""
    assert terminal.host.operations == [APPROVED]
    await terminal.left()


async def test_the_first_letter_of_a_word_approves_nothing() -> None:
    terminal = Terminal(Joined())
    editor = Editor(terminal.follower, quiet_s=NEVER_S)
    terminal.host.emit(asks(BASH))
    await terminal.settled()
    for key in b"you should not":
        editor.feed(bytes([key]))
    await terminal.settled()
    assert (editor.text, terminal.host.operations) == ("you should not", [])
    editor.feed(b"\r")
    await terminal.settled()
    (decided,) = terminal.host.operations
    assert decided == op.ExecApproval(approvals=(op.ApprovalAnswer(tool_call_id="c1", approved=False, feedback="you should not"),))
    editor.close()
    await terminal.left()


async def test_a_key_that_comes_right_after_the_card_decides_nothing_and_puts_the_calm_moment_off() -> None:
    terminal = Terminal(Joined(), calm_s=0.7)
    editor = Editor(terminal.follower, quiet_s=0.0)
    terminal.host.emit(asks(BASH))
    await terminal.settled()
    for _ in range(3):
        terminal.now += 0.6
        editor.feed(b"y\x7fy")
        await terminal.settled()
        editor.feed(b"\x15")
    assert terminal.host.operations == [] and "one moment" in terminal.follower.hint
    terminal.now += 0.7
    assert "y approves" in terminal.follower.hint
    editor.feed(b"y")
    await terminal.settled()
    assert terminal.host.operations == [APPROVED]
    await terminal.left()


async def test_a_line_that_was_begun_before_the_card_is_no_answer_and_is_a_message_only_when_sent_again() -> None:
    terminal = Terminal(Joined(), calm_s=0.7)
    editor = Editor(terminal.follower, quiet_s=0.0)
    await terminal.settled()
    editor.feed(b"and then dep")
    terminal.host.emit(asks(BASH))
    await terminal.settled()
    terminal.now += 10
    for sent in ([], [], [op.UserInput(text="and then deploy")]):
        editor.feed(b"loy\r" if editor.text.endswith("dep") else b"\r")
        await terminal.settled()
        assert terminal.host.operations == sent, "a key that bounces is no second one"
        if "Enter again sends it as a message" in terminal.text and editor.text:
            terminal.now += 0.1 if terminal.text.count("Enter again") == 1 else 0.7
    assert editor.text == ""
    await terminal.left()


async def test_a_line_for_a_card_that_was_decided_elsewhere_answers_no_other() -> None:
    terminal = Terminal(Joined())
    editor = Editor(terminal.follower, quiet_s=NEVER_S)
    terminal.host.emit(asks(BASH, EDIT))
    await terminal.settled()
    editor.feed(b"y")
    terminal.host.emit(decided(BASH, sent_by="process 99"))
    await terminal.settled()
    terminal.now += 60
    editor.feed(b"\r")
    await terminal.settled()
    assert terminal.host.operations == [] and "Once more, please" in terminal.text and editor.text == ""
    await terminal.left()
