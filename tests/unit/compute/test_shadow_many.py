"""A snapshot of many small files. With the real git."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from ml_intern.compute.shadow_intake import MANY
from ml_intern.compute.shadow_repository import ShadowRepository

FILES = MANY + 20


@pytest.mark.parametrize("version", ["", "2.34.1"])
async def test_many_small_files_are_packed_as_they_come_where_git_makes_one_pack_of_them(tmp_path: Path, version: str) -> None:
    work, programs = tmp_path / "work", tmp_path / "bin"
    (work / "sub").mkdir(parents=True)
    for number in range(FILES):
        (work / "sub" / f"{number}.txt").write_text(f"number {number}\n")
    programs.mkdir()
    said = f'case "$*" in *version) echo git version {version}; exit;; esac\n' if version else ""
    (programs / "git").write_text(f'#!/bin/sh\n{said}exec {shutil.which("git")} "$@"\n')
    (programs / "git").chmod(0o755)
    environ = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    shadow = ShadowRepository.find(tmp_path / "state", work, environ, "s1")
    assert isinstance(shadow, ShadowRepository)
    first = await shadow.record()
    packs = list(tmp_path.glob("state/snapshots/*/objects/pack/*.pack"))
    loose = list(tmp_path.glob("state/snapshots/*/objects/??/*"))
    assert (len(packs), len(loose) > FILES) == ((0, True) if version else (1, False))
    (work / "sub" / "7.txt").write_text("changed\n")
    (work / "sub" / "8.txt").unlink()
    done = await shadow.restore(await shadow.record(), first.commit)
    assert set(done.restored) == {"sub/7.txt", "sub/8.txt"}
    assert [(work / "sub" / f"{number}.txt").read_text() for number in (7, 8)] == ["number 7\n", "number 8\n"]
    await shadow.aclose()
