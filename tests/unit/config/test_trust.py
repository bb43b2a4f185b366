"""What a project's file says of programs and calls counts only when the user has trusted exactly that."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ml_intern.config.hook_files import HookFiles, HookReader, unclear_lines
from ml_intern.config.json_values import Json, JsonDict
from ml_intern.config.load import LoadedSettings, load_settings
from ml_intern.config.project_programs import ProjectPrograms
from ml_intern.config.trust import TrustedFolders, needs_trust
from ml_intern.errors import ConfigError

HOOKS: JsonDict = {"hooks": {"PreToolUse": [{"matcher": "bash", "command": "./check.sh"}]}}
BOTH: JsonDict = {**HOOKS, "permissions": {"allow": ["bash(make *)"], "deny": ["write"]}, "max_iterations": 5}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    (folder / ".ml-intern").mkdir(parents=True)
    return folder


@pytest.fixture
def state(home: Path) -> Path:
    return home / ".local/state/ml-intern"


def write(project: Path, content: Any) -> None:
    (project / ".ml-intern" / "config.json").write_text(json.dumps(content))


def look_through(hooks: Json, project: Path) -> HookFiles:
    return HookReader().files(hooks, project)


def load(project: Path, home: Path) -> LoadedSettings:
    return load_settings(frontend="cli", cwd=project, environ={"HOME": str(home)})


def test_in_a_folder_that_is_not_trusted_only_the_careful_part_counts_and_a_warning_says_so(project: Path, home: Path) -> None:
    write(project, BOTH)
    loaded = load(project, home)
    assert not loaded.settings.hooks
    assert loaded.settings.permissions.allow == ()
    assert loaded.settings.permissions.deny == ("write",) and loaded.settings.max_iterations == 5
    (warning,) = loaded.warnings
    assert "hooks and rules that allow calls" in warning and "ml-intern trust" in warning


def test_trusted_they_are_added_to_the_users_own(project: Path, home: Path, state: Path) -> None:
    user = home / ".config/ml-intern/cli_agent_config.json"
    user.parent.mkdir(parents=True)
    own = {"hooks": {"PreToolUse": [{"command": "echo ${HOME}"}]}, "permissions": {"allow": ["bash(ls)"]}}
    user.write_text(json.dumps(own))
    write(project, BOTH)
    TrustedFolders(state).trust(project, needs_trust(BOTH))
    loaded = load(project, home)
    assert loaded.warnings == ()
    assert [rule.command for rule in loaded.settings.hooks.pre_tool_use] == ["echo ${HOME}", "./check.sh"]
    assert loaded.settings.permissions.allow == ("bash(ls)", "bash(make *)")
    assert str(user) in loaded.origins["hooks.PreToolUse"].source and str(project) in loaded.origins["hooks.PreToolUse"].source


def test_a_file_that_changes_is_not_trusted_any_more(project: Path, home: Path, state: Path) -> None:
    write(project, BOTH)
    TrustedFolders(state).trust(project, needs_trust(BOTH))
    write(project, {"hooks": {"PreToolUse": [{"matcher": "bash", "command": "./evil.sh"}]}})
    assert not load(project, home).settings.hooks
    write(project, {**BOTH, "max_iterations": 3})  # what needs no trust may change
    assert load(project, home).settings.hooks


def test_another_folder_with_the_same_file_is_not_trusted(project: Path, home: Path, state: Path, tmp_path: Path) -> None:
    TrustedFolders(state).trust(project, needs_trust(HOOKS))
    clone = tmp_path / "clone"
    (clone / ".ml-intern").mkdir(parents=True)
    write(clone, HOOKS)
    assert not load(clone, home).settings.hooks


def test_a_project_cannot_say_of_itself_that_it_is_trusted(project: Path, home: Path) -> None:
    """Not through its ``.env`` either: where the list lies is a matter of the process's own variables."""
    write(project, HOOKS)
    TrustedFolders(project / "state" / "ml-intern").trust(project, needs_trust(HOOKS))
    (project / ".env").write_text(f"XDG_STATE_HOME={project / 'state'}\n")
    assert not load(project, home).settings.hooks


def test_a_wrong_hook_is_told_with_its_file_and_its_place(project: Path, home: Path, state: Path) -> None:
    wrong: JsonDict = {"hooks": {"PreToolUse": [{"matcher": "(", "command": "x"}]}}
    write(project, wrong)
    TrustedFolders(state).trust(project, needs_trust(wrong))
    with pytest.raises(ConfigError, match=r"config\.json: 'hooks\.PreToolUse\.0\.matcher' is no regular expression"):
        load(project, home)


