"""Slash commands about the folder and its files: /diff, /init, /memory, /export."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from msgspec.structs import replace

from ml_intern.compute.untrusted_git import LIMIT_BYTES, GitFailed, looking_at
from ml_intern.config.environ import Environ
from ml_intern.config.paths import paths_from
from ml_intern.config.settings import Settings
from ml_intern.frontends.tui.commands.workspace import INIT_PROMPT, diff_rows
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.ran_words import without_ran_words
from tests.tui.pilots import command, kept_session, running_turn, until
from tests.tui.scripted import STARTED, running, screen_text, scripted, settled
from tests.unit.frontends.fake_host import SESSION


def in_folder(folder: Path, *more: e.AnyEvent) -> tuple[e.AnyEvent, ...]:
    return (replace(STARTED, cwd=str(folder)), *more)


def variables(home: Path, **more: str) -> dict[str, str]:
    return {"HOME": str(home), "PATH": os.environ["PATH"], **more}


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def repository(folder: Path) -> Path:
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "train.py").write_text("lr = 1\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return folder


async def test_diff_shows_what_has_changed_and_new_files(tmp_path: Path) -> None:
    folder = repository(tmp_path / "project")
    (folder / "train.py").write_text("lr = 2\n")
    (folder / "new [red].py").write_text("")
    host = scripted(past=in_folder(folder))
    async with running(host, size=(100, 40), environ=variables(tmp_path)) as (app, pilot):
        await command(app, pilot, host, "/diff")
        await until(pilot, lambda: "lr = 2" in "\n".join(screen_text(app)))
        text = "\n".join(screen_text(app))
    assert "-lr = 1" in text
    assert "+lr = 2" in text
    assert "new [red].py" in text


async def test_diff_in_a_repository_without_a_commit_shows_what_is_staged(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "a.py").write_text("x = 1\n")
    git(tmp_path, "add", ".")
    host = scripted(past=in_folder(tmp_path))
    async with running(host, environ=variables(tmp_path)) as (app, pilot):
        await command(app, pilot, host, "/diff")
        await until(pilot, lambda: "+x = 1" in "\n".join(screen_text(app)))


async def test_diff_says_when_nothing_has_changed_and_when_there_is_no_repository(tmp_path: Path) -> None:
    folder = repository(tmp_path / "project")
    host = scripted(past=in_folder(folder))
    async with running(host, environ=variables(tmp_path)) as (app, pilot):
        await command(app, pilot, host, "/diff")
        await until(pilot, lambda: "Nothing has changed" in "\n".join(screen_text(app)))
    host = scripted(past=in_folder(tmp_path))
    async with running(host, environ=variables(tmp_path)) as (app, pilot):
        await command(app, pilot, host, "/diff")
        await until(pilot, lambda: "/diff needs a git repository." in "\n".join(screen_text(app)))
        assert "is in no git repository." in " ".join(" ".join(screen_text(app)).split())
        assert "fatal" not in "\n".join(screen_text(app))


PROGRAMS = (
    "core.fsmonitor", "diff.external", "diff.evil.command", "diff.evil.textconv", "filter.evil.clean", "filter.evil.smudge",
    "filter.evil.process", "core.pager", "pager.diff", "alias.diff", "core.sshCommand", "core.gitProxy", "gpg.program", "core.editor",
    "core.alternateRefsCommand", "credential.helper", "uploadpack.packObjectsHook",
)  # fmt: skip


async def test_looking_at_a_diff_starts_no_program_that_the_repository_names(tmp_path: Path) -> None:
    folder, mark = repository(tmp_path / "project"), tmp_path / "ran"
    (folder / "train.py").write_text("lr = 2\n")
    (folder / ".gitattributes").write_text("[attr]bad filter=evil\n*.py diff=evil filter=evil\n*.txt bad\n")
    (folder / "a.txt").write_text("new")
    for key in PROGRAMS:
        git(folder, "config", key, f"touch {mark};")
    host = scripted(past=in_folder(folder))
    async with running(host, environ=variables(tmp_path)) as (app, pilot):
        await command(app, pilot, host, "/diff")
        await until(pilot, lambda: "+lr = 2" in "\n".join(screen_text(app)))
    assert not mark.exists()


async def test_what_is_missing_in_a_strangers_repository_is_not_fetched(tmp_path: Path) -> None:
    folder, mark = repository(tmp_path / "project"), tmp_path / "ran"
    (folder / "train.py").write_text("lr = 2\n")
    blob = subprocess.run(["git", "rev-parse", "HEAD:train.py"], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()
    (folder / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    for key, value in {
        "core.repositoryformatversion": "1", "extensions.partialClone": "origin", "remote.origin.promisor": "true",
        "remote.origin.url": f"ext::touch {mark}", "protocol.ext.allow": "always", "protocol.allow": "always",
    }.items():  # fmt: skip
        git(folder, "config", key, value)
    with pytest.raises(GitFailed):
        async with looking_at(folder, variables(tmp_path)) as looking:
            await looking.run("diff", "HEAD")
    assert not mark.exists()


async def test_a_submodule_of_a_strangers_starts_no_program_when_the_diff_is_looked_at(tmp_path: Path) -> None:
    inner, folder, mark = repository(tmp_path / "inner"), repository(tmp_path / "project"), tmp_path / "ran"
    git(folder, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "sub")
    git(folder, "commit", "-qm", "second")
    (folder / "sub" / "train.py").write_text("lr = 3\n")
    git(folder / "sub", "config", "core.fsmonitor", f"touch {mark};")
    host = scripted(past=in_folder(folder))
    async with running(host, environ=variables(tmp_path)) as (app, pilot):
        await command(app, pilot, host, "/diff")
        await until(pilot, lambda: "Nothing has changed" in "\n".join(screen_text(app)))
    assert not mark.exists()


async def test_a_worktree_with_a_split_index_and_excluded_files_is_compared_as_git_would(tmp_path: Path) -> None:
    folder, tree = repository(tmp_path / "project"), tmp_path / "tree"
    git(folder, "worktree", "add", "-q", str(tree))
    git(tree, "update-index", "--split-index")
    (folder / ".git" / "info" / "exclude").write_text("*.log\n")
    (tree / "train.py").write_text("lr = 4\n")
    (tree / "x.log").write_text("")
    (tree / "new.py").write_text("")
    async with looking_at(tree, variables(tmp_path)) as looking:
        assert "+lr = 4" in await looking.run("diff", looking.head)
        assert (await looking.run("ls-files", "--others", "--exclude-standard")).split() == ["new.py"]


ENDLESS = """#!/bin/sh
case "$*" in
*rev-parse*|*config*) exec {git} "$@" ;;
*) yes "+more" ;;
esac
"""


def git_without_end(folder: Path) -> str:
    """A git whose diff never ends, as one of a huge file hardly does."""
    folder.mkdir()
    (folder / "git").write_text(ENDLESS.format(git=shutil.which("git")))
    (folder / "git").chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


async def test_of_a_diff_without_end_only_the_beginning_is_read_and_git_is_ended(tmp_path: Path) -> None:
    folder = repository(tmp_path / "project")
    environ = {**variables(tmp_path), "PATH": git_without_end(tmp_path / "bin")}
    async with looking_at(folder, environ) as looking:
        text = await looking.run("diff", if_cut="and more")
    assert text.startswith("+more\n") and text.endswith("and more")
    assert len(text) == LIMIT_BYTES + len("and more")


async def test_complaints_without_end_are_drained_and_the_last_one_is_told(tmp_path: Path) -> None:
    folder, bin_ = repository(tmp_path / "project"), tmp_path / "bin"
    path = git_without_end(bin_)
    (bin_ / "git").write_text((bin_ / "git").read_text().replace('yes "+more"', "yes x | head -c 1000000 >&2; echo last >&2; exit 3"))
    async with looking_at(folder, {**variables(tmp_path), "PATH": path}) as looking:
        with pytest.raises(GitFailed, match="last"):
            await looking.run("diff")


async def test_the_users_own_global_filter_is_not_fed_with_what_a_stranger_wrote(tmp_path: Path) -> None:
    folder, mark = repository(tmp_path / "project"), tmp_path / "ran"
    (folder / ".gitattributes").write_text("*.py filter=mine\n")
    (folder / "train.py").write_text("lr = 2\n")
    (tmp_path / ".gitconfig").write_text(f'[filter "mine"]\n\tclean = "touch {mark}; cat"\n')
    git_says = subprocess.run(["git", "diff"], cwd=folder, env=variables(tmp_path), check=True, capture_output=True, text=True).stdout
    assert "+lr = 2" in git_says and mark.exists()  # git itself runs it
    mark.unlink()
    async with looking_at(folder, variables(tmp_path)) as looking:
        assert "+lr = 2" in await looking.run("diff", looking.head)
    assert not mark.exists()


def test_a_diff_is_coloured_by_its_lines() -> None:
    rows = diff_rows("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\n same\n")
    assert [row[0][0] if row else "" for row in rows] == ["bold", "bold", "accent", "removed", "added", ""]


async def test_init_asks_the_model_to_write_the_file_and_says_when_there_is_one(tmp_path: Path) -> None:
    host = scripted(past=in_folder(tmp_path))
    async with running(host) as (app, pilot):
        await command(app, pilot, host, "/init mind the GPUs")
        await until(pilot, lambda: bool(host.operations))
    (sent,) = host.operations
    assert isinstance(sent, op.UserInput)
    assert INIT_PROMPT in sent.text and without_ran_words(sent.text) == "/init mind the GPUs"
    assert "Mind this: mind the GPUs" in sent.text
    assert "There is an AGENTS.md already" not in sent.text
    (tmp_path / "AGENTS.md").write_text("old")
    host = scripted(past=in_folder(tmp_path))
    async with running(host) as (app, pilot):
        await command(app, pilot, host, "/init")
        await until(pilot, lambda: bool(host.operations))
    (sent,) = host.operations
    assert isinstance(sent, op.UserInput)
    assert "There is an AGENTS.md already" in sent.text


async def test_init_waits_for_the_turn_that_runs(tmp_path: Path) -> None:
    host = scripted(past=in_folder(tmp_path, *running_turn()))
    async with running(host) as (app, pilot):
        await command(app, pilot, host, "/init")
        assert "/init waits until the turn is over" in "\n".join(screen_text(app))
    assert host.operations == []


async def test_memory_lists_the_files_that_are_told_and_shows_what_they_say(tmp_path: Path) -> None:
    (tmp_path / "AGENTS.md").write_text("Use [bold]uv[/bold].\n")
    host = scripted(past=in_folder(tmp_path))
    async with running(host, size=(120, 40), environ=variables(tmp_path / "home")) as (app, pilot):
        await command(app, pilot, host, "/memory")
        await until(pilot, lambda: "Memory" in "\n".join(screen_text(app)))
        text = "\n".join(screen_text(app))
    assert "Use [bold]uv[/bold]." in text
    assert "new, for all your folders" in text


async def test_memory_says_what_became_of_the_editor(tmp_path: Path) -> None:
    """The pilot's terminal cannot be handed over: the file stays as it was, and the user hears why."""
    (tmp_path / "AGENTS.md").write_text("old")
    host = scripted(past=in_folder(tmp_path))
    async with running(host, size=(120, 40), environ=variables(tmp_path / "home", EDITOR="ed")) as (app, pilot):
        await command(app, pilot, host, "/memory")
        await until(pilot, lambda: "Memory" in "\n".join(screen_text(app)))
        await pilot.press("enter")
        await until(pilot, lambda: "cannot be handed to an editor" in "\n".join(screen_text(app)))
    assert (tmp_path / "AGENTS.md").read_text() == "old"


