from __future__ import annotations

import os
import stat
from dataclasses import dataclass

import pytest

from ml_intern.compute.local import LocalWorkspace
from ml_intern.errors import ToolError
from ml_intern.protocol.display import Diff, Text
from ml_intern.protocol.events import FileSeen
from ml_intern.tools.base import Effect, ToolOutput
from ml_intern.tools.files.edit import EditArgs, EditTool
from ml_intern.tools.files.ledger import FileLedger
from ml_intern.tools.files.python_files import PythonFiles
from ml_intern.tools.files.read import ReadArgs, ReadTool
from ml_intern.tools.files.write import WriteArgs, WriteTool
from tests.workspaces import Calls, Machine


@dataclass
class Files:
    """The three tools of one session."""

    workspace: LocalWorkspace
    ledger: FileLedger

    @property
    def writer(self) -> WriteTool:
        return WriteTool(self.workspace, self.ledger, PythonFiles(self.workspace))

    @property
    def editor(self) -> EditTool:
        return EditTool(self.workspace, self.ledger, PythonFiles(self.workspace))

    async def read(self, path: str) -> ToolOutput:
        return await ReadTool(self.workspace, self.ledger, lambda: False).run(ReadArgs(path=path), Calls().context)

    async def write(self, path: str, content: str) -> ToolOutput:
        return await self.writer.run(WriteArgs(path=path, content=content), Calls().context)

    async def edit(self, path: str, old: str, new: str, **more: object) -> ToolOutput:
        args = self.editor.parse_object({"path": path, "old_str": old, "new_str": new, **more})
        return await self.editor.run(args, Calls().context)


@pytest.fixture
def files(workspace: LocalWorkspace) -> Files:
    return Files(workspace, FileLedger())


# ── write ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_new_file_is_written_with_its_folders(files: Files, machine: Machine) -> None:
    output = await files.write("a/b/f.txt", "né\nw\n")
    assert (machine.root / "a/b/f.txt").read_bytes() == "né\nw\n".encode()
    assert output.text == "Created a/b/f.txt: 6 bytes, 2 lines."
    assert output.display == (Text(text="né\nw\n"),)
    assert output.files[0].path == str(machine.root / "a/b/f.txt")


async def test_an_unread_file_is_not_overwritten(files: Files, machine: Machine) -> None:
    (machine.root / "f").write_text("precious")
    with pytest.raises(ToolError, match="has not been read"):
        await files.write("f", "new")
    assert (machine.root / "f").read_text() == "precious"


async def test_a_file_that_changed_since_it_was_read_is_not_overwritten(files: Files, machine: Machine) -> None:
    (machine.root / "f").write_text("old")
    await files.read("f")
    (machine.root / "f").write_text("by somebody else")
    with pytest.raises(ToolError, match="changed since"):
        await files.write("f", "new")
    with pytest.raises(ToolError, match="changed since"):
        await files.edit("f", "by", "for")


async def test_the_guard_follows_links_and_spellings(files: Files, machine: Machine) -> None:
    (machine.root / "real").write_text("old")
    (machine.root / "link").symlink_to("real")
    await files.read("./link")
    await files.write(str(machine.root / "real"), "new")
    assert (machine.root / "link").is_symlink()
    await files.edit("link", "new", "newer")
    assert (machine.root / "real").read_text() == "newer"


async def test_what_was_written_may_be_written_again(files: Files) -> None:
    await files.write("f", "1")
    await files.write("f", "2")
    await files.edit("f", "2", "3")
    assert (await files.write("f", "4")).text.startswith("Replaced f")


async def test_a_resumed_session_knows_what_it_has_seen(files: Files, machine: Machine, workspace: LocalWorkspace) -> None:
    (machine.root / "f").write_text("x")
    seen = (await files.read("f")).files
    resumed = Files(workspace, FileLedger(seen))
    assert (await resumed.edit("f", "x", "y")).success
    stale = Files(workspace, FileLedger([FileSeen(path=seen[0].path, mtime_ns=1, size_bytes=1)]))
    with pytest.raises(ToolError, match="changed since"):
        await stale.edit("f", "y", "z")


