from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ml_intern.tools.limiter import MAX_CHARS, join_ends, limit


def test_text_within_the_limit_is_untouched_and_makes_no_file(tmp_path: Path) -> None:
    assert limit("x" * MAX_CHARS, tmp_path) == limit("x" * MAX_CHARS, tmp_path)
    limited = limit("x" * MAX_CHARS, tmp_path)
    assert (limited.text, limited.spill_path) == ("x" * MAX_CHARS, None)
    assert list(tmp_path.iterdir()) == []


def test_longer_text_keeps_a_quarter_of_its_head_and_the_rest_of_its_tail(tmp_path: Path) -> None:
    text = "".join(f"{n:07}\n" for n in range(10_000))
    limited = limit(text, tmp_path / "new")
    assert limited.spill_path is not None
    assert limited.spill_path.read_text() == text
    assert limited.spill_path.stat().st_mode & 0o077 == 0 or (tmp_path / "new").stat().st_mode & 0o077 == 0
    head, marker, tail = limited.text.split("\n\n")
    assert head == text[: MAX_CHARS // 4].rstrip("\n")
    assert text.endswith(tail)
    assert len(tail) > 0.72 * MAX_CHARS
    assert str(limited.spill_path) in marker
    assert "of 80,000 characters" in marker


def test_a_disk_that_takes_no_file_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    limited = limit("x" * 30_000, tmp_path / "file" / "dir")
    assert limited.spill_path is None
    assert "could not be kept" in limited.text


@given(st.text(max_size=4000), st.integers(min_value=1, max_value=3000))
def test_the_limit_holds_for_every_text_and_nothing_is_lost(text: str, max_chars: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        limited = limit(text, Path(folder), max_chars)
        assert len(limited.text) <= max_chars
        if len(text) <= max_chars:
            assert limited.text == text
        else:
            assert limited.spill_path is not None
            assert limited.spill_path.read_bytes() == text.encode("utf-8", "replace")
            assert limited.text[: max_chars // 4] == text[: max_chars // 4]


@given(st.text(max_size=500), st.text(max_size=500), st.integers(min_value=1, max_value=2000))
def test_joined_ends_are_bounded_too(head: str, tail: str, max_chars: int) -> None:
    assert len(join_ends(head, tail, 10_000, "kept in x", max_chars)) <= max_chars


def test_half_a_surrogate_pair_does_not_break_the_file(tmp_path: Path) -> None:
    limited = limit("\ud800" * 200, tmp_path, 100)
    assert limited.spill_path is not None
    assert limited.spill_path.read_text() == "?" * 200
