"""A link that is still being written."""

from __future__ import annotations

import pytest

from ml_intern.frontends.headless.markdown import Block
from ml_intern.frontends.tui.blocks.pen import Pen
from ml_intern.frontends.tui.blocks.words import OpenBlock
from ml_intern.frontends.tui.theme import palette


def drawn(text: str) -> str:
    return "\n".join(row.text.rstrip() for row in OpenBlock(lambda: Block(text, False, "", False)).draw(Pen(80, palette(""))))


@pytest.mark.parametrize("half", ["[", "[the pa", "[the page]", "[the page](https:/", "![plot](a.p"])
def test_half_a_link_at_the_end_of_what_streams_is_not_shown_as_it_is_written(half: str) -> None:
    assert drawn(f"See {half}") in ("See", "See [")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("See [the page](https://hub.example) and", "the page"),
        ("It is [1] and goes on", "[1] and goes on"),
        ("`a[0", "a[0"),
        (f"See [{'x' * 300}", "xxx"),
        (f"See [it](https://{'y' * 3_000}", "yyy"),
    ],
)
def test_what_is_no_link_or_a_very_long_one_is_shown_as_it_comes(text: str, shown: str) -> None:
    assert shown in drawn(text)
