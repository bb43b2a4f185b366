"""Whoever gives the app other keys reads of those, wherever the screen names a key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ml_intern.config.environ import Environ
from ml_intern.config.keys import DEFAULT_KEYS, IN_CARDS, IN_COMPOSER
from ml_intern.config.load import LoadedSettings
from ml_intern.config.settings import Settings
from ml_intern.frontends.tui.activity import KEYS_OF_BLOCKS
from ml_intern.frontends.tui.commands.help import help_rows
from ml_intern.frontends.tui.start import ProcessApp
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from tests.tui.pilots import command, until
from tests.tui.scripted import STARTED, ScriptedHost, running, screen_text, scripted, settled
from tests.unit.frontends.fake_host import done, started

OWN = {
    "interrupt": "ctrl+x",
    "stop": "f3",
    "leave": "f4",
    "cards": "f6",
    "editor": "ctrl+e",
    "approve": "1",
    "reject": "2",
    "edit": "3",
    "always_session": "4",
    "always_project": "5",
    "approve_all": "6",
    "approve_rest": "7",
}


def waiting(count: int) -> ScriptedHost:
    tools = tuple(
        e.PendingTool(tool="bash", tool_call_id=f"c{i}", arguments={"command": f"make {i}"}, remember_rule="bash(make *)")
        for i in range(count)
    )
    return scripted(past=(STARTED, *started(), e.ApprovalRequired(tools=tools, count=count)))


@pytest.mark.parametrize(
    ("width", "named"),
    [
        (120, "1 approve · 2 reject · 3 edit, Ctrl-E in your editor · 6 all 2 · 7 the rest of this turn · Esc back"),
        (60, "1 yes · 2 no · 3 edit · 4 5 always · 6 all · 7 rest"),
    ],
)
async def test_a_card_names_the_users_own_keys_and_obeys_them(width: int, named: str) -> None:
    host = waiting(2)
    async with running(host, size=(width, 40), settings=Settings(keys=OWN), calm_s=0.0) as (app, pilot):
        app.composer.focus()
        await pilot.pause()
        assert "F6 decides it" in "\n".join(screen_text(app))
        await pilot.press("f6")
        await pilot.pause()
        text = "\n".join(screen_text(app))
        assert named in text
        assert width < 100 or "4 always in this session, 5 in this project: bash(make *)" in text
        await pilot.press("3")
        await pilot.pause()
        assert ("Ctrl-E external editor" if width > 100 else "^E editor") in "\n".join(screen_text(app))
        await pilot.press("ctrl+s")
        await settled(app, pilot, host)
    assert [each.approvals[0].approved for each in host.operations if isinstance(each, op.ExecApproval)] == [True]


async def test_what_interrupts_and_what_leaves_are_named_by_the_users_own_keys() -> None:
    host = scripted(past=(STARTED, *started()))
    async with running(host, size=(100, 30), settings=Settings(keys=OWN)) as (app, pilot):
        assert "Ctrl-X interrupts" in "\n".join(screen_text(app))
        await command(app, pilot, host, "/init")
        assert "Ctrl-X interrupts the turn" in "\n".join(screen_text(app))
        await pilot.press("f3")
        await pilot.pause()
        assert "F3 again leaves" in "\n".join(screen_text(app))


async def test_the_key_that_goes_to_what_waits_is_named_as_it_is() -> None:
    host = scripted(past=(STARTED, *started()))
    tool = e.PendingTool(tool="bash", tool_call_id="c1", arguments={"command": "make"})
    async with running(host, size=(100, 30), settings=Settings(keys=OWN), calm_s=0.05) as (app, pilot):
        await pilot.press(*"text")
        host.emit(e.ApprovalRequired(tools=(tool,), count=1))
        await until(pilot, lambda: "something waits for you: F6 goes there" in "\n".join(screen_text(app)))


async def test_who_leaves_by_another_key_does_not_leave_by_the_old_one() -> None:
    host = scripted()
    async with running(host, settings=Settings(keys={"leave": "ctrl+w"})) as (app, pilot):
        await pilot.press("ctrl+d")
        await pilot.pause()
        assert "closing" not in "\n".join(screen_text(app))
        await pilot.press(*"word", "ctrl+w")
        assert app.composer.text == "" and "closing" not in "\n".join(screen_text(app))
        await pilot.press("ctrl+w")
        await until(pilot, lambda: app.return_code == 0)


async def test_the_help_of_the_real_app_lists_the_keys_of_every_place() -> None:
    host = scripted()

    async def opening() -> ScriptedHost:
        return host

    loaded = LoadedSettings(settings=Settings(keys=OWN), environ=Environ({}), cwd=Path("/home/shop"))
    app = ProcessApp(opening, loaded)
    async with app.run_test(size=(100, 60)) as pilot:
        await settled(app, pilot, host)
        text = "\n".join("".join(part for _, part in row) for row in help_rows(app))
    everywhere, composer, conversation, cards = (
        part.split("\n\n")[0] for part in re.split(r"\n(?:everywhere|composer|conversation|cards)", text)[1:]
    )
    told = {place: re.findall(r"\[(\w+)\]", part) for place, part in zip("ecvk", (everywhere, composer, conversation, cards), strict=True)}
    assert set(told["e"]) == set(DEFAULT_KEYS) - IN_COMPOSER - IN_CARDS
    assert set(told["c"]) == IN_COMPOSER and set(told["k"]) == IN_CARDS | {"editor"}
    assert "F6 " in everywhere and "Go to what waits" in everywhere and "F2" not in text
    for key in ("Enter ", "\\ Enter", "Tab "):
        assert key in composer
    assert "Ctrl+S" in cards and "PgUp" in cards and "Esc" in cards and "Esc" in conversation
    assert all(len(each) == len(set(each)) for each in told.values())


async def test_one_sees_that_the_conversation_has_the_keys_and_when_it_has_them_no_more() -> None:
    host = scripted(past=(STARTED, *started(), e.AssistantMessageAdded(content="said"), done("said")))
    async with running(host) as (app, pilot):
        await pilot.press("tab")
        await pilot.pause()
        assert app.focused is app.conversation and KEYS_OF_BLOCKS in "\n".join(screen_text(app))
        await pilot.press("escape")
        await pilot.pause()
        assert app.composer.has_focus and KEYS_OF_BLOCKS not in "\n".join(screen_text(app))
