"""``/doctor``: the checks of ``ml-intern doctor``, each as soon as it is done."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ml_intern.frontends.commands.check import Check
from ml_intern.frontends.commands.doctor import MARKS, checks_of
from ml_intern.frontends.headless.text import Line, Style, line
from ml_intern.frontends.sanitize import one_line
from ml_intern.frontends.tui.screens.pager import Pager

if TYPE_CHECKING:
    from ml_intern.frontends.tui.app import TuiApp

_STYLES: dict[str, Style] = {"ok": "good", "warn": "warn", "fail": "bad"}
_NAMES = 10


async def show_doctor(app: TuiApp, rest: str) -> None:
    """``/doctor [online]``: ``online`` also sends the model one short message."""
    if rest not in ("", "online"):
        app.say(f"'{rest}' is nothing that /doctor knows.", hint="/doctor, or /doctor online to ask the model something too.", bad=True)
        return
    from ml_intern.frontends.commands import machine_checks

    page = Pager("Doctor", rows_of_check(await asyncio.to_thread(machine_checks.versions)))
    closed = app.push_screen(page)
    await closed
    failed = count = 0
    async for check in checks_of(app.loaded, online=rest == "online"):
        if not page.is_current:
            return
        page.add(rows_of_check(check))
        count += 1
        failed += check.status == "fail"
    page.add([line(), line(("bad", f"{failed} of {count} checks failed.") if failed else ("good", "Ready."))])


def rows_of_check(check: Check) -> list[Line]:
    """One check, and what to do about it."""
    rows = [line((_STYLES[check.status], f"{MARKS[check.status][0]} {check.name:<{_NAMES}}"), one_line(check.detail))]
    if check.fix and check.status != "ok":
        rows.append(line(("accent", f"  {'':<{_NAMES}}→ {one_line(check.fix)}")))
    return rows
