"""Plain rows in terminal cells."""

from __future__ import annotations

import unicodedata

from rich.cells import get_character_cell_size

from ml_intern.frontends.headless.text import clip_text, width


def test_no_character_counts_as_narrower_than_it_is_drawn() -> None:
    """A row that was measured narrower than the app draws it pushes its last cell out of the window."""
    shown = (chr(code) for code in (*range(0x20, 0xD800), *range(0xE000, 0x20000)))
    narrower = [hex(ord(char)) for char in shown if unicodedata.category(char) != "Cn" and width(char) < get_character_cell_size(char)]
    assert narrower == []


def test_a_soft_hyphen_takes_its_cell_where_a_row_is_cut() -> None:
    assert clip_text("abc\u00addef", 5) == "abc\u00ad…"
