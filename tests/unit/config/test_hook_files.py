"""Which files a project's hooks run: nothing that counts is left out without a word, and asking costs little."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_intern.config.hook_files import MAX_FILES, HookFiles, HookReader
from ml_intern.config.hook_lines import Unclear
from ml_intern.config.hook_loads import MAX_WORDS, SCANNED_BYTES, sources
from ml_intern.config.hook_paths import MAX_LOOKED_AT
from ml_intern.config.json_values import JsonDict
from ml_intern.config.load import load_settings
from ml_intern.config.project_programs import ProjectPrograms
from ml_intern.config.trust import TrustedFolders
from ml_intern.errors import ConfigError


def hooks(line: str) -> JsonDict:
    return {"hooks": {"PreToolUse": [{"command": line}]}}


def found(project: Path, line: str) -> HookFiles:
    return HookReader().files(hooks(line), project)


def chain(project: Path, count: int) -> None:
    for number in range(count):
        (project / f"s{number}.sh").write_text(f". ./s{number + 1}.sh" if number + 1 < count else "true")


def unclear_in(text: str) -> list[str]:
    return [each.text for each in sources(Path("/p/x.sh"), text.encode(), Path("/p")) if isinstance(each, Unclear)]


# ── bounds ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_hooks_own_script_is_watched_however_much_it_imports(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app/__init__.py").write_text("\n".join(f"from . import m{number}" for number in range(250)))
    for number in range(250):
        (tmp_path / f"app/m{number}.py").write_text("x = 1")
    guard = tmp_path / "tools/guard.py"
    guard.parent.mkdir()
    guard.write_text("import app")
    files = found(tmp_path, "python tools/guard.py")
    assert files.files[0] == guard and len(files.files) == 252 and files.complete
    trusted, active = TrustedFolders(tmp_path / "state"), hooks("python tools/guard.py")
    trusted.trust(tmp_path, active)
    assert trusted.covers(tmp_path, active)
    for changed in (guard, tmp_path / "app/m249.py"):
        before = changed.read_text()
        changed.write_text("import app  # and evil")
        assert not trusted.covers(tmp_path, active)
        changed.write_text(before)
    assert trusted.covers(tmp_path, active)


def test_what_runs_more_files_than_can_be_watched_is_not_trusted_and_that_is_said(tmp_path: Path) -> None:
    chain(tmp_path, MAX_FILES)
    trusted, active = TrustedFolders(tmp_path / "state"), hooks("./s0.sh")
    assert found(tmp_path, "./s0.sh").complete
    trusted.trust(tmp_path, active)
    assert trusted.covers(tmp_path, active)
    chain(tmp_path, MAX_FILES + 50)
    files = found(tmp_path, "./s0.sh")
    assert not files.complete and files.unclear == (f"more than {MAX_FILES} files",) and files.files[0] == tmp_path / "s0.sh"
    assert len(files.files) == MAX_FILES + 1, "no more is read than shows that it is too much"
    assert not trusted.covers(tmp_path, active)
    with pytest.raises(ConfigError, match=f"more than {MAX_FILES} files"):
        trusted.trust(tmp_path, active)
    assert not trusted.covers(tmp_path, active)


def test_a_hook_that_came_to_run_too_many_files_is_not_run_and_the_reason_is_said(tmp_path: Path, home: Path) -> None:
    import json

    chain(tmp_path, 3)
    (tmp_path / ".ml-intern").mkdir()
    (tmp_path / ".ml-intern/config.json").write_text(json.dumps(hooks("./s0.sh")))
    TrustedFolders(home / ".local/state/ml-intern").trust(tmp_path, hooks("./s0.sh"))
    programs = ProjectPrograms(load_settings(frontend="cli", cwd=tmp_path, environ={"HOME": str(home)}))
    assert programs.why_not("./s0.sh") == "" and programs.files()[0] == tmp_path / "s0.sh"
    (tmp_path / "s1.sh").write_text("evil")
    assert "s0.sh" in programs.why_not("./s0.sh")
    chain(tmp_path, MAX_FILES + 50)
    assert f"more than {MAX_FILES} files" in programs.why_not("./s0.sh")
    assert programs.files()[0] == tmp_path / "s0.sh"


def test_a_script_with_more_words_than_are_read_is_unclear() -> None:
    assert unclear_in("true\n" * MAX_WORDS) == []
    assert unclear_in("true\n" * (MAX_WORDS + 1)) == ["it is too long"]


def test_a_script_that_is_longer_than_what_is_read_is_unclear() -> None:
    line = "#" * 99 + "\n"
    assert unclear_in(line * (SCANNED_BYTES // 100)) == []
    assert unclear_in(line * (SCANNED_BYTES // 100 + 1)) == ["it is too long"]


def test_a_pattern_is_looked_for_in_the_project_only_and_not_without_end(tmp_path: Path) -> None:
    project = tmp_path / "work"
    (project / "deep/er").mkdir(parents=True)
    for name in ("deep/er/a.sh", "deep/er/.b.sh", "c.sh", "[d].sh"):
        (project / name).write_text("true")
    (tmp_path / "other.sh").write_text("true")
    for line, names in {
        "sh */*/*.sh": ["deep/er/a.sh"],
        "sh '[d].sh'": ["[d].sh"],
        "sh ../*/c.sh": ["c.sh"],
        "sh ../*.sh": [],
        "ls /*/*/*/*/zzz": [],
    }.items():
        assert [str(path.relative_to(project)) for path in found(project, line).files] == names, line
    for number in range(150):
        (project / f"d{number}").mkdir()
        for inner in range(150):
            (project / f"d{number}/{inner}").touch()
    assert MAX_LOOKED_AT < 150 * 150
    files = found(project, "sh */*/x.sh; sh d*/*")
    assert not files.complete and "a pattern for which there are too many files" in files.unclear


# ── what a script says ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text",
    [
        'echo "step #1"; sh c.sh',
        "echo ' # ' && sh c.sh",
        "X='a\nb # '; sh c.sh",
        'echo "a\n# b"; sh c.sh',
        "# it's \\\nsh c.sh",
        "echo $# a#b; sh c.sh",
        'bash -c "echo \\"a #\\"; sh c.sh"',
        "cat <<EOF\nit's\nEOF\nsh c.sh",
        "cat <<-'E F'\n\tit's\n\tE F\nsh c.sh",
        "sh \\\n  c.sh",
        'echo "$(grep "x # y" z)"; sh c.sh',
        "D=.\r\nsh $D/c.sh",
        "\ufeffsh c.sh",
        "D=.\nsh $D/c.sh\nD=.\n",
        'D="x"\n# D=z is the default\nN=$D.sh\nsh c.sh',
    ],
)
def test_a_hash_or_a_quote_hides_nothing_that_a_script_runs(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.sh").write_text(text)
    (tmp_path / "c.sh").write_text("true")
    files = found(tmp_path, "./a.sh")
    assert [path.name for path in files.files] == ["a.sh", "c.sh"]
    assert files.unclear == ()


@pytest.mark.parametrize("name", ["x # y", "it's", "a b"])
def test_a_folder_with_any_name_hides_nothing_that_a_script_runs(tmp_path: Path, name: str) -> None:
    project = tmp_path / name
    project.mkdir()
    (project / "a.sh").write_text("sh $(dirname $0)/c.sh; D=$(dirname $0); sh $D/c.sh")
    (project / "c.sh").write_text("true")
    assert [path.name for path in found(project, "./a.sh").files] == ["a.sh", "c.sh"]


def test_a_comment_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "a.sh").write_text("true # sh c.sh\n#sh c.sh; it's\n(# sh c.sh\n)")
    (tmp_path / "c.sh").write_text("true")
    files = found(tmp_path, "./a.sh # sh c.sh")
    assert [path.name for path in files.files] == ["a.sh"] and files.unclear == ()


@pytest.mark.parametrize(
    "text",
    [
        "D=.; sh $D/c.sh; D=other",
        "D=.\nsh $D/c.sh\nD=other",
        "D=.\nfor D in a b; do sh $D/c.sh; done",
        "D=.\nread -r D\nsh $D/c.sh",
        "D=.\ntrue && D=x\nsh $D/c.sh",
        "D=.\nD+=x\nsh $D/c.sh",
        'D="x # y"\nsh $D/c.sh',
    ],
)
def test_a_name_that_is_set_to_more_than_one_thing_is_unclear(text: str) -> None:
    assert "$D/c.sh" in unclear_in(text)


def test_a_quote_that_never_ends_is_unclear_and_what_comes_after_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.sh").write_text('echo "a\nsh c.sh\n')
    (tmp_path / "c.sh").write_text("true")
    files = found(tmp_path, "./a.sh")
    assert [path.name for path in files.files] == ["a.sh", "c.sh"] and files.unclear == ('a.sh: echo "a',)


# ── asked again ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_asked_again_a_file_that_came_changed_or_went_is_seen(tmp_path: Path) -> None:
    reader = HookReader()
    (tmp_path / "a.sh").write_text(". ./b.sh")
    seen: list[list[str]] = []
    for change in ("", "true", ". ./c.sh", None):
        if change is None:
            (tmp_path / "b.sh").unlink()
        elif change:
            (tmp_path / "b.sh").write_text(change)
            (tmp_path / "c.sh").write_text("true")
        seen.append([path.name for path in reader.files(hooks("./a.sh"), tmp_path).files])
    assert seen == [["a.sh"], ["a.sh", "b.sh"], ["a.sh", "b.sh", "c.sh"], ["a.sh"]]
