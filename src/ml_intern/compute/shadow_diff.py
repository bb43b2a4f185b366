"""What differs between two snapshots."""

from __future__ import annotations

import os

from msgspec import Struct

from ml_intern.compute.shadow_git import ShadowGit
from ml_intern.protocol.display import Diff

MAX_DIFFS = 100
MAX_DIFF_CHARS = 20_000
"""Of one file; the rest is cut and said to be."""


class Change(Struct, frozen=True):
    """A file that the second snapshot has otherwise, or (``deleted``) has not. ``mode`` and ``blob`` are the second's."""

    path: str
    mode: str
    blob: str
    deleted: bool


def changed_files(git: ShadowGit, old: str, new: str) -> tuple[Change, ...]:
    """Every file that differs; a rename is a deletion and a new file (git-diff-tree(1), raw output)."""
    fields = [os.fsdecode(word) for word in git.run("diff-tree", "-r", "-z", "--no-renames", old, new).split(b"\0") if word]
    found: list[Change] = []
    for about, path in zip(fields[::2], fields[1::2], strict=True):
        _, mode, _, blob, status = about.split()
        found.append(Change(path, mode, blob, status == "D"))
    return tuple(found)


def unified_diffs(git: ShadowGit, old: str, new: str, paths: tuple[str, ...]) -> tuple[Diff, ...]:
    """One for each file; beyond the first ``MAX_DIFFS`` without the text."""
    rest = (Diff(path=path, unified="[its diff is left out]", added=0, removed=0) for path in paths[MAX_DIFFS:])
    return (*(_diff(git, old, new, path) for path in paths[:MAX_DIFFS]), *rest)


def _diff(git: ShadowGit, old: str, new: str, path: str) -> Diff:
    options = ("diff-tree", "-p", "--no-renames", "--no-color", "--no-ext-diff", "--no-textconv")
    text = git.run(*options, old, new, "--", path).decode("utf-8", "replace")
    lines = text.splitlines(keepends=True)
    start = next((number for number, line in enumerate(lines) if line.startswith(("@@", "Binary"))), 0)
    body = lines[start:]
    unified = "".join(body)
    if len(unified) > MAX_DIFF_CHARS:
        unified = unified[:MAX_DIFF_CHARS] + "\n[the rest of this diff is left out]\n"
    counted = [line[:1] for line in body if line.startswith(("+", "-"))]
    return Diff(path=path, unified=unified, added=counted.count("+"), removed=counted.count("-"))
