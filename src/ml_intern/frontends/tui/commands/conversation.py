"""Commands about the conversation itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_intern.frontends.headless.show import plan_lines
from ml_intern.frontends.sanitize import one_line
from ml_intern.frontends.tui.blocks.words import NoticeBlock
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.amounts import counted
from ml_intern.protocol.ran_words import without_ran_words

if TYPE_CHECKING:
    from ml_intern.frontends.tui.app import TuiApp
    from ml_intern.frontends.tui.commands.recall import Said

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


async def undo(app: TuiApp, rest: str) -> None:
    """``/undo [n]``: the last turn or the last n, and what was said in the first of them is in the composer again."""
    count = int(rest[:9] or "1") if not rest or rest.isdecimal() else 0
    turns = app.recall.last_turns(count)
    if not count:
        app.say(f"'{rest}' is no number of turns.", hint="/undo takes back the last one, /undo 3 the last three.", bad=True)
    elif len(turns) < count and rest:
        there = "is only 1 turn" if len(turns) == 1 else f"are only {counted(len(turns), 'turn')}" if turns else "is no turn"
        app.say(f"There {there} to take back.", bad=True)
    elif not turns:
        app.send(op.Undo())  # the session says that there is nothing
    elif not app.figures.turn_running or await _agreed(app, count):
        await _take_back(app, turns[0])


async def _agreed(app: TuiApp, count: int) -> bool:
    from ml_intern.frontends.tui.screens.questions import Confirm

    detail = "It is interrupted. Files stay as they are, and your text comes back into the composer."
    if count > 1:
        detail = f"It and {counted(count - 1, 'turn')} before it are taken back. {detail}"
    return await app.push_screen_wait(Confirm("A turn is running. Take it back?", detail))


async def _take_back(app: TuiApp, first: Said) -> None:
    """By the message that was meant: another turn may have begun since the user was asked."""
    messages = app.recall.messages
    if first not in messages:
        return
    said = "\n\n".join(without_ran_words(each.text) for each in messages if each.turn == first.turn)
    empty = not app.composer.text
    done = app.recall.awaiting(e.UndoComplete)
    app.send(op.Undo(before_message=messages.index(first)))
    undone = await done
    if empty and isinstance(undone, e.UndoComplete) and undone.cut_seq:
        app.composer.put_back(said)  # ahead of what the interrupt gave back


async def compact(app: TuiApp, _: str) -> None:
    """``/compact``"""
    app.send(op.Compact())
    if app.figures.turn_running:  # for some seconds only: it may be long until then, and Esc is the way out of what hangs
        app.hint("the conversation will be summarised before the next step")
    else:
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
