"""``/rewind``: take back conversation, files, or both; what would be lost is shown before anything changes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec.structs import replace

from ml_intern.frontends.tui.screens.rewind import BOTH, CONVERSATION, FILES, LAST_REWIND, RewindConfirm, message_picker, way_picker
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op

if TYPE_CHECKING:
    from ml_intern.frontends.tui.app import TuiApp

_ANSWERS = (e.RewindPlanned, e.RewindComplete, e.ErrorRaised)
PLAN_TIMEOUT_S = 120.0
"""Comparing a large workspace with its snapshot takes a while."""


async def rewind(app: TuiApp, rest: str) -> None:
    """``/rewind [back]``: ``back`` takes back the last rewind of files."""
    if rest == "back":
        await _back(app)
    elif rest:
        app.say(f"'{rest}' is nothing that /rewind knows.", hint="/rewind, or /rewind back to take the last one back.", bad=True)
    elif not app.recall.messages and not app.recall.rewound:
        app.say("There is nothing to go back to: nothing was said yet.")
    else:
        await _choose(app)


async def _choose(app: TuiApp) -> None:
    messages = list(app.recall.messages)
    place = await app.push_screen_wait(message_picker(messages, rewound=bool(app.recall.rewound), running=app.figures.turn_running))
    if place is None:
        return
    if place == LAST_REWIND:
        await _back(app)
        return
    way = await app.push_screen_wait(way_picker(messages[place]))
    if way is None:
        return
    wanted = op.Rewind(before_message=place, conversation=way in (BOTH, CONVERSATION), files=way in (BOTH, FILES))
    if not wanted.files:
        app.send(replace(wanted, confirmed_changes=""))  # no file changes: there is nothing to compare
    elif not await _plan_and_do(app, wanted, messages[place].text if wanted.conversation else ""):
        return
    if wanted.conversation and not app.composer.text:
        app.composer.put_back(messages[place].text)


async def _back(app: TuiApp) -> None:
    if not app.recall.rewound:
        app.say("No rewind of files is there to take back.", bad=True)
        return
    await _plan_and_do(app, op.Rewind(conversation=False, files=True, to_snapshot=app.recall.rewound))


async def _plan_and_do(app: TuiApp, wanted: op.Rewind, said: str = "") -> bool:
    """Ask what would change, show it, and do it; files that change meanwhile are shown anew. Whether it was done."""
    agreed = False
    planned = app.recall.awaiting(*_ANSWERS)
    app.send(wanted)
    app.hint("comparing the files …", until=_ANSWERS)
    while True:
        try:
            async with asyncio.timeout(PLAN_TIMEOUT_S):
                plan = await planned
        except TimeoutError:
            app.say("The session has not said what would change.", hint="Nothing was changed.", bad=True)
            return False
        if not isinstance(plan, e.RewindPlanned):  # it is done, or it cannot be, which the conversation tells
            return agreed
        if (keep := await app.push_screen_wait(RewindConfirm(plan, said))) is None:
            return False
        agreed = True
        planned = app.recall.awaiting(*_ANSWERS)
        app.send(replace(wanted, confirmed_changes=plan.confirm, keep=keep))
