"""Links: which there are, which are opened, and what is asked before."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_intern.frontends.tui.app import TuiApp
from ml_intern.frontends.tui.blocks.pen import Pen
from ml_intern.frontends.tui.cells import links_in
from ml_intern.frontends.tui.links import forbidden
from ml_intern.frontends.tui.theme import DARK, palette
from ml_intern.protocol import events as e
from tests.tui.pilots import until
from tests.tui.scripted import STARTED, running, screen_text, scripted, settled
from tests.tui.test_selecting import said, where

PAGE = "https://hub.example/papers/2106.09685"


def opened_by(app: TuiApp, *, answers: bool = True) -> list[str]:
    """What the app's browser was asked to open."""
    opened: list[str] = []

    def browser(url: str) -> bool:
        opened.append(url)
        return answers

    app.browser = browser
    return opened


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"See {PAGE}.", [PAGE]),
        (f"({PAGE}) and <{PAGE}>, {PAGE}", [PAGE]),
        ("https://a.example/w_(x)", ["https://a.example/w_(x)"]),
        ("ftp://a.example javascript:alert(1)", []),
    ],
)
def test_addresses_are_found_without_the_sentence_around_them(text: str, found: list[str]) -> None:
    assert links_in(text) == found


def test_an_address_that_the_width_has_broken_is_one_link() -> None:
    rows = Pen(20, palette(DARK)).wrapped(f"see {PAGE} now")
    links = [(part.text, part.style.link) for row in rows for part in row if part.style is not None and part.style.link]
    assert {link for _, link in links} == {PAGE}
    assert "".join(text for text, _ in links) == PAGE


async def test_a_click_on_an_address_opens_it() -> None:
    host = scripted(past=(STARTED, said(f"Read {PAGE} first.")))
    async with running(host) as (app, pilot):
        opened = opened_by(app)
        await pilot.click("#conversation", offset=where(app, "hub.example"))
        await until(pilot, lambda: bool(opened))
        assert f"opening {PAGE}" in "\n".join(screen_text(app))
    assert opened == [PAGE]


async def test_a_link_whose_text_leads_elsewhere_is_shown_before_it_is_opened() -> None:
    words = "x " * 32
    host = scripted(past=(STARTED, said(f"{words}[https://good.example](https://evil.example/{'y' * 40})")))
    async with running(host) as (app, pilot):
        opened = opened_by(app)
        await pilot.click("#conversation", offset=where(app, "good.example"))
        await until(pilot, lambda: "leads to" in "\n".join(screen_text(app)))
        assert "https://evil.example/yyy" in "\n".join(screen_text(app))
        await pilot.press("enter")
        await pilot.pause()
        assert opened == []
        await pilot.click("#conversation", offset=where(app, "good.example"))
        await until(pilot, lambda: "leads to" in "\n".join(screen_text(app)))
        await pilot.press("y")
        await until(pilot, lambda: bool(opened))
    assert opened == [f"https://evil.example/{'y' * 40}"]


async def test_enter_opens_the_link_of_the_block_and_asks_which_of_several() -> None:
    host = scripted(past=(STARTED, said(f"Read {PAGE} and https://b.example/two.")))
    async with running(host) as (app, pilot):
        opened = opened_by(app)
        app.conversation.focus()
        await pilot.press("up", "enter")
        await until(pilot, lambda: "Type to search" in "\n".join(screen_text(app)))
        await pilot.press("down", "enter")
        await until(pilot, lambda: bool(opened))
    assert opened == ["https://b.example/two"]


async def test_without_a_browser_the_address_is_copied_and_that_is_said() -> None:
    host = scripted(past=(STARTED, said(f"Read {PAGE}")))
    async with running(host) as (app, pilot):
        opened_by(app, answers=False)
        await pilot.click("#conversation", offset=where(app, "hub.example"))
        await until(pilot, lambda: "no browser here" in "\n".join(screen_text(app)))
        assert "opening" not in "\n".join(screen_text(app))
        assert app.clipboard == PAGE


async def test_addresses_in_the_output_of_a_tool_are_links() -> None:
    call = e.ToolCalled(tool="bash", arguments={"command": "push"}, tool_call_id="1")
    answer = e.ToolFinished(tool="bash", tool_call_id="1", output=f"pushed to {PAGE}", success=True)
    host = scripted(past=(STARTED, call, answer))
    async with running(host) as (app, pilot):
        opened = opened_by(app)
        await pilot.press("ctrl+o")
        await settled(app, pilot, host)
        await pilot.click("#conversation", offset=where(app, "hub.example"))
        await until(pilot, lambda: bool(opened))
    assert opened == [PAGE]


def test_files_are_opened_inside_the_workspace_only(tmp_path: Path) -> None:
    inside, outside = tmp_path / "work" / "a b.png", tmp_path / "secret"
    inside.parent.mkdir()
    outside.write_text("")
    (inside.parent / "way_out").symlink_to(outside)
    assert forbidden(inside.as_uri(), inside.parent) == ""
    assert "outside of the workspace" in forbidden(outside.as_uri(), inside.parent)
    assert "outside of the workspace" in forbidden((inside.parent / "way_out").as_uri(), inside.parent)
    assert "neither" in forbidden("javascript:alert(1)", inside.parent)
    assert "neither" in forbidden("file://far.example/share", inside.parent)
