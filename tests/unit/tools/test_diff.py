import re

from hypothesis import given
from hypothesis import strategies as st

from ml_intern.tools.files.diff import MAX_LINES, unified_diff

_LINES = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=25).map(lambda lines: "".join(f"{line}\n" for line in lines))


def test_a_change_is_shown_with_three_lines_around_it() -> None:
    old = "".join(f"{n}\n" for n in range(1, 21))
    diff = unified_diff("f", old, old.replace("10\n", "ten\n"))
    assert diff.unified == "--- f\n+++ f\n@@ -7,7 +7,7 @@\n 7\n 8\n 9\n-10\n+ten\n 11\n 12\n 13"
    assert (diff.path, diff.added, diff.removed) == ("f", 1, 1)


@given(_LINES, _LINES)
def test_a_diff_applied_to_the_old_text_gives_the_new(old: str, new: str) -> None:
    diff = unified_diff("f", old, new)
    assert _patched(old.splitlines(), diff.unified.split("\n")[2:]) == new.splitlines()
    assert diff.added - diff.removed == len(new.splitlines()) - len(old.splitlines())


def _patched(lines: list[str], hunks: list[str]) -> list[str]:
    result: list[str] = []
    at = 0
    for row in hunks:
        if match := re.match(r"@@ -(\d+)(?:,(\d+))? ", row):
            start = int(match[1]) - (0 if match[2] == "0" else 1)
            result += lines[at:start]
            at = start
        elif row[0] == "+":
            result.append(row[1:])
        else:
            assert lines[at] == row[1:]
            if row[0] == " ":
                result.append(row[1:])
            at += 1
    return result + lines[at:]


def test_a_huge_change_is_quick_and_bounded() -> None:
    diff = unified_diff("f", "".join(f"a{n}\n" for n in range(20_000)), "".join(f"b{n}\n" for n in range(20_000)))
    assert (diff.added, diff.removed) == (20_000, 20_000)
    assert len(diff.unified.split("\n")) <= MAX_LINES + 3
    assert diff.unified.endswith("more lines of this diff")


def test_equal_texts_have_no_difference() -> None:
    diff = unified_diff("f", "a\n", "a\n")
    assert (diff.added, diff.removed, diff.unified) == (0, 0, "--- f\n+++ f")
