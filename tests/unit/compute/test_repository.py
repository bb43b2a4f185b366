from __future__ import annotations

from pathlib import Path

import pytest

from ml_intern.compute.repository import Repository, harmless_settings

ORDINARY = """[core]
\trepositoryformatversion = 0
\tbare = false
[remote "origin"]
\turl = https://h/x.git
\tfetch = +refs/heads/*:refs/remotes/origin/*
[branch "main"]
\tremote = origin
"""


def test_the_configuration_that_git_itself_writes_is_harmless() -> None:
    assert harmless_settings(ORDINARY) == ORDINARY


@pytest.mark.parametrize(
    "text",
    [
        "[core]\n\tfsmonitor = evil\n",
        "[core] fsmonitor = evil\n",
        "[CORE]\nSSHCommand=evil\n",
        "[core]\nhooksPath = x\n",
        "[core]\nworktree = x\n",
        '[filter "x"]\n\tclean = evil\n',
        "[include]\n\tpath = ../x\n",
        '[diff "x"]\n\ttextconv = evil\n',
        "[alias]\n\tst = !evil\n",
        "[credential]\n\thelper = evil\n",
        '[remote "x"]\n\turl = ext::evil\n',
        "[core.x]\n\tbare = false\n",
        "[user]\n\tname = a\\\nb\n",
        "[extensions]\n\tworktreeConfig = true\n",
    ],
)
def test_what_may_start_a_program_or_lead_elsewhere_is_taken_out(text: str) -> None:
    left = harmless_settings(text)
    assert left != text
    assert not any(word in left for word in ("evil", "ath", "\\", "orktree", "core.x"))


def test_a_link_that_a_command_replaced_is_put_back(tmp_path: Path) -> None:
    (tmp_path / "githooks").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").touch()
    hooks = tmp_path / ".git" / "hooks"
    hooks.symlink_to("../githooks")
    repository = Repository(tmp_path)
    hooks.unlink()
    hooks.mkdir()
    (hooks / "pre-commit").touch()
    repository.tame()
    assert hooks.readlink() == Path("../githooks")
    assert "replaced the link" in repository.take_notes()
    assert repository.take_notes() == ""


def test_a_repository_of_the_user_is_never_rewritten(tmp_path: Path) -> None:
    (tmp_path / ".git" / "hooks").mkdir(parents=True)
    (tmp_path / ".git" / "HEAD").touch()
    (tmp_path / ".git" / "hooks" / "pre-commit").touch()
    (tmp_path / ".git" / "config").write_text("[alias]\n\tst = !mine\n")
    repository = Repository(tmp_path)
    repository.tame()
    assert repository.take_notes() == ""
    assert (tmp_path / ".git" / "config").read_text() == "[alias]\n\tst = !mine\n"