async def test_sessions_do_not_share_what_they_have_seen(files: Files, machine: Machine, workspace: LocalWorkspace) -> None:
    (machine.root / "f").write_text("x")
    await files.read("f")
    with pytest.raises(ToolError, match="has not been read"):
        await Files(workspace, FileLedger()).write("f", "y")


async def test_replacing_a_file_shows_the_difference(files: Files) -> None:
    await files.write("f", "a\nb\n")
    output = await files.write("f", "a\nc\n")
    assert output.display == (Diff(path="f", unified="--- f\n+++ f\n@@ -1,2 +1,2 @@\n a\n-b\n+c", added=1, removed=1),)


@pytest.mark.parametrize("path", ["~/.ssh/authorized_keys", "~/.netrc", "a\0b", " "])
async def test_credentials_and_nonsense_are_no_place_to_write(files: Files, path: str) -> None:
    with pytest.raises(ToolError):
        await files.write(path, "x")


async def test_a_folder_and_what_lies_below_a_file_cannot_be_written(files: Files, machine: Machine) -> None:
    (machine.root / "d").mkdir()
    with pytest.raises(ToolError, match="is a folder"):
        await files.write("d", "x")
    (machine.root / "f").write_text("x")
    with pytest.raises(ToolError, match="cannot be written"):
        await files.write("f/g", "x")


async def test_half_a_surrogate_pair_is_refused_before_anything_is_touched(files: Files, machine: Machine) -> None:
    with pytest.raises(ToolError, match="surrogate"):
        await files.write("f", "a\ud800")
    assert list(machine.root.iterdir()) == []


def test_writing_outside_the_workspace_is_a_risk_of_its_own(files: Files, machine: Machine) -> None:
    inside = files.writer.risk(WriteArgs(path="x", content=""))
    outside = files.writer.risk(WriteArgs(path="~/x", content=""))
    through_a_link = machine.root / "out"
    through_a_link.symlink_to(machine.home)
    assert (inside.effects, inside.writes, inside.confined) == ({Effect.WRITES_WORKSPACE}, {str(machine.root / "x")}, True)
    assert outside.effects == {Effect.WRITES_OUTSIDE}
    assert str(machine.home / "x") in outside.reason
    assert files.writer.risk(WriteArgs(path="out/x", content="")).effects == {Effect.WRITES_OUTSIDE}
    assert files.editor.risk(EditArgs(path=".git/hooks/pre-commit", old_str="a", new_str="b")).effects == {Effect.WRITES_OUTSIDE}
    for path in (".git/commondir", "sub/.git/hooks/x", "sub/.git", "sub/.GIT/config", "a/.ml-intern/config.json", ".ml-intern/x"):
        assert files.writer.risk(WriteArgs(path=path, content="")).effects == {Effect.WRITES_OUTSIDE}, path
    assert files.writer.risk(WriteArgs(path=".gitignore", content="")).effects == {Effect.WRITES_WORKSPACE}


def test_an_approval_shows_what_would_be_written(files: Files) -> None:
    assert files.writer.preview(WriteArgs(path="x.py", content="print()")) == (Text(text="print()", language="python"),)
    (diff,) = files.editor.preview(EditArgs(path="x", old_str="a", new_str="b"))
    assert isinstance(diff, Diff)
    assert "-a\n+b" in diff.unified
    assert files.editor.subject(EditArgs(path="x", old_str="a", new_str="b")).parts == ("x",)