def test_the_list_is_the_users_alone_and_can_be_taken_back(project: Path, state: Path) -> None:
    folders = TrustedFolders(state)
    assert folders.all() == () and not folders.revoke(project)
    folders.trust(project, HOOKS)
    folders.trust(project, HOOKS)
    assert [entry.folder for entry in folders.all()] == [str(project)]
    assert stat.S_IMODE((state / "trusted.json").stat().st_mode) == 0o600
    assert folders.revoke(project) and folders.all() == ()


def test_a_link_to_a_trusted_folder_is_that_folder(project: Path, state: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(project)
    TrustedFolders(state).trust(tmp_path / "link", HOOKS)
    assert TrustedFolders(state).covers(project, HOOKS)


def test_a_list_that_is_none_of_ours_trusts_nothing_and_says_so(project: Path, state: Path) -> None:
    state.mkdir(parents=True)
    (state / "trusted.json").write_text("[")
    with pytest.raises(ConfigError, match=r"trusted\.json"):
        TrustedFolders(state).covers(project, HOOKS)


# ── what hooks run ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "command",
    [
        "./scripts/check.sh",
        "bash scripts/check.sh --all",
        '"$CLAUDE_PROJECT_DIR"/scripts/check.sh',
        "cd scripts && ./check.sh",
        "X=1 sh -c 'exec scripts/check.sh'",
        "python guard.py --with=scripts/check.sh",
    ],
)
def test_a_script_of_the_project_that_a_hook_names_is_trusted_as_it_is_and_no_other_way(
    project: Path, home: Path, state: Path, command: str
) -> None:
    script = project / "scripts" / "check.sh"
    script.parent.mkdir()
    script.write_text("exit 0")
    asked: JsonDict = {"hooks": {"Stop": [{"hooks": [{"type": "command", "command": command}]}]}}
    write(project, asked)
    TrustedFolders(state).trust(project, needs_trust(asked))
    loaded = load(project, home)
    programs = ProjectPrograms(loaded)
    assert loaded.settings.hooks and loaded.warnings == ()
    assert programs.files() == (script,) and programs.why_not(command) == ""
    script.write_text("exit 0; evil")
    assert "scripts/check.sh" in programs.why_not(command) and "ml-intern trust" in programs.why_not(command)
    later = load(project, home)
    assert not later.settings.hooks
    assert "not what you trusted" in later.warnings[0]
    TrustedFolders(state).trust(project, needs_trust(asked))
    assert programs.why_not(command) == "", "trusted again, it runs again"


def test_a_script_that_was_missing_when_its_hook_was_trusted_is_not_run(project: Path, home: Path, state: Path) -> None:
    write(project, HOOKS)
    TrustedFolders(state).trust(project, needs_trust(HOOKS))
    programs = ProjectPrograms(load(project, home))
    (project / "check.sh").write_text("evil")
    assert programs.why_not("./check.sh")


def test_hooks_of_the_users_own_are_not_the_projects(project: Path, home: Path) -> None:
    user = home / ".config/ml-intern/cli_agent_config.json"
    user.parent.mkdir(parents=True)
    user.write_text(json.dumps(HOOKS))
    write(project, HOOKS)
    (project / "check.sh").write_text("x")
    programs = ProjectPrograms(load(project, home))
    assert programs.files() == () and programs.why_not("./check.sh") == ""


def test_trusting_shows_the_files_that_hooks_run(project: Path) -> None:
    (project / "check.sh").write_text("x")
    assert look_through(HOOKS["hooks"], project).files == (project / "check.sh",)


# ── what is found in a line ──────────────────────────────────────────────────────────────────────────────────────────


def asks(line: str) -> JsonDict:
    return {"hooks": {"PreToolUse": [{"command": line}]}}


