from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from ml_intern.compute.local import LocalWorkspace
from ml_intern.errors import ToolError
from ml_intern.protocol.display import Picture
from ml_intern.tools.base import Effect, ToolOutput
from ml_intern.tools.files.ledger import FileLedger
from ml_intern.tools.files.read import MAX_PAGE_CHARS, WHOLE_BYTES, ReadArgs, ReadTool
from ml_intern.tools.limiter import MAX_CHARS, limit
from tests.workspaces import Calls, Machine

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==")


async def read(
    workspace: LocalWorkspace, path: str, offset: int = 1, limit: int = 2000, *, sees: bool = False, ledger: FileLedger | None = None
) -> ToolOutput:
    tool = ReadTool(workspace, ledger or FileLedger(), lambda: sees)
    return await tool.run(ReadArgs(path=path, offset=offset, limit=limit), Calls().context)


async def test_lines_are_numbered(workspace: LocalWorkspace, machine: Machine) -> None:
    (machine.root / "f.txt").write_text("one\ntwo\r\nthree")
    assert (await read(workspace, "f.txt")).text == "     1\tone\n     2\ttwo\n     3\tthree"


async def test_a_page_says_where_the_next_begins(workspace: LocalWorkspace, machine: Machine) -> None:
    (machine.root / "f").write_text("".join(f"l{n}\n" for n in range(1, 11)))
    assert (await read(workspace, "f", 3, 2)).text == "     3\tl3\n     4\tl4\n(more lines: 10 in all, continue at offset 5)"
    assert (await read(workspace, "f", 9, 5)).text == "     9\tl9\n    10\tl10"
    with pytest.raises(ToolError, match=r"f has 10 lines; there is no line 11\."):
        await read(workspace, "f", 11)


async def test_one_read_never_fills_the_context(workspace: LocalWorkspace, machine: Machine) -> None:
    (machine.root / "f").write_text(("x" * 3900 + "\n") * 2000)
    output = await read(workspace, "f")
    assert len(output.text) <= MAX_CHARS
    assert limit(output.text, machine.scratch).spill_path is None
    assert output.text.endswith("(more lines: 2,000 in all, continue at offset 7)")


async def test_a_long_line_is_cut_and_says_so(workspace: LocalWorkspace, machine: Machine) -> None:
    (machine.root / "f").write_text("y" * 5000 + "\nnext")
    lines = (await read(workspace, "f")).text.split("\n")
    assert lines[0] == "     1\t" + "y" * 4000 + "... (line cut, 5,000 characters)"
    assert lines[1] == "     2\tnext"


async def test_an_empty_file_says_that_it_is(workspace: LocalWorkspace, machine: Machine) -> None:
    (machine.root / "f").touch()
    output = await read(workspace, "f")
    assert output.text == "f is empty (0 lines)."
    assert len(output.files) == 1


async def test_a_missing_file_is_answered_with_names_that_come_close(workspace: LocalWorkspace, machine: Machine) -> None:
    (machine.root / "src").mkdir()
    (machine.root / "src" / "train.py").touch()
    with pytest.raises(ToolError, match=r"src/trian\.py does not exist\. Did you mean .*src/train\.py\?"):
        await read(workspace, "src/trian.py")
    with pytest.raises(ToolError, match=r"Did you mean .*/src\?"):
        await read(workspace, "scr/train.py")
    with pytest.raises(ToolError, match="Use glob"):
        await read(workspace, "src/zzz")


async def test_a_folder_a_pipe_and_a_binary_are_told_apart(workspace: LocalWorkspace, machine: Machine) -> None:
    import os

    (machine.root / "b.bin").write_bytes(b"\x00\x01")
    os.mkfifo(machine.root / "pipe")
    with pytest.raises(ToolError, match=r"is a folder\. It holds: b\.bin, pipe\."):
        await read(workspace, ".")
    with pytest.raises(ToolError, match="no regular file"):
        await read(workspace, "pipe")
    with pytest.raises(ToolError, match=r"binary file \(2 bytes\)"):
        await read(workspace, "b.bin")


@pytest.mark.parametrize("path", ["", "a\0b", "~/.ssh/id_rsa"])
async def test_paths_that_are_none_or_hidden_are_refused(workspace: LocalWorkspace, path: str) -> None:
    with pytest.raises(ToolError):
        await read(workspace, path)


async def test_a_success_is_remembered_and_a_failure_is_not(workspace: LocalWorkspace, machine: Machine) -> None:
    ledger = FileLedger()
    with pytest.raises(ToolError):
        await read(workspace, "later.txt", ledger=ledger)
    (machine.root / "later.txt").write_text("x")
    stat = await workspace.stat(machine.root / "later.txt")
    assert stat is not None
    with pytest.raises(ToolError, match="has not been read"):
        ledger.demand(machine.root / "later.txt", stat, "later.txt")
    output = await read(workspace, "later.txt", ledger=ledger)
    ledger.demand(machine.root / "later.txt", stat, "later.txt")
    assert [(file.path, file.size_bytes) for file in output.files] == [(str(machine.root / "later.txt"), 1)]


