"""Streamed Markdown is cut into blocks, the same ones however it arrives."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_intern.frontends.headless.markdown import CODE_PIECE_LINES, Block, MarkdownBlocks, MarkdownRenderer
from ml_intern.frontends.headless.text import clip, line, width, wrap

_TEXT = st.lists(
    st.sampled_from(
        ["word", "two words", "", "", "- item", "  inside", "1. one", "```", "```python", "~~~", "  ```", "| a | b |", "# Head", "    code"]
    ),
    max_size=25,
).map("\n".join)


def blocks_of(*pieces: str) -> list[Block]:
    blocks = MarkdownBlocks()
    found = [block for piece in pieces for block in blocks.feed(piece)]
    return [*found, *blocks.finish()]


@given(_TEXT, st.lists(st.integers(0, 200)))
def test_the_blocks_do_not_depend_on_how_the_text_arrives(text: str, cuts: list[int]) -> None:
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    pieces = [text[a:b] for a, b in pairwise(places)]
    assert blocks_of(*pieces) == blocks_of(text)


@given(_TEXT)
def test_no_line_of_text_is_lost(text: str) -> None:
    shown = [row for block in blocks_of(text) for row in block.text.split("\n") if row.strip()]
    fences = re.compile(r" *(```|~~~)")
    assert [row for row in shown if not fences.match(row)] == [row for row in text.split("\n") if row.strip() and not fences.match(row)]


def test_a_paragraph_is_finished_by_a_blank_line_and_another_line() -> None:
    blocks = MarkdownBlocks()
    assert blocks.feed("one\ntwo\n\n") == []
    assert blocks.feed("three") == []
    assert blocks.feed("\n") == [Block("one\ntwo")]
    assert blocks.finish() == [Block("three")]


def test_an_indented_line_still_belongs_to_its_list() -> None:
    assert blocks_of("- a\n\n  more of a\n\nafter\n") == [Block("- a\n\n  more of a"), Block("after")]


def test_a_fence_inside_a_list_item_stays_with_its_list() -> None:
    text = "1. run\n\n   ```sh\n   ls\n\n   pwd\n   ```\n2. look"
    assert blocks_of(text) == [Block(text)]


def test_blank_lines_inside_code_do_not_end_it() -> None:
    assert blocks_of("```python\na\n\nb\n```\nafter") == [Block("a\n\nb", True, "python"), Block("after")]


def test_a_shorter_fence_does_not_close_a_longer_one() -> None:
    assert blocks_of("````\n```\n````\n") == [Block("```", True)]


def test_long_code_is_shown_while_it_comes() -> None:
    blocks = MarkdownBlocks()
    found = blocks.feed("```\n" + "x\n" * (CODE_PIECE_LINES * 2 + 1))
    assert [(len(block.text.split("\n")), block.continued) for block in found] == [(CODE_PIECE_LINES, False), (CODE_PIECE_LINES, True)]
    assert blocks.pending(5) == ["x"]


def test_an_unclosed_fence_is_shown_at_the_end() -> None:
    assert blocks_of("```py\nx = 1") == [Block("x = 1", True, "py")]


def test_one_giant_line_is_not_scanned_again_for_each_piece() -> None:
    class Counted(str):
        scans = 0

        def split(self, *args: object, **kwargs: object) -> list[str]:  # type: ignore[override]
            Counted.scans += len(self)
            return super().split(*args, **kwargs)  # type: ignore[arg-type]

    blocks = MarkdownBlocks()
    for _ in range(10_000):
        blocks.feed(Counted("piece "))
    assert Counted.scans == 60_000


def rendered(text: str, columns: int = 60, *, color: bool = False) -> str:
    renderer = MarkdownRenderer(color=color)
    return "".join(renderer.render(block, columns) for block in blocks_of(text))


def bare(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_markdown_is_drawn() -> None:
    text = bare(rendered("# Head\n\n**bold** and `code`\n\n- item\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"))
    assert "Head\nbold and code\n • item\n a  b\n" in re.sub(r" +\n", "\n", text).replace(" a   b", " a  b")


@pytest.mark.parametrize("text", ["[/INST]", "[red]x[/red]", "[link=x]", "a [bold", ":smile:", "<script>x</script>"])
def test_markup_in_a_reply_is_only_text(text: str) -> None:
    assert bare(rendered(text)).strip() == text


def test_control_sequences_in_a_reply_are_dropped_also_when_they_came_in_pieces() -> None:
    renderer = MarkdownRenderer(color=False)
    blocks = MarkdownBlocks()
    for piece in ("a \x1b", "]0;ti", "tle\x07 b\n\n", "```\n\x1b[2", "Jx\n```\n"):
        blocks.feed(piece)
    again = blocks_of("a \x1b]0;title\x07 b\n\n```\n\x1b[2Jx\n```\n")
    assert [bare(renderer.render(block, 60)).strip() for block in again] == ["a  b", "x"]


def test_links_show_where_they_lead() -> None:
    assert "https://evil.example" in bare(rendered("[https://good.example](https://evil.example)"))
    assert "\x1b]8" not in rendered("[a](https://b.example)", color=True)


def test_without_colour_there_is_none() -> None:
    assert not re.search(r"\x1b\[[0-9;]*(3|4|9|10)[0-9]", rendered("# Head\n\n```python\ndef f(): pass\n```\n"))
    assert re.search(r"\x1b\[[0-9;]*[39][0-9]", rendered("```python\ndef f(): pass\n```\n", color=True))


# ── cells ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.text(max_size=60), st.integers(1, 30))
def test_a_clipped_line_fits(text: str, cells: int) -> None:
    clipped = clip(line(("tool", "▸ bash"), f"  {text}", ("dim", "  1.2 s")), cells)
    assert sum(width(part) for _, part in clipped) <= cells


def test_clipping_keeps_the_time_at_the_end() -> None:
    clipped = clip(line(("tool", "▸ bash"), "  " + "x" * 100, ("dim", "  1.2 s")), 30)
    assert clipped[-1] == ("dim", "  1.2 s")


def test_a_line_that_fits_is_left_alone() -> None:
    row = line("日本", ("dim", " ok"))
    assert clip(row, 7) == row
    assert "".join(text for _, text in clip(row, 6)) == "日… ok"


@given(st.text(alphabet=st.sampled_from("ab 日é\u0301"), max_size=80), st.integers(2, 20))
def test_wrapped_rows_fit_and_hold_all_of_the_text(text: str, cells: int) -> None:
    rows = wrap(text, cells)
    assert all(width(row) <= cells for row in rows)
    assert "".join(rows).replace(" ", "") == text.replace(" ", "")
