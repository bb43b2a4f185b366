"""Slash commands about the program: /permissions, /tools, /mcp, /doctor, /theme, /feedback, /share-traces."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from msgspec.structs import replace

from ml_intern.config.environ import Environ
from ml_intern.config.load import load_settings, user_file
from ml_intern.config.paths import paths_from
from ml_intern.frontends.tui import theme
from ml_intern.frontends.tui.app import TuiApp
from ml_intern.frontends.tui.backend import Backend
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.testing.fake_hub import FakeHub
from tests.tui.pilots import command, until
from tests.tui.scripted import STARTED, ScriptedHost, running, screen_text, scripted, settled


def text_of(app: TuiApp) -> str:
    return "\n".join(screen_text(app))


def variables(home: Path, **more: str) -> dict[str, str]:
    return {"HOME": str(home), "PATH": os.environ["PATH"], **more}


def really_loaded(app: TuiApp, folder: Path, environ: dict[str, str]) -> None:
    """Settings from files, as the program reads them."""
    app.loaded = load_settings(frontend="cli", cwd=folder, environ=environ)


def in_folder(folder: Path, *more: e.AnyEvent) -> ScriptedHost:
    return scripted(past=(replace(STARTED, cwd=str(folder)), *more))


# ── /tools and /mcp ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_tools_lists_the_built_in_ones_and_shows_one_in_full() -> None:
    host = scripted()
    async with running(host, size=(120, 60)) as (app, pilot):
        await command(app, pilot, host, "/tools")
        await until(pilot, lambda: "built-in tools" in text_of(app))
        text = text_of(app)
        assert "hf_jobs" in text
        assert "sandbox_create" not in text  # only there with --sandbox-tools
        await pilot.press("escape")
        await command(app, pilot, host, "/tools bash")
        await until(pilot, lambda: "─ bash ─" in text_of(app))
        text = " ".join(text_of(app).split())
        assert "command string, required The command line, run by bash." in text
        assert "timeout integer, default 120" in text and "/permissions test bash" in text
        await pilot.press("escape")
        await command(app, pilot, host, "/tools nonsense")
        await until(pilot, lambda: "There is no built-in tool nonsense." in text_of(app))


@pytest.mark.parametrize("columns", [120, 80, 60, 40])
@pytest.mark.parametrize("page", ["/tools", "/help"])
async def test_tables_of_commands_and_tools_break_their_texts_within_the_column(page: str, columns: int) -> None:
    host = scripted()
    async with running(host, size=(columns, 200)) as (app, pilot):
        await command(app, pilot, host, page)
        await until(pilot, lambda: "bash" in text_of(app) or "/quit" in text_of(app))
        rows = [row.strip("│ ") for row in screen_text(app)]
        assert not [row for row in rows if row.endswith("…")]
        if columns >= 60:
            starts = {
                row.index(word)
                for row in screen_text(app)
                for word in ("Run a shell", "Watch jobs", "Write this session into")
                if word in row
            }
            assert len(starts) == 1, "one column"


async def test_mcp_shows_servers_and_says_when_one_cannot_be_asked(tmp_path: Path) -> None:
    environ = variables(tmp_path / "home")
    path = user_file(Environ(environ))
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"mcpServers": {"notes": {"command": str(tmp_path / "not-there")}}}))
    host = in_folder(tmp_path)
    async with running(host, size=(120, 40), environ=environ) as (app, pilot):
        really_loaded(app, tmp_path, environ)
        await command(app, pilot, host, "/mcp")
        await until(pilot, lambda: "MCP servers" in text_of(app))
        assert "notes  new" in text_of(app)
        await pilot.press("escape")
        await command(app, pilot, host, "/mcp test notes")
        await until(pilot, lambda: "not-there" in text_of(app))
        await command(app, pilot, host, "/mcp test other")
        await until(pilot, lambda: "There is no MCP server 'other'." in text_of(app))


# ── /doctor ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_doctor_shows_its_checks_one_after_the_other(tmp_path: Path) -> None:
    environ = variables(tmp_path / "home", ML_INTERN_CLI_CONFIG="")
    host = in_folder(tmp_path)
    async with running(host, size=(120, 60), environ=environ) as (app, pilot):
        really_loaded(app, tmp_path, {**environ, "OLLAMA_BASE_URL": "http://127.0.0.1:9"})
        await command(app, pilot, host, "/doctor")
        await until(pilot, lambda: "checks failed" in text_of(app) or "Ready." in text_of(app))
        text = text_of(app)
    for name in ("versions", "settings", "model", "store", "folders", "programs", "disk"):
        assert name in text


async def test_doctor_refuses_words_that_it_does_not_know() -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        await command(app, pilot, host, "/doctor offline")
        assert "is nothing that /doctor knows" in text_of(app)


# ── /theme and /feedback ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_theme_is_put_on_by_name() -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        await command(app, pilot, host, "/theme light")
        assert app.theme == theme.LIGHT
        await command(app, pilot, host, "/theme pink")
        assert "There are: auto, dark, light, ansi." in text_of(app)
        assert app.theme == theme.LIGHT


async def unopened() -> Backend:
    raise AssertionError("only looked at")


async def test_a_theme_that_was_chosen_is_kept_in_the_users_settings_and_used_at_the_next_start(tmp_path: Path) -> None:
    environ = variables(tmp_path)
    host = scripted()
    async with running(host, environ=environ) as (app, pilot):
        await command(app, pilot, host, "/theme light")
        await until(pilot, lambda: "also the next time" in "\n".join(screen_text(app)))
        really_loaded(app, tmp_path, environ)
        assert app.loaded.settings.terminal.theme == "light"
        assert TuiApp(unopened, app.loaded).theme == theme.LIGHT


async def test_a_theme_that_cannot_be_kept_is_worn_until_the_end(tmp_path: Path) -> None:
    environ = variables(tmp_path)
    user_file(Environ(environ)).parent.parent.mkdir(parents=True, exist_ok=True)
    user_file(Environ(environ)).parent.write_text("a file in place of the folder")
    host = scripted()
    async with running(host, environ=environ) as (app, pilot):
        await command(app, pilot, host, "/theme light")
        await until(pilot, lambda: "until you leave" in text_of(app))
        assert app.theme == theme.LIGHT


@pytest.mark.parametrize(("key", "left"), [("enter", theme.LIGHT), ("escape", theme.DARK)])
async def test_the_theme_picker_shows_each_theme_and_leaving_puts_the_old_one_back(key: str, left: str) -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        await command(app, pilot, host, "/theme")
        await pilot.press(*"light")
        await until(pilot, lambda: app.theme == theme.LIGHT)
        await pilot.press(key)
        await settled(app, pilot, host)
        assert app.theme == left


async def test_feedback_is_a_file_of_the_users_and_holds_nothing_of_the_conversation(tmp_path: Path) -> None:
    environ = variables(tmp_path, HF_TOKEN="hf_abcdefghijklmnopqrstuvwxyzabcdefgh")
    host = scripted(past=(STARTED, e.UserMessageAdded(content="my private data")))
    async with running(host, size=(120, 40), environ=environ) as (app, pilot):
        await command(app, pilot, host, "/feedback It is slow with hf_abcdefghijklmnopqrstuvwxyzabcdefgh")
        await until(pilot, lambda: "Nothing was sent." in text_of(app))
    (path,) = (paths_from(Environ(environ)).state_dir / "feedback").iterdir()
    text = path.read_text()
    assert "It is slow" in text
    assert "fake/model" in text
    assert "my private data" not in text
    assert "hf_abc" not in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_feedback_without_words_asks_for_them_and_writes_nothing_when_there_are_none(tmp_path: Path) -> None:
    environ = variables(tmp_path)
    host = scripted()
    async with running(host, environ=environ) as (app, pilot):
        await command(app, pilot, host, "/feedback")
        assert "What should be better?" in text_of(app)
        await pilot.press("escape")
        await settled(app, pilot, host)
    assert not (paths_from(Environ(environ)).state_dir / "feedback").exists()


# ── /share-traces ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_share_traces_shows_what_would_go_out_asks_and_switches_sharing_on_and_off_itself(tmp_path: Path) -> None:
    async with FakeHub() as hub:
        environ = variables(tmp_path, HF_ENDPOINT=hub.url, HF_TOKEN=hub.TOKEN)
        host = in_folder(tmp_path)
        async with running(host, size=(120, 40), environ=environ) as (app, pilot):
            app.loaded = load_settings(frontend="cli", cwd=tmp_path, environ=environ)
            for key, expected in (("enter", "Traces are not shared"), ("y", "Trace sharing is on.")):
                await command(app, pilot, host, "/share-traces")
                await until(pilot, lambda: "Share traces of your sessions?" in text_of(app))
                assert "made, private" in text_of(app) and "ml-intern traces push" in text_of(app)
                await pilot.press(key)
                await until(pilot, lambda text=expected: text in text_of(app))
            assert app.loaded.settings.share_traces
            await command(app, pilot, host, "/share-traces public")
            await until(pilot, lambda: "nothing can be made public" in text_of(app))
            await command(app, pilot, host, "/share-traces off")
            await until(pilot, lambda: "Trace sharing is off." in text_of(app))
            assert not app.loaded.settings.share_traces
            assert host.operations == [op.ReviewTraceSharing()] * 2, "the session that runs reads the answer, each time"
            await command(app, pilot, host, "/share-traces everybody")
            assert "is nothing that /share-traces knows" in text_of(app)
            await until(pilot, lambda: "asking the Hub" not in text_of(app))


@pytest.mark.parametrize(("key", "private"), [("enter", True), ("y", False)])
async def test_a_dataset_becomes_public_only_after_it_was_shown_and_agreed_to(tmp_path: Path, key: str, private: bool) -> None:
    # core W5.17: it was made public unseen and unasked
    repo_id = "alice/ml-intern-sessions"
    async with FakeHub() as hub:
        hub.repos.create(
            repo_id, "dataset", files={"sessions/2026-01-01/x.jsonl": "fine\nhf_abcdefghijklmnopqrstuvwxyzabcdefgh\n"}, private=True
        )
        environ = variables(tmp_path, HF_ENDPOINT=hub.url, HF_TOKEN=hub.TOKEN)
        host = in_folder(tmp_path)
        async with running(host, size=(120, 40), environ=environ) as (app, pilot):
            await command(app, pilot, host, "/share-traces")
            await until(pilot, lambda: "which is private" in " ".join(text_of(app).replace("│", " ").split()))
            await pilot.press("escape")
            await command(app, pilot, host, "/share-traces public")
            await until(pilot, lambda: "Make all of this visible to everybody?" in text_of(app))
            text = " ".join(text_of(app).replace("│", " ").split())
            assert "1 session in 1 file" in text
            assert "something looks like a secret in line 2" in text
            assert "hf_abc" not in text
            await pilot.press(key)
            await until(pilot, lambda: ("Nothing was changed." if private else "is public.") in text_of(app))
        assert hub.repos.get(repo_id, "dataset").private is private
