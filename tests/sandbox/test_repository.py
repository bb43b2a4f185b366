"""Commands cannot make git outside the sandbox run what they like; git inside it works on."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ml_intern.compute.base import Place
from ml_intern.compute.local import LocalWorkspace
from tests.workspaces import Machine

pytestmark = pytest.mark.sandbox

EVIL = "#!/bin/sh\ntouch {marker}\n"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(base=tmp_path)


def git(folder: Path, *words: str) -> str:
    """Git outside the sandbox, as the user runs it."""
    command = ["git", "-c", "user.name=u", "-c", "user.email=u@h", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout


def evil(machine: Machine) -> tuple[Path, Path]:
    """A program in the workspace, and the file that it makes when somebody runs it."""
    program, marker = machine.root / "evil.sh", machine.base / "ran"
    program.write_text(EVIL.format(marker=marker))
    program.chmod(0o755)
    return program, marker


async def with_repository(machine: Machine) -> LocalWorkspace:
    git(machine.root, "init", "-q", "-b", "main")
    (machine.root / "first").write_text("1\n")
    git(machine.root, "add", "first")
    git(machine.root, "commit", "-qm", "first")
    return await machine.sandboxed()


@pytest.mark.parametrize(
    "attack",
    [
        "mv .git g2; cp -r g2 .git; cp evil.sh .git/hooks/pre-commit; git config core.fsmonitor {evil}",
        "rm -rf .git; git init -q .; git config core.fsmonitor {evil}",
        "cp -r .git g2; printf '[core]\\nfsmonitor={evil}\\n' >> g2/config; rm -f .git/commondir; echo ../g2 > .git/commondir",
        "cp -r .git g2; printf '[core]\\nfsmonitor={evil}\\n' >> g2/config; mv -f g2 x; echo ../x > c; mv -f c .git/commondir",
        "git config extensions.worktreeConfig true; printf '[core]\\nfsmonitor={evil}\\n' > .git/config.worktree",
        "rm -rf .git/hooks; mkdir .git/hooks; cp evil.sh .git/hooks/pre-commit; cp evil.sh .git/hooks/post-index-change",
        "rm .git/HEAD; echo 'ref: refs/heads/x' > HEAD; mkdir objects refs; printf '[core]\\nworktree=.\\nfsmonitor={evil}\\n' > config",
    ],
)
async def test_a_repository_of_the_user_does_not_run_what_a_command_planted(machine: Machine, attack: str) -> None:
    workspace = await with_repository(machine)
    program, marker = evil(machine)
    await workspace.exec(attack.format(evil=program))
    for moment in ("while the session runs", "after it"):
        git(machine.root, "status")
        git(machine.root, "commit", "--allow-empty", "-qm", "second")
        assert not marker.exists(), moment
        await workspace.aclose()


async def test_a_linked_worktree_cannot_be_led_to_another_configuration(machine: Machine) -> None:
    git(machine.root, "init", "-q")
    git(machine.root, "commit", "--allow-empty", "-qm", "first")
    git(machine.root, "worktree", "add", "-q", "--detach", str(machine.base / "linked"))
    workspace = await machine.sandboxed()
    program, marker = evil(machine)
    plant = f"cp -r .git /tmp/g; cp -r .git g2; printf '[core]\\nfsmonitor={program}\\n' >> g2/config"
    await workspace.exec(
        f"{plant}; echo {machine.root}/g2 > .git/worktrees/linked/commondir; mv .git/worktrees w; cp -r w .git/worktrees; "
        f"echo {machine.root}/g2 > .git/worktrees/linked/commondir"
    )
    git(machine.base / "linked", "status")
    assert not marker.exists()
    await workspace.aclose()


async def test_a_file_that_leads_to_the_repository_cannot_be_changed(machine: Machine) -> None:
    git(machine.base, "init", "-q", "--separate-git-dir", str(machine.base / "real"), str(machine.root))
    before = (machine.root / ".git").read_text()
    workspace = await machine.sandboxed()
    await workspace.exec("echo gitdir: x > .git; mv .git y; rm -f .git; mkdir .git; git status")
    assert (machine.root / ".git").read_text() == before
    await workspace.aclose()


async def test_ordinary_git_commands_work_on_a_repository_of_the_user(machine: Machine) -> None:
    workspace = await with_repository(machine)
    who = "export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@h GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@h"
    result = await workspace.exec(
        f"set -e; {who}; echo 2 > second; git add second; git commit -qm second; git branch side; echo 3 > first; git stash -q; "
        "git stash pop -q; git commit -qam third; git checkout -q side; git checkout -qb topic; echo 4 > fourth; git add .; "
        "git commit -qm fourth; git rebase -q main; git merge -q side; git tag t; git fetch -q . main:copy; git mv second moved; "
        "git reset -q --hard; git worktree add -q --detach /tmp/w; git -C /tmp/w status --short; git gc -q; git status --short; echo good"
    )
    assert (result.exit_code, result.head) == (0, "good\n")
    await workspace.aclose()
    assert git(machine.root, "log", "--format=%s").split() == ["fourth", "third", "second", "first"]


async def test_the_placeholders_go_with_the_session(machine: Machine) -> None:
    workspace = await with_repository(machine)
    await workspace.exec("true")
    assert (machine.root / ".git" / "commondir").exists()
    await workspace.aclose()
    for name in (".git/commondir", ".git/config.worktree", ".ml-intern"):
        assert not (machine.root / name).exists(), name
    assert (machine.root / ".git" / "config").exists()


async def test_settings_of_the_workspace_cannot_be_made_where_there_are_none(machine: Machine) -> None:
    workspace = await machine.sandboxed()
    await workspace.exec(
        "mkdir -p .ml-intern; echo '{}' > .ml-intern/config.json; mv .ml-intern x; mkdir .ml-intern && echo '{}' > .ml-intern/c"
    )
    await workspace.aclose()
    assert not (machine.root / ".ml-intern").exists()


@pytest.mark.parametrize(
    ("plant", "kept"),
    [
        ("git config core.fsmonitor {evil}", "config"),
        ("git config include.path ../more; printf '[core]\\nfsmonitor={evil}\\n' > more", "config"),
        ("cp evil.sh .git/hooks/pre-commit", "hooks"),
        ("mv .git g2; git -C . init -q --bare g3; git config -f g2/config core.fsmonitor {evil}; echo gitdir: g2 > .git", ""),
        ("cp -r .git g2; git config -f g2/config core.fsmonitor {evil}; echo ../g2 > .git/commondir", "commondir"),
    ],
)
async def test_a_repository_that_a_command_made_is_tamed_and_the_model_is_told(machine: Machine, plant: str, kept: str) -> None:
    workspace = await machine.sandboxed()
    program, marker = evil(machine)
    result = await workspace.exec(f"git init -q .; {plant.format(evil=program)}")
    git(machine.root, "status")
    git(machine.root, "commit", "--allow-empty", "-qm", "x")
    assert not marker.exists()
    assert "disabled-by-ml-intern" in result.note
    aside = machine.root / ".git" / f"{kept}.disabled-by-ml-intern" if kept else machine.root / ".git.disabled-by-ml-intern"
    assert aside.exists()
    await workspace.aclose()


async def test_an_ordinary_new_repository_is_left_alone(machine: Machine) -> None:
    workspace = await machine.sandboxed()
    result = await workspace.exec(
        "git init -q . && git config user.name 'A B' && git config user.email a@h && git remote add origin https://h/x.git && "
        "echo 1 > a && git add a && git commit -qm one"
    )
    assert (result.exit_code, result.note) == (0, "")
    assert (await workspace.exec("echo 2 > a; git commit -qam two && git log --format=%s")).head.split() == ["two", "one"]
    await workspace.aclose()
    assert git(machine.root, "remote", "-v").count("https://h/x.git") == 2


@pytest.mark.parametrize(
    "attack",
    [
        "echo evil >> scripts/check.sh",
        "rm -f scripts/check.sh; echo evil > scripts/check.sh",
        "mv scripts s2; mkdir scripts; echo evil > scripts/check.sh",
        "echo evil > x; mv -f x scripts/check.sh",
        "rm -rf scripts; mkdir -p scripts; echo evil > scripts/check.sh",
    ],
)
async def test_a_command_cannot_change_what_a_trusted_hook_runs(machine: Machine, attack: str) -> None:
    script = machine.root / "scripts" / "check.sh"
    script.parent.mkdir()
    script.write_text("exit 0\n")
    workspace = await machine.sandboxed(protected=(script,))
    await workspace.exec(attack)
    await workspace.exec("echo other > scripts/other.sh")
    await workspace.aclose()
    assert script.read_text() == "exit 0\n"
    assert (script.parent / "other.sh").read_text() == "other\n", "the rest of the folder is theirs"
    assert workspace.place(script) is Place.OUTSIDE
    assert workspace.place(script.parent / "other.sh") is Place.WORKSPACE