@pytest.mark.parametrize(
    ("line", "files"),
    [
        ("python -m tools.guard", ["tools/__init__.py", "tools/guard.py"]),
        ("python3.12 -I -m tools.guard --strict", ["tools/__init__.py", "tools/guard.py"]),
        ("make guard", ["Makefile"]),
        ("make -C tools guard", ["Makefile", "tools/Makefile"]),
        ("npm run guard", ["package.json"]),
        ('"$(git rev-parse --show-toplevel)/check.sh"', ["check.sh"]),
        ("$(git rev-parse --show-toplevel)/check.sh", ["check.sh"]),
        ('"${CLAUDE_PROJECT_DIR:-.}/check.sh"', ["check.sh"]),
        ("${CLAUDE_PROJECT_DIR:-.}/check.sh", ["check.sh"]),
        ("~/shop/check.sh", ["check.sh"]),
        ("$HOME/shop/check.sh", ["check.sh"]),
        ("./check.*", ["check.sh"]),
        ("timeout 5 ./check.sh", ["check.sh"]),
        ("sh -c 'cd tools; exec ./guard.py'", ["tools/guard.py"]),
        ("X=$(./check.sh) && echo $X", ["check.sh"]),
        ("sh < plain", ["plain"]),
        ("sh plain calls.jsonl", ["plain"]),
    ],
)
def test_whatever_way_a_hook_names_its_program_the_file_is_found(
    project: Path, monkeypatch: pytest.MonkeyPatch, line: str, files: list[str]
) -> None:
    monkeypatch.setenv("HOME", str(project.parent))
    (project / "tools").mkdir()
    for name in ("check.sh", "tools/__init__.py", "tools/guard.py", "Makefile", "tools/Makefile", "package.json", "plain", "calls.jsonl"):
        (project / name).write_text("x")
    hooks = asks(line)["hooks"]
    assert sorted(str(path.relative_to(project)) for path in look_through(hooks, project).files) == files
    assert unclear_lines(hooks) == ()


@pytest.mark.parametrize(
    "line", ["$GUARD", '"$(which guard)"', "python -c 'import tools.guard'", "cat x | sh", "sh -c '$X'", "bash $F", "echo 'x"]
)
def test_a_line_whose_programs_cannot_be_told_is_named(line: str) -> None:
    assert unclear_lines(asks(line)["hooks"]) == (line,)


@pytest.mark.parametrize(
    ("texts", "files"),
    [
        ({"check.sh": ". ./lib.sh\n", "lib.sh": "source tools/more.sh\n", "tools/more.sh": "exit 0"}, ["lib.sh", "tools/more.sh"]),
        ({"check.sh": "#!/bin/sh\n# don't\npython3 tools/guard.py || exit 2\n", "tools/guard.py": "", "x.py": ""}, ["tools/guard.py"]),
        ({"check.sh": 'D="$(cd "$(dirname "$0")" && pwd)"\n. "$D/lib.sh"\n', "lib.sh": ""}, ["lib.sh"]),
        ({"check.sh": '. "${BASH_SOURCE%/*}"/lib.sh', "lib.sh": ""}, ["lib.sh"]),
        ({"check.sh": "LIB=tools/lib.bash\nsource $LIB\n", "tools/lib.bash": ""}, ["tools/lib.bash"]),
        (
            {"check.sh": "cd tools\n./deep\n", "tools/deep": "node ../x.js", "x.js": "require('./y')", "y.js": ""},
            ["tools/deep", "x.js", "y.js"],
        ),
        (
            {
                "check.sh": "python -m tools.guard",
                "tools/guard.py": "import json, lib\nfrom . import near\n",
                "tools/near.py": "import json",
                "lib/__init__.py": "from lib.deep import x",
                "lib/deep.py": "",
            },
            ["lib/__init__.py", "lib/deep.py", "tools/guard.py", "tools/near.py"],
        ),
        ({"check.sh": "import_x\ncat data.json notes.py", "data.json": "", "notes.py": ""}, []),
        ({"check.sh": ". ./check.sh; . ../outside.sh"}, []),
    ],
)
def test_what_a_hooks_program_sources_or_imports_by_name_is_trusted_with_it(project: Path, texts: dict[str, str], files: list[str]) -> None:
    for name, text in texts.items():
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(text)
    found = look_through(asks("./check.sh")["hooks"], project)
    assert sorted(str(path.relative_to(project)) for path in found.files) == sorted(["check.sh", *files])
    assert found.unclear == ()


