import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_intern.tools.bash.plain_text import plain


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain\n", "plain\n"),
        ("\x1b[1;31mred\x1b[0m\n", "red\n"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bP1$r\x1b\\x", "x"),
        ("\x1b(Bx\x1b=", "x"),
        ("a\x00b\x08", "a�b�"),
        (" 10%|#   |\r 50%|##  |\r100%|####|\n", "100%|####|\n"),
        ("a\r\nb\r\n", "a\nb\n"),
        ("half \x1b[3", "half 3"),
        ("tab\tkept", "tab\tkept"),
    ],
)
def test_terminal_output_becomes_what_a_person_would_see(raw: str, shown: str) -> None:
    assert plain(raw) == shown


@given(st.text(alphabet="ab\x1b[]0;m\r\n\x07\\PX^_(B", max_size=80))
def test_no_escape_survives(raw: str) -> None:
    assert "\x1b" not in plain(raw)
    assert "\r" not in plain(raw)