async def test_a_picture_is_shown_to_a_model_that_sees(workspace: LocalWorkspace, machine: Machine) -> None:
    (machine.root / "plot.png").write_bytes(PNG)
    output = await read(workspace, "plot.png", sees=True)
    assert [(image.media_type, base64.b64decode(image.data)) for image in output.images] == [("image/png", PNG)]
    assert output.display == (Picture(path=str(machine.root / "plot.png"), media_type="image/png"),)


async def test_a_model_that_does_not_see_is_told_that_it_is_a_picture(workspace: LocalWorkspace, machine: Machine) -> None:
    (machine.root / "plot.dat").write_bytes(PNG)
    output = await read(workspace, "plot.dat")
    assert output.images == ()
    assert "does not take pictures" in output.text
    assert len(output.display) == 1


async def test_a_picture_too_large_for_the_providers_is_refused(workspace: LocalWorkspace, machine: Machine) -> None:
    (machine.root / "big.jpg").write_bytes(b"\xff\xd8\xff" + bytes(4_000_000))
    with pytest.raises(ToolError, match="too large"):
        await read(workspace, "big.jpg", sees=True)


async def test_a_notebook_is_shown_as_cells(workspace: LocalWorkspace, machine: Machine) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "text"], "metadata": {}},
        {
            "cell_type": "code",
            "source": "print(1)",
            "execution_count": 3,
            "metadata": {},
            "outputs": [
                {"output_type": "stream", "name": "stdout", "text": ["1\n"]},
                {"output_type": "display_data", "data": {"image/png": base64.b64encode(PNG).decode()}, "metadata": {}},
                {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": []},
            ],
        },
    ]
    (machine.root / "n.ipynb").write_text(json.dumps({"cells": cells, "nbformat": 4, "nbformat_minor": 5, "metadata": {}}))
    output = await read(workspace, "n.ipynb", sees=True)
    assert "── cell 1 (markdown) ──\n# Title\ntext" in output.text
    assert (
        "── cell 2 (code, execution 3) ──\nprint(1)\n── output ──\n1\n── output ──\n[image/png]\n── output ──\nValueError: no"
        in output.text
    )
    assert len(output.images) == 1
    assert (await read(workspace, "n.ipynb")).images == ()


async def test_json_that_only_calls_itself_a_notebook_is_read_as_text(workspace: LocalWorkspace, machine: Machine) -> None:
    (machine.root / "n.ipynb").write_text('{"cells": 3}')
    assert (await read(workspace, "n.ipynb")).text == '     1\t{"cells": 3}'


async def test_a_file_larger_than_memory_allows_is_paged_from_disk(workspace: LocalWorkspace, machine: Machine) -> None:
    path = machine.root / "big.log"
    line = b"x" * 99 + b"\n"
    path.write_bytes(line * (WHOLE_BYTES // 100 + 10))
    total = WHOLE_BYTES // 100 + 10
    output = await read(workspace, "big.log", total - 1, 10)
    assert output.text.startswith(f"{total - 1:6}\txxx")
    assert output.text.count("\n") == 1
    first = await read(workspace, "big.log")
    assert len(first.text) <= MAX_PAGE_CHARS + 100
    assert f"(more lines: {total:,} in all, continue at offset " in first.text


async def test_what_the_limiter_spilled_can_be_paged(workspace: LocalWorkspace, machine: Machine) -> None:
    spilled = limit("".join(f"{n}\n" for n in range(20_000)), machine.scratch).spill_path
    output = await read(workspace, str(spilled), 15_000, 2)
    assert output.text.startswith(" 15000\t14999\n 15001\t15000\n(more lines")


async def test_reading_says_which_file_it_touches(workspace: LocalWorkspace, machine: Machine) -> None:
    tool = ReadTool(workspace, FileLedger(), lambda: False)
    (machine.root / "link").symlink_to("real")
    risk = tool.risk(ReadArgs(path="link"))
    assert (risk.effects, risk.reads) == ({Effect.READS}, {str(machine.root / "real")})
    assert tool.risk(ReadArgs(path="\0")).reads == frozenset()
    assert tool.subject(ReadArgs(path="link")).parts == ("link",)


def test_encodings_other_than_utf8_are_shown(tmp_path: Path) -> None:
    from ml_intern.tools.files.text_file import decode

    assert decode("\ufeffläuft".encode("utf-16-le")).text == "läuft"
