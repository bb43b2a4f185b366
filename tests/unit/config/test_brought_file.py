"""Files that a folder brings are read without a question, so only what they seem to be is read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ml_intern.config import dotenv
from ml_intern.config.instructions import find_instructions
from ml_intern.config.skills import find_skills
from ml_intern.frontends.tui.git_branch import branch_of

SKILL = "---\nname: s\ndescription: d\n---\nDo it.\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "p" / ".git").mkdir(parents=True)
    (tmp_path / "p" / "sub").mkdir()
    (tmp_path / "key").write_text("PRIVATE KEY")
    return tmp_path / "p"


@pytest.mark.parametrize("name", ["AGENTS.md", "CLAUDE.md"])
@pytest.mark.parametrize("target", ["../key", "/proc/self/environ", "/dev/zero", "sub/../../key", ".env", "nowhere/../.git/config"])
def test_a_link_to_anything_but_a_text_of_the_project_is_not_told_to_the_model_and_that_is_said(
    project: Path, tmp_path: Path, name: str, target: str
) -> None:
    (project / ".env").write_text("KEY=1")
    (project / ".git" / "config").write_text("url = https://me:token@example.org")
    (project / "nowhere").mkdir()
    (project / name).symlink_to(target)
    said: list[str] = []
    assert find_instructions(project / "sub", tmp_path / "none", said.append) == ()
    assert len(said) == 1 and name in said[0] and "was not read" in said[0]


def test_a_link_within_the_project_is_followed_and_one_of_the_users_own_wherever_it_leads(project: Path, tmp_path: Path) -> None:
    (project / "docs").mkdir()
    (project / "docs" / "agents.md").write_text("the project's")
    (project / "AGENTS.md").symlink_to("docs/agents.md")
    (project / "sub" / "CLAUDE.md").symlink_to("../AGENTS.md")
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / "AGENTS.md").symlink_to("../key")
    found = find_instructions(project / "sub", tmp_path / "user")
    assert [one.text for one in found] == ["the project's", "the project's", "PRIVATE KEY"]


def test_a_project_that_is_reached_by_a_link_has_instructions(project: Path, tmp_path: Path) -> None:
    (project / "AGENTS.md").write_text("rules")
    (tmp_path / "link").symlink_to(project)
    assert [one.text for one in find_instructions(tmp_path / "link", tmp_path / "none")] == ["rules"]


def test_a_pipe_in_the_place_of_a_file_holds_nobody_up(project: Path, tmp_path: Path) -> None:
    for name in ("AGENTS.md", ".env", ".agents/skills/s/SKILL.md", ".git/HEAD"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(project / name)
    said: list[str] = []
    assert find_instructions(project, tmp_path / "none", said.append) == ()
    assert find_skills(project, tmp_path / "home", tmp_path / "none", said.append) == ()
    assert ["no regular file" in words for words in said] == [True, True]
    read = dotenv.read(project / ".env")
    assert read is not None and read.values == {} and "no regular file" in read.warnings[0]
    assert branch_of(project) == ""


def test_a_skill_that_leads_out_of_the_project_is_none(project: Path, tmp_path: Path) -> None:
    (tmp_path / "SKILL.md").write_text(SKILL)
    (project / ".agents" / "skills" / "s").mkdir(parents=True)
    (project / ".agents" / "skills" / "s" / "SKILL.md").symlink_to(tmp_path / "SKILL.md")
    said: list[str] = []
    assert find_skills(project, tmp_path / "home", tmp_path / "none", said.append) == ()
    assert "leads out of the project" in said[0]


def test_a_skill_folder_linked_from_elsewhere_in_the_project_is_one(project: Path, tmp_path: Path) -> None:
    (project / ".claude" / "skills" / "s").mkdir(parents=True)
    (project / ".claude" / "skills" / "s" / "SKILL.md").write_text(SKILL)
    (project / ".agents").symlink_to(".claude")
    assert [skill.name for skill in find_skills(project, tmp_path / "home", tmp_path / "none")] == ["s"]


def test_an_env_file_that_leads_elsewhere_gives_no_variable(project: Path, tmp_path: Path) -> None:
    (tmp_path / "secrets").write_text("AWS_KEY=1\n")
    (project / ".env").symlink_to(tmp_path / "secrets")
    read = dotenv.read(project / ".env")
    assert read is not None and read.values == {} and "leads out of the project" in read.warnings[0]


def test_an_env_file_may_be_another_of_the_project(project: Path) -> None:
    (project / "dev.env").write_text("NAME=1\n")
    (project / ".env").symlink_to("dev.env")
    read = dotenv.read(project / ".env")
    assert read is not None and read.values == {"NAME": "1"}
