"""A unified diff for the user to look at: quick also for large files, and never longer than a screenful or ten."""

from __future__ import annotations

from ml_intern.protocol.display import Diff
from ml_intern.tools.files.text_file import split_lines

CONTEXT_LINES = 3
MAX_LINES = 400
_COMPARED_LINES = 2000
"""Beyond that the changed middle is shown as one block: difflib takes quadratic time."""


def unified_diff(path: str, old: str, new: str) -> Diff:
    """The difference of two texts, line by line."""
    before, after = split_lines(old), split_lines(new)
    start = _common(before, after)
    end = _common(before[start:][::-1], after[start:][::-1])
    middle_before, middle_after = before[start : len(before) - end], after[start : len(after) - end]
    hunks: list[str] = []
    added = removed = 0
    for a1, a2, b1, b2 in _changes(middle_before, middle_after):
        removed += a2 - a1
        added += b2 - b1
    groups = _groups([(a1 + start, a2 + start, b1 + start, b2 + start) for a1, a2, b1, b2 in _changes(middle_before, middle_after)])
    for group in groups:
        hunks += _hunk(before, after, group)
    if len(hunks) > MAX_LINES:
        hunks = [*hunks[:MAX_LINES], f"… {len(hunks) - MAX_LINES} more lines of this diff"]
    return Diff(path=path, unified="\n".join([f"--- {path}", f"+++ {path}", *hunks]), added=added, removed=removed)


def _common(first: list[str], second: list[str]) -> int:
    count = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        count += 1
    return count


def _changes(before: list[str], after: list[str]) -> list[tuple[int, int, int, int]]:
    if not before and not after:
        return []
    if not before or not after or len(before) + len(after) > _COMPARED_LINES:
        return [(0, len(before), 0, len(after))]
    import difflib

    codes = difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    return [(a1, a2, b1, b2) for tag, a1, a2, b1, b2 in codes if tag != "equal"]


def _groups(changes: list[tuple[int, int, int, int]]) -> list[list[tuple[int, int, int, int]]]:
    """Changes that are near enough to share their context."""
    groups: list[list[tuple[int, int, int, int]]] = []
    for change in changes:
        if groups and change[0] - groups[-1][-1][1] <= 2 * CONTEXT_LINES:
            groups[-1].append(change)
        else:
            groups.append([change])
    return groups


def _hunk(before: list[str], after: list[str], group: list[tuple[int, int, int, int]]) -> list[str]:
    first, last = group[0], group[-1]
    a1, a2 = max(0, first[0] - CONTEXT_LINES), min(len(before), last[1] + CONTEXT_LINES)
    b1, b2 = first[2] - (first[0] - a1), last[3] + (a2 - last[1])
    lines = [f"@@ -{_range(a1, a2)} +{_range(b1, b2)} @@"]
    at = a1
    for start, end, new_start, new_end in group:
        lines += [f" {line}" for line in before[at:start]]
        lines += [f"-{line}" for line in before[start:end]]
        lines += [f"+{line}" for line in after[new_start:new_end]]
        at = end
    return lines + [f" {line}" for line in before[at:a2]]


def _range(start: int, end: int) -> str:
    """Line numbers as in unified diffs: from 1, and the line before when there are none."""
    return f"{start + 1 if end > start else start},{end - start}" if end - start != 1 else f"{start + 1}"
