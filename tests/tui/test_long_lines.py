"""A line of megabytes is drawn in part and copied whole."""

from __future__ import annotations

import pytest

from ml_intern.frontends.tui import theme
from ml_intern.frontends.tui.blocks.base import Block
from ml_intern.frontends.tui.blocks.pen import Pen
from ml_intern.frontends.tui.blocks.words import CodeBlock, MarkdownBlock, NoticeBlock, ThinkingBlock, UserBlock
from ml_intern.frontends.tui.cells import LONGEST_LINE

COLUMNS = 100
LONG = {"one word": "x" * 300_000, "words": "hello you " * 30_000, "wide": "é你 " * 100_000, "an address": "http://x/" + "y" * 300_000}


@pytest.mark.parametrize("text", LONG.values(), ids=LONG.keys())
@pytest.mark.parametrize("kind", [UserBlock, MarkdownBlock, CodeBlock, ThinkingBlock, NoticeBlock.of])
def test_a_line_of_any_length_is_drawn_in_a_few_rows_that_say_how_much_is_missing(kind: type[Block], text: str) -> None:
    block = kind(text)  # type: ignore[call-arg]
    block.folded = False
    rows = block.draw(Pen(COLUMNS, theme.palette(theme.DARK)))
    assert len(rows) < 3 * LONGEST_LINE // COLUMNS
    assert "more" in rows[-1].text + rows[-2].text and "characters" in rows[-1].text
    assert len(block.text) == len(text)


def test_lines_of_a_usual_length_are_drawn_whole() -> None:
    rows = UserBlock("\n".join(["a" * 90] * 11)).draw(Pen(COLUMNS, theme.palette(theme.DARK)))
    assert "more characters" not in "".join(row.text for row in rows)