async def test_export_writes_the_conversation_for_the_user_alone(tmp_path: Path) -> None:
    environ = variables(tmp_path / "home")
    paths = paths_from(Environ(environ))
    await kept_session(paths.sessions_db, SESSION, e.UserMessageAdded(content="Train it"), title="A title")
    host = scripted(past=in_folder(tmp_path))
    async with running(host, size=(120, 40), environ=environ) as (app, pilot):
        await command(app, pilot, host, "/export")
        path = tmp_path / f"ml-intern-{SESSION[:8]}.md"
        await until(pilot, lambda: "Exported to" in "\n".join(screen_text(app)))
        await command(app, pilot, host, "/export json all.jsonl")
        await until(pilot, lambda: (tmp_path / "all.jsonl").exists() and "all.jsonl" in "\n".join(screen_text(app)))
    assert "# A title" in path.read_text()
    assert "Train it" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads((tmp_path / "all.jsonl").read_text().splitlines()[-1])["type"] == "user_message"


async def test_export_replaces_no_file(tmp_path: Path) -> None:
    environ = variables(tmp_path / "home")
    await kept_session(paths_from(Environ(environ)).sessions_db, SESSION)
    (tmp_path / "notes.md").write_text("mine")
    host = scripted(past=in_folder(tmp_path))
    async with running(host, size=(120, 40), environ=environ) as (app, pilot):
        await command(app, pilot, host, "/export markdown notes.md")
        await until(pilot, lambda: "is already there" in "\n".join(screen_text(app)))
    assert (tmp_path / "notes.md").read_text() == "mine"


async def test_export_says_when_sessions_are_not_kept(tmp_path: Path) -> None:
    host = scripted(past=in_folder(tmp_path))
    async with running(host, environ=variables(tmp_path), settings=Settings(save_sessions=False)) as (app, pilot):
        await command(app, pilot, host, "/export")
        await settled(app, pilot, host)
        assert "Sessions are not saved" in "\n".join(screen_text(app))
