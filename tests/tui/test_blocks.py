"""Blocks on their own: what they draw at a width, whatever text they are given."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from ml_intern.frontends.tui import theme
from ml_intern.frontends.tui.blocks.base import Block
from ml_intern.frontends.tui.blocks.job import Job, JobBlock
from ml_intern.frontends.tui.blocks.pen import Pen
from ml_intern.frontends.tui.blocks.tool import OUTPUT_CHARS, OUTPUT_ROWS, ToolBlock
from ml_intern.frontends.tui.blocks.words import CodeBlock, MarkdownBlock, NoticeBlock, ThinkingBlock, UserBlock
from ml_intern.frontends.tui.cells import even, wrapped
from ml_intern.protocol import display as d
from ml_intern.protocol import events as e
from ml_intern.protocol.resource_events import HfJobSubmit


def pen(columns: int = 60, *, now: float = 0.0) -> Pen:
    return Pen(columns, theme.palette(theme.DARK), now=now)


def rows(block: Block, columns: int = 60, *, now: float = 0.0) -> list[str]:
    return [strip.text for strip in block.draw(pen(columns, now=now))]


def call(**arguments: object) -> ToolBlock:
    return ToolBlock("bash", dict(arguments), started_at=None)


def answer(output: str = "", *, success: bool = True, display: tuple[d.Display, ...] = (), **more: object) -> e.ToolFinished:
    return e.ToolFinished(tool="bash", tool_call_id="1", output=output, success=success, display=display, **more)  # type: ignore[arg-type]


def test_a_card_of_a_call_that_a_hook_changed_shows_what_ran_and_says_so() -> None:
    tool = call(command="echo harmless")
    tool.change_state("changed", "changed by a hook", arguments={"command": "touch other"}, job_url="")
    tool.change_state("waits for you", "", arguments=None, job_url="")
    (row,) = rows(tool)
    assert "touch other" in row and "waits for you · changed by a hook" in row
    tool.finish(answer())
    (row,) = rows(tool)
    assert "touch other" in row and "changed by a hook" in row and "harmless" not in row


@pytest.mark.parametrize("name", [theme.DARK, theme.LIGHT, theme.ANSI])
def test_code_has_the_background_of_the_theme_in_its_whole_width_and_none_behind_its_characters(name: str) -> None:
    for block in (CodeBlock("def f():\n    return 1", "python"), CodeBlock("words"), MarkdownBlock("- a\n\n  ```python\n  x = 1\n  ```")):
        parts = [part for row in block.draw(Pen(30, theme.palette(name))) for part in row]
        assert all(part.style is None or part.style.bgcolor is None for part in parts)


# ── any text ─────────────────────────────────────────────────────────────────────────────────────────────────────────

ODD = [
    "日本語のテキスト",
    "שלום עולם",
    "👨‍👩‍👧 family",
    "❤️ heart",
    "👍🏽 thumb",
    "🇩🇪 flag",
    "e\u0301 accents",
    "\x1b[31mred\x1b[0m",
    "[bold]markup[/bold]",
    "a\tb",
]
TEXTS = st.lists(st.one_of(st.sampled_from(ODD), st.text(max_size=30)), max_size=6).map(" ".join)


@given(TEXTS, st.integers(12, 40))
def test_no_row_is_wider_than_its_columns_whatever_the_text(text: str, columns: int) -> None:
    tool = call(command=text)
    tool.finish(answer(text, success=False, display=(d.Text(text), d.Table("t", (text, "b"), ((text, text),)), d.Link(text, text))))
    tool.folded = False
    for block in (UserBlock(text), MarkdownBlock(text), CodeBlock(text, "python"), NoticeBlock.of(text), ThinkingBlock(text), tool):
        for strip in block.draw(pen(columns)):
            assert strip.cell_length <= columns, (block, strip.text)
            assert "\x1b" not in strip.text


@given(TEXTS, st.integers(2, 30))
def test_wrapping_loses_nothing_but_the_spaces_it_breaks_at(text: str, cells: int) -> None:
    shown = wrapped(text, cells)
    assert all(cell_len(row) <= cells for row in shown)
    assert "".join("".join(shown).split()) == "".join(even(text).split())


def test_an_emoji_that_terminals_draw_in_two_widths_is_drawn_as_its_plain_parts() -> None:
    assert even("👨‍👩‍👧 ❤️ 👍🏽") == "👨👩👧 ❤ 👍"


def test_markup_and_control_sequences_of_others_are_shown_as_text() -> None:
    assert rows(NoticeBlock.of("[red]x[/red]\x1b]0;title\x07")) == ["[red]x[/red]"]
    assert rows(MarkdownBlock("<b>x</b> \x1b[31my")) == ["<b>x</b> y"]


# ── links ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _links(block: Block, columns: int = 60) -> set[str]:
    drawn = block.draw(pen(columns))
    return {segment.style.link for strip in drawn for segment in strip if segment.style is not None and segment.style.link}


def test_a_link_of_the_web_can_be_opened_and_says_where_it_leads() -> None:
    block = MarkdownBlock("See [the docs](https://example.com/a).")
    assert _links(block) == {"https://example.com/a"}
    assert rows(block) == ["See the docs (https://example.com/a)."]


@pytest.mark.parametrize("address", ["file:///etc/passwd", "javascript:alert(1)", "vscode://open"])
def test_a_link_that_leads_elsewhere_than_to_the_web_is_text(address: str) -> None:
    assert _links(MarkdownBlock(f"[x]({address})")) == set()
    tool = call()
    tool.finish(answer(display=(d.Link("x", address),)))
    assert _links(tool) == set()


# ── replies ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_tasks_of_a_list_are_boxes_and_brackets_elsewhere_stay() -> None:
    assert rows(MarkdownBlock("- [ ] load\n- [X] **train**")) == [" • ☐ load", " • ☑ train"]
    assert rows(MarkdownBlock("- [y] load\n\n[ ] train")) == [" • [y] load", "", "[ ] train"]


def test_copying_a_part_of_long_code_gives_all_of_it() -> None:
    first = CodeBlock("a = 1", "python")
    second = CodeBlock("b = 2", "python", before=first)
    assert first.text == second.text == "a = 1\nb = 2"


def test_code_keeps_its_empty_rows_and_its_indent() -> None:
    assert rows(CodeBlock("def f():\n\n    return 1", "python")) == ["│ def f():", "│ ", "│     return 1"]


def test_a_long_message_of_the_user_is_folded() -> None:
    block = UserBlock("\n".join(f"line {i}" for i in range(40)))
    assert len(rows(block)) == 12
    assert rows(block)[-1] == "  … 29 more rows: Ctrl-O or a click"
    block.folded = False
    assert len(rows(block)) == 40


def test_thinking_is_one_row_until_it_is_unfolded() -> None:
    block = ThinkingBlock("first this\nthen that")
    assert rows(block) == ["✻ thought · 4 words"]
    block.folded = False
    assert rows(block) == ["✻ thought · 4 words", "  first this", "  then that"]


# ── calls ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_running_call_shows_its_time_and_the_last_of_what_it_printed() -> None:
    block = ToolBlock("bash", {"command": "make"}, started_at=10.0)
    block.log("".join(f"step {i}\n" for i in range(9)))
    head, *tail = rows(block, now=75.0)
    assert head.startswith("● bash  make")
    assert head.endswith("1:05")
    assert tail == ["  │ step 5", "  │ step 6", "  │ step 7", "  │ step 8"]


def test_a_progress_bar_shows_its_newest_state_only() -> None:
    block = ToolBlock("bash", {"command": "train"}, started_at=0.0)
    block.log("start\n 10%|#\r 50%|#####\r100%|##########\n")
    assert rows(block)[1:] == ["  │ start", "  │ 100%|##########"]


def test_a_good_call_is_one_row_and_unfolds_to_its_arguments_and_its_output() -> None:
    block = call(command="ls", timeout=30)
    block.finish(answer("a.py\nb.py\nExit code: 0", duration_s=1.25))
    assert len(rows(block)) == 1
    assert rows(block)[0].startswith("✓ bash  ls")
    assert rows(block)[0].endswith("1.2 s")
    block.folded = False
    assert rows(block)[1:] == ["  command: ls", "  timeout: 30", "  ────────────────────", "  a.py", "  b.py", "  Exit code: 0"]


def test_an_unfolded_call_hides_no_character_of_its_arguments() -> None:
    block = call(command="echo \x1b[2K\u202ehere")
    block.finish(answer())
    block.folded = False
    assert any("echo ␛[2K<U+202E>here" in row for row in rows(block))


def test_a_failed_call_shows_why_without_being_unfolded() -> None:
    block = call(command="false")
    block.finish(answer("boom\nExit code: 3", success=False, error_kind="exit_code"))
    assert rows(block)[0].startswith("✗ bash  false")
    assert rows(block)[0].rstrip().endswith("exit code")
    assert rows(block)[1:] == ["  │ boom", "  │ Exit code: 3"]


def test_ten_megabytes_of_output_are_bounded_when_kept_and_when_drawn() -> None:
    block = call(command="yes")
    block.finish(answer("y" * 99 + "\n" + "0123456789\n" * 1_000_000))
    assert len(block.text) < OUTPUT_CHARS + 100
    block.folded = False
    assert len(rows(block)) < OUTPUT_ROWS + 10
    block.log("z" * 10_000_000)
    assert len(block.text) < OUTPUT_CHARS + 100


# ── what tools show ──────────────────────────────────────────────────────────────────────────────────────────────────


def shown(*display: d.Display, columns: int = 60, folded: bool = True) -> list[str]:
    block = call()
    block.finish(answer("done", display=display))
    block.folded = folded
    return [row.removeprefix("  ") for row in rows(block, columns)[1:]]


def test_a_diff_is_numbered_as_the_file_is() -> None:
    unified = "--- a/x.py\n+++ b/x.py\n@@ -10,3 +10,3 @@\n same\n-old\n+new\n"
    assert shown(d.Diff("x.py", unified, 1, 1)) == ["x.py  +1 −1", "@@ -10,3 +10,3 @@", "   10  same", "   11 -old", "   11 +new"]


@pytest.mark.parametrize("language", ["", "text", "python"])
def test_the_end_of_a_last_line_is_no_row(language: str) -> None:
    assert [row.strip() for row in shown(d.Text("one\ntwo\n", language=language))] == ["one", "two"]


def test_a_long_diff_says_how_much_more_there_is() -> None:
    unified = "@@ -0,0 +1,50 @@\n" + "".join(f"+line {i}\n" for i in range(50))
    assert shown(d.Diff("x.py", unified, 50, 0))[-1] == "… 40 more rows: Ctrl-O or a click"
    assert len(shown(d.Diff("x.py", unified, 50, 0), folded=False)) > 52


def test_a_table_keeps_its_columns_aligned_where_it_must_be_cut() -> None:
    table = d.Table("models", ("name", "downloads"), (("a" * 80, "12"), ("日本", "7")))
    assert shown(table, columns=32) == ["models", "name                 downloads", "aaaaaaaaaaaaaaaaaa…  12", "日本                 7"]


def test_a_job_and_a_link_can_be_opened() -> None:
    block = call()
    block.finish(
        answer(display=(d.Job("job-1", "running", "train.py", "https://hub.example/jobs/1"), d.Link("card", "https://hub.example/m")))
    )
    assert block.links == ["https://hub.example/jobs/1", "https://hub.example/m"]


def test_a_plan_that_the_conversation_shows_is_not_shown_twice() -> None:
    block = call()
    block.finish(answer(display=(d.Plan((d.PlanItem("1", "look", "pending"),)),)))
    assert block.hidden


def test_a_picture_that_cannot_be_drawn_is_a_link_to_its_file() -> None:
    pen = Pen(80, theme.palette(theme.DARK))
    links = {part.style.link for part in pen.file("picture", "a plot\x1b.jpg", "/tmp/a plot\x1b.jpg") if part.style is not None}
    assert links == {"file:///tmp/a%20plot%1B.jpg"}
    assert "\x1b" not in pen.file("picture", "a plot\x1b.jpg", "/tmp/a plot\x1b.jpg").text
    assert {part.style.link for part in pen.file("picture", "plot.jpg", "plot.jpg") if part.style is not None} == {None}


def test_the_address_of_a_job_is_whole_on_a_narrow_screen_and_one_link() -> None:
    url = "https://huggingface.co/jobs/an-organisation/6920f1c2d4e5a6b7c8d9e0f1"
    job = HfJobSubmit(
        job_id="6920f1c2", job_url=url, flavor="t4-small", timeout="1h", job_type="run", image="python", namespace="me", push_to_hub=False
    )
    block = JobBlock(Job(job, started_at=None))
    assert "".join(row.strip() for row in rows(block, 40)[1:]) == url
    assert _links(block, 40) == {url}