def test_a_library_that_a_trusted_script_sources_is_kept_as_it_was(project: Path, home: Path, state: Path) -> None:
    (project / "check.sh").write_text("#!/bin/sh\n. ./lib.sh\n")
    asked = asks("./check.sh")
    write(project, asked)
    TrustedFolders(state).trust(project, needs_trust(asked))
    programs = ProjectPrograms(load(project, home))
    (project / "lib.sh").write_text("evil")
    assert "lib.sh" in programs.why_not("./check.sh"), "it was not there when the script was trusted"
    TrustedFolders(state).trust(project, needs_trust(asked))
    assert programs.why_not("./check.sh") == "" and project / "lib.sh" in programs.files()
    (project / "lib.sh").write_text("more evil")
    assert "lib.sh" in programs.why_not("./check.sh")


def test_a_module_that_hides_one_that_a_trusted_program_imports_is_noticed(project: Path, home: Path, state: Path) -> None:
    (project / "guard.py").write_text("import json\n")
    asked = asks("python guard.py")
    write(project, asked)
    TrustedFolders(state).trust(project, needs_trust(asked))
    programs = ProjectPrograms(load(project, home))
    assert programs.why_not("python guard.py") == ""
    (project / "json.py").write_text("evil")
    assert "json.py" in programs.why_not("python guard.py")


def test_what_a_script_names_only_while_it_runs_is_said_with_its_file(project: Path) -> None:
    (project / "check.sh").write_text('. "$1/lib.sh"\nbash "$(find . -name x)"\n')
    unclear = look_through(asks("./check.sh")["hooks"], project).unclear
    assert {"check.sh: $1/lib.sh", "check.sh: $(find . -name x)"} <= set(unclear)


@pytest.mark.parametrize("line", ["./check.sh", "jq -r .x", "cat | ./check.sh > out", "ruff check --quiet", "python3 guard.py --all"])
def test_a_plain_line_is_clear(line: str) -> None:
    assert unclear_lines(asks(line)["hooks"]) == ()


@pytest.mark.parametrize(
    "line",
    ["cat >> calls.jsonl", "tee -a calls.jsonl", "jq . -o calls.jsonl", "cat > 'calls.jsonl'; ./check.sh", "./check.sh 2>>calls.jsonl",
     "jq -c . --output=calls.jsonl", "wc -l calls.jsonl", "cat >> $CLAUDE_PROJECT_DIR/calls.jsonl"],
)  # fmt: skip
def test_a_hook_that_writes_into_the_project_stays_trusted(project: Path, home: Path, state: Path, line: str) -> None:
    (project / "check.sh").write_text("exit 0")
    write(project, asks(line))
    TrustedFolders(state).trust(project, needs_trust(asks(line)))
    programs = ProjectPrograms(load(project, home))
    (project / "calls.jsonl").write_text("{}")
    assert programs.why_not(line) == ""
    assert load(project, home).settings.hooks


def test_started_in_a_subfolder_the_same_is_trusted_and_the_hook_runs_in_its_projects_folder(
    project: Path, home: Path, state: Path
) -> None:
    (project / ".git").mkdir()
    (project / "check.sh").write_text("exit 0")
    below = project / "below"
    below.mkdir()
    (below / "check.sh").write_text("another")
    write(project, HOOKS)
    TrustedFolders(state).trust(project, needs_trust(HOOKS))
    for cwd in (below, project):
        loaded = load(cwd, home)
        programs = ProjectPrograms(loaded)
        assert loaded.settings.hooks and loaded.warnings == ()
        assert programs.place("./check.sh") == (project, project)
        assert programs.place("a hook of the user's own") == (cwd, project)
        assert programs.why_not("./check.sh") == ""


def test_a_line_that_the_user_has_too_is_the_users(project: Path, home: Path, state: Path) -> None:
    user = home / ".config/ml-intern/cli_agent_config.json"
    user.parent.mkdir(parents=True)
    user.write_text(json.dumps({"hooks": {"Stop": [{"command": "~/mine.sh"}]}}))
    write(project, HOOKS)
    (project / "check.sh").write_text("x")
    TrustedFolders(state).trust(project, needs_trust(HOOKS))
    programs = ProjectPrograms(load(project, home))
    (project / "check.sh").write_text("evil")
    assert programs.why_not("./check.sh") and programs.why_not("~/mine.sh") == ""


def test_twenty_folders_trusted_at_once_are_all_kept(tmp_path: Path, state: Path) -> None:
    folders = [tmp_path / str(n) for n in range(20)]
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda folder: TrustedFolders(state).trust(folder, {}), folders))
    assert {entry.folder for entry in TrustedFolders(state).all()} == set(map(str, folders))
