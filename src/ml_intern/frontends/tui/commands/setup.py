"""``/setup``: a key for models, pasted into a field that does not show it; the session that waits for one is opened then."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ml_intern.frontends.first_run.steps import TOKEN_PAGE, check_token, keep
from ml_intern.frontends.tui.screens.questions import AskLine, Confirm
from ml_intern.models.key_check import MAKERS

if TYPE_CHECKING:
    from ml_intern.frontends.tui.app import TuiApp


async def take_key(app: TuiApp, _: str) -> None:
    """``/setup``"""
    others = ", ".join(maker.name for maker in MAKERS)
    detail = f"A Hugging Face token, from {TOKEN_PAGE}, or a key of {others}. It is checked, and kept for you alone; it is not shown."
    text = await app.push_screen_wait(AskLine("A token or a key for models", detail=detail, masked=True))
    if not text:
        return
    with app.hinting("asking whether it is known …"):
        check = await check_token(app.loaded, text)
    if check.problem:
        app.say(check.problem, bad=True)
    if check.token is None:
        return
    if check.unchecked and not await app.push_screen_wait(Confirm("Keep it unchecked?", check.problem)):
        return
    where = await keep(app.loaded, check.token, check.variable)
    hello = f"Hello {check.user}. " if check.user else ""
    loaded = await asyncio.to_thread(app.loaded.again)
    if app.unopened is not None:
        app.say(f"{hello}It is kept in {where}.")
        app.reopen(loaded)
    else:
        app.loaded = loaded
        app.say(f"{hello}It is kept in {where}.", hint="The next session uses it, and this one after /model.")