# ── edit ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_edit_keeps_mode_link_newlines_and_the_missing_final_newline(files: Files, machine: Machine) -> None:
    """W32: the original reset the mode, replaced links and turned CRLF into LF."""
    script = machine.root / "run.sh"
    script.write_bytes(b"#!/bin/sh\r\necho old\r\nexit")
    script.chmod(0o755)
    (machine.root / "link").symlink_to(script)
    await files.read("link")
    output = await files.edit("link", "echo old\nexit", "echo new\ndate\nexit")
    assert script.read_bytes() == b"#!/bin/sh\r\necho new\r\ndate\r\nexit"
    assert stat.S_IMODE(script.stat().st_mode) == 0o755
    assert (machine.root / "link").is_symlink()
    assert output.text == "Edited link: replaced 1 occurrence (matched with the file's own line ends)."


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"\xef\xbb\xbfold \xc3\xa9\n", b"\xef\xbb\xbfnew \xc3\xa9\n"),
        ("\ufeffold é\r\n".encode("utf-16-le"), "\ufeffnew é\r\n".encode("utf-16-le")),
        (b"old \xe9\n", b"new \xe9\n"),
        (b"old\nx\r\n\x0c\xe2\x80\xa8y", b"new\nx\r\n\x0c\xe2\x80\xa8y"),
    ],
)
async def test_an_edit_keeps_every_other_byte(files: Files, machine: Machine, before: bytes, after: bytes) -> None:
    (machine.root / "f").write_bytes(before)
    await files.read("f")
    await files.edit("f", "old", "new")
    assert (machine.root / "f").read_bytes() == after


async def test_an_edit_shows_the_difference_and_what_it_did(files: Files) -> None:
    await files.write("f", "a a\n")
    output = await files.edit("f", "a", "b", replace_all=True)
    assert output.text == "Edited f: replaced 2 occurrences."
    assert output.display == (Diff(path="f", unified="--- f\n+++ f\n@@ -1 +1 @@\n-a a\n+b b", added=1, removed=1),)
    assert (await files.edit("f", "b b\n", "c\n", mode="append_after")).text == "Edited f: inserted after 1 occurrence."


async def test_edits_that_make_no_sense_are_refused(files: Files, machine: Machine) -> None:
    """W31: an empty text to look for wrote at the start of the file."""
    await files.write("f", "text\n")
    for old, new, mode, words in [
        ("", "x", "replace", "old_str is empty"),
        ("", "x", "append_after", "old_str is empty"),
        ("", "x", "replace_all", "old_str is empty"),
        ("text", "text", "replace", "the same"),
        ("nothing like it", "x", "replace", "not found"),
    ]:
        with pytest.raises(ToolError, match=words):
            await files.edit("f", old, new, mode=mode)
    assert (machine.root / "f").read_text() == "text\n"


async def test_an_unread_a_missing_and_a_binary_file_are_not_edited(files: Files, machine: Machine) -> None:
    (machine.root / "f").write_text("x")
    with pytest.raises(ToolError, match="has not been read"):
        await files.edit("f", "x", "y")
    with pytest.raises(ToolError, match="does not exist"):
        await files.edit("g", "x", "y")
    (machine.root / "b").write_bytes(b"\0x")
    status = await files.workspace.stat(machine.root / "b")
    assert status is not None
    files.ledger.record(machine.root / "b", status)
    with pytest.raises(ToolError, match="binary"):
        await files.edit("b", "x", "y")


async def test_a_character_that_the_file_cannot_hold_changes_nothing(files: Files, machine: Machine) -> None:
    (machine.root / "f").write_bytes(b"caf\xe9\n")
    await files.read("f")
    with pytest.raises(ToolError, match="cannot hold"):
        await files.edit("f", "caf", "→")
    assert (machine.root / "f").read_bytes() == b"caf\xe9\n"


async def test_a_hard_link_elsewhere_keeps_the_old_content(files: Files, machine: Machine) -> None:
    (machine.root / "f").write_text("old")
    os.link(machine.root / "f", machine.root / "other")
    await files.read("f")
    await files.edit("f", "old", "new")
    assert (machine.root / "other").read_text() == "old"


# ── Python ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_syntax_error_is_told_at_once(files: Files) -> None:
    output = await files.write("x.py", "def f(:\n    pass\n")
    assert output.success
    assert "Python check:\n- syntax error in line 1: " in output.text
    assert "Python check" not in (await files.edit("x.py", "def f(:", "def f():")).text


async def test_other_files_are_not_checked(files: Files) -> None:
    assert (await files.write("x.txt", "def f(:\n")).text.count("\n") == 0


async def test_a_broken_interpreter_of_the_project_stops_nothing(files: Files, machine: Machine) -> None:
    python = machine.root / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/no/such/interpreter\n")
    python.chmod(0o755)
    assert (await files.write("x.py", "def f(:\n")).text == "Created x.py: 8 bytes, 1 line."
