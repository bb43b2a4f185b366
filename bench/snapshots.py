"""What the snapshot of a turn takes in a large folder, beside git's own ``add -A`` and ``write-tree`` in the same one."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median

from bench.figures import Figure

FILES = 20_000
IGNORED_BYTES = 5_000_000_000
_IN_FOLDER = 100


def snapshots(turns: int) -> list[Figure]:
    """The first of a folder, and those of turns that change one file. The turn waits for neither: the model thinks meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        small, ignored = Path(folder, "small"), Path(folder, "ignored")
        _fill(small)
        _fill_ignored(ignored)
        return [*_figures("20,000 small files", small, turns), *_figures("5 GB of ignored files", ignored, turns)]


def _figures(name: str, root: Path, turns: int) -> list[Figure]:
    with tempfile.TemporaryDirectory() as state:
        ours = asyncio.run(_ours(root, Path(state), turns))
        git = _git(root, Path(state, "floor"), turns)
    first = Figure(name=f"snapshot of {name}, the first", unit="ms", ours=ours[0], floor=git[0])
    later = median(ours[1:])
    return [
        first,
        Figure(name="  of a later turn", unit="ms", ours=later, floor=median(git[1:]), target="≤ 1000", met=later <= 1000),
    ]


async def _ours(root: Path, state: Path, turns: int) -> list[float]:
    from ml_intern.compute.shadow_repository import ShadowRepository

    shadow = ShadowRepository.find(state, root, {"PATH": os.environ["PATH"], "HOME": str(state)}, "bench")
    assert isinstance(shadow, ShadowRepository), shadow
    taken: list[float] = []
    for turn in range(turns + 1):
        (root / "changes.py").write_text(f"turn = {turn}\n")
        began = time.perf_counter()
        await shadow.record()
        taken.append((time.perf_counter() - began) * 1000)
    await shadow.aclose()
    return taken


def _git(root: Path, git_dir: Path, turns: int) -> list[float]:
    env = {**os.environ, "GIT_DIR": str(git_dir), "GIT_WORK_TREE": str(root)}
    subprocess.run(["git", "init", "-q"], env=env, check=True)
    taken: list[float] = []
    for turn in range(turns + 1):
        (root / "changes.py").write_text(f"floor = {turn}\n")
        began = time.perf_counter()
        for words in (["add", "-A"], ["write-tree"]):
            subprocess.run(["git", *words], cwd=root, env=env, check=True, stdout=subprocess.DEVNULL)
        taken.append((time.perf_counter() - began) * 1000)
    return taken


def _fill(root: Path) -> None:
    for number in range(FILES - 1):  # and the one that changes
        folder = root / f"part{number // _IN_FOLDER}"
        if number % _IN_FOLDER == 0:
            folder.mkdir(parents=True)
        (folder / f"{number}.py").write_text(f"number = {number}\n" * 20)


def _fill_ignored(root: Path) -> None:
    """One file with holes, and many small ones: nobody reads what is in them."""
    (root / "data").mkdir(parents=True)
    (root / ".gitignore").write_text("data/\n")
    with open(root / "data" / "weights.bin", "wb") as weights:
        weights.truncate(IGNORED_BYTES)
    for number in range(FILES):
        (root / "data" / f"{number}.txt").touch()
