"""Commands about the conversation itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_intern.frontends.headless.show import plan_lines
from ml_intern.frontends.sanitize import one_line
from ml_intern.frontends.tui.blocks.words import NoticeBlock
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op

if TYPE_CHECKING:
    from ml_intern.frontends.tui.app import TuiApp

LONGEST_TITLE = 200


async def leave(app: TuiApp, _: str) -> None:
    """``/quit``"""
    app.leave()


async def new(app: TuiApp, _: str) -> None:
    """``/new``"""
    app.send(op.New())


async def clear(app: TuiApp, _: str) -> None:
    """``/clear``"""
    app.send(op.New(clear_screen=True))


async def undo(app: TuiApp, _: str) -> None:
    """``/undo``"""
    app.send(op.Undo())


async def compact(app: TuiApp, _: str) -> None:
    """``/compact``"""
    app.send(op.Compact())
    app.hint("the conversation is being summarised", until=(e.Compacted, e.Interrupted))


async def fork(app: TuiApp, _: str) -> None:
    """``/fork``"""
    app.send(op.Fork())


async def rename(app: TuiApp, rest: str) -> None:
    """``/rename <title>``; asks for the title when none is given."""
    from ml_intern.frontends.tui.screens.questions import AskLine

    title = rest or await app.push_screen_wait(AskLine("Title of this session", value=app.status.figures.title))
    title = one_line(title)[:LONGEST_TITLE]
    if title:
        app.send(op.SetTitle(title=title))
        app.hint(f"this session is now called “{title}”")


async def copy(app: TuiApp, rest: str) -> None:
    """``/copy [n]``: the n-th answer from the end."""
    answers = app.recall.answers
    count = int(rest) if rest.isdecimal() else 1
    if rest and not (rest.isdecimal() and count):
        app.say(f"'{rest}' is no number of an answer.", hint="/copy copies the last one, /copy 2 the one before.", bad=True)
    elif count > len(answers):
        app.say("There is no answer to copy." if not answers else f"There are only {len(answers)} answers to copy from.", bad=True)
    else:
        app.copy_to_clipboard(answers[-count].text)
        app.hint("the last answer is copied" if count == 1 else f"answer {count} from the end is copied")


async def plan(app: TuiApp, _: str) -> None:
    """``/plan``"""
    if items := app.recall.plan:
        app.conversation.add(NoticeBlock(plan_lines(items)))
    else:
        app.say("There is no plan: the model makes one when a task has several parts.")
