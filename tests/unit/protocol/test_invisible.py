"""What nobody sees is shown to whoever judges it, and nothing is left out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_intern.protocol import events as e
from ml_intern.protocol.display import Text
from ml_intern.protocol.invisible import count, marked, marks, seen
from ml_intern.protocol.shown_call import shown_call, warning


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\nand more", "plain\ttext\nand more"),
        ("echo hello \x1b]; rm -rf ~/data; echo \x07", "echo hello ␛]; rm -rf ~/data; echo ␇"),
        ("echo hi \x9d && rm", "echo hi <U+009D> && rm"),
        ("a\r\nb\x7f", "a␍\nb␡"),
        ("x\u202ey\u2066z", "x<U+202E>y<U+2066>z"),
        ("l\u200bs\u2060\u2064\ufeff\u00ad", "l<U+200B>s<U+2060><U+2064><U+FEFF><U+00AD>"),
        ("\u3164\u115f\uffa0\u2800", "<U+3164><U+115F><U+FFA0><U+2800>"),
        ("a\ufe0f\ufe00\U000e0101", "a<U+FE0F><U+FE00><U+E0101>"),
        ("x\U000e0041\U000e007f", "x<U+E0041><U+E007F>"),
        ("ls\u00a0-la\u2003x\u2028y", "ls<U+00A0>-la<U+2003>x<U+2028>y"),
        ("a\u200db", "a<U+200D>b"),
        ("é 日本 مرحبا 👩\u200d👩\u200d👧 ❤\ufe0f 👍🏽", "é 日本 مرحبا 👩\u200d👩\u200d👧 ❤\ufe0f 👍🏽"),
    ],
)
def test_every_character_that_cannot_be_seen_is_shown_by_its_name(text: str, shown: str) -> None:
    assert marked(text) == shown


@given(st.text())
def test_nothing_of_the_text_is_lost(text: str) -> None:
    shown = marked(text)
    assert count(shown) == 0
    assert count(text) <= len(marks(shown))
    assert marked(seen(text)) == seen(text)
    assert [c for c in seen(text) if c not in shown] == []


def test_a_call_is_marked_in_all_that_it_shows_and_counted_in_what_will_run() -> None:
    tool = e.PendingTool(
        tool="ba\u200bsh",
        tool_call_id="1",
        arguments={"command": "a\u202eb", "list": ["\x1b", {"k\u200b": "v"}]},
        reason="re\u2060ason",
        display=(Text(text="a\u202eb", language="bash"),),
    )
    shown = shown_call(tool)
    assert (shown.tool, shown.reason) == ("ba<U+200B>sh", "re<U+2060>ason")
    assert shown.arguments == {"command": "a<U+202E>b", "list": ["␛", {"k<U+200B>": "v"}]}
    assert shown.display == (Text(text="a<U+202E>b", language="bash"),)
    assert warning(tool).startswith("3 invisible characters are shown as ")
    assert warning(e.PendingTool(tool="bash", tool_call_id="1", arguments={"command": "ls"})) == ""
