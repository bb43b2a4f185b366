"""The first screen: where one is, with which model, how to begin; gone with the first word."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_intern.config.environ import Environ
from ml_intern.config.load import LoadedSettings
from ml_intern.config.settings import McpServer, Settings
from ml_intern.frontends.tui.findings import found_in
from ml_intern.protocol import events as e
from tests.tui.pilots import kept_session, until
from tests.tui.scripted import STARTED, running, screen_text, scripted, settled
from tests.unit.frontends.fake_host import SESSION, done, started

READY = e.Ready(message="Agent initialized", tool_count=9)


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (40, 10)])
async def test_an_empty_session_shows_folder_model_and_how_to_begin_at_every_size(size: tuple[int, int]) -> None:
    async with running(scripted(), size=size) as (app, _):
        text = "\n".join(screen_text(app))
        for said in ("ml-intern 0.", "/home/shop", "fake/model", "/ commands", "@ files", "! shell line", "/quit leaves"):
            assert said in text, f"{said}\n{text}"
        assert "Describe a task, / for commands" in text and "…" not in text


async def test_the_first_screen_goes_with_the_first_message() -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        assert "/quit leaves" in "\n".join(screen_text(app))
        host.emit(*started("Tune it"), done("x"))
        await settled(app, pilot, host)
        assert "/quit leaves" not in "\n".join(screen_text(app))


async def test_the_first_screen_tells_of_instructions_and_of_earlier_sessions_in_this_folder(tmp_path: Path) -> None:
    (tmp_path / "AGENTS.md").write_text("Be brief.\n")
    environ = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data")}
    database = tmp_path / "data" / "ml-intern" / "sessions.db"
    await kept_session(database, "a" * 16, *started("Tune it"), done("x"), title="Tune it", cwd=str(tmp_path))
    await kept_session(database, "b" * 16, cwd=str(tmp_path))
    here = e.SessionStarted(session_id=SESSION, cwd=str(tmp_path), model="fake/model")
    async with running(scripted(past=(here, READY)), environ=environ) as (app, pilot):
        await until(pilot, lambda: "earlier session" in "\n".join(screen_text(app)))
        text = "\n".join(screen_text(app))
        assert "1 earlier session here: /resume, or ml-intern --continue" in text
        assert "AGENTS.md" in text


@pytest.mark.parametrize(("variables", "told"), [({}, ""), ({"HF_TOKEN": "hf_x"}, "1 MCP server")])
def test_a_server_that_is_not_used_is_not_told_as_found(tmp_path: Path, variables: dict[str, str], told: str) -> None:
    server = McpServer(url="https://huggingface.co/mcp")
    environ = Environ({"HOME": str(tmp_path), **variables})
    loaded = LoadedSettings(settings=Settings(mcp_servers={"hf": server}), environ=environ, cwd=tmp_path)
    assert found_in(loaded, str(tmp_path)) == told


async def test_the_first_screen_says_how_it_asks() -> None:
    host = scripted(past=(STARTED,))
    async with running(host) as (app, pilot):
        assert "asks you before anything risky or paid" in "\n".join(screen_text(app))
        host.emit(e.SessionUpdate(session_id=SESSION, auto_approval={"enabled": True, "cost_cap_usd": None}))
        await settled(app, pilot, host)
        assert "yolo: nothing is asked" in "\n".join(screen_text(app))
