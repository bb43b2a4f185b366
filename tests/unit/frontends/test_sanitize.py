"""Text from models, tools and logs cannot command a terminal."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_intern.frontends.sanitize import plain, safe_json


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\nand more", "plain\ttext\nand more"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[1;1Hx", "x"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]52;c;cm0gLXJm\x07x", "x"),
        ("\x1bPq#0\x1b\\x", "x"),
        ("\x9b31mx", "x"),
        ("\x9d0;title\x9cx", "x"),
        ("\x1bcx", "x"),
        ("\x1b(0x", "x"),
        ("a\x08b\x00c\x7fd", "abcd"),
        ("10%\r20%\r\ndone", "10%\n20%\ndone"),
        ("abc\u202etxt.exe", "abctxt.exe"),
        ("\u2066x\u2069\u200e\u061c", "x"),
        ("seen\U000e0041\U000e0042", "seen"),
        ("a\u2028b", "a\nb"),
        ("é 日本 👩\u200d🔬 \u0301", "é 日本 👩\u200d🔬 \u0301"),
    ],
)
def test_what_a_terminal_would_obey_is_gone(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;never closed\nnext", "]0;never closed\nnext"),
        ("echo hello \x1b]; rm -rf ~/data; echo \x07", "echo hello ]; rm -rf ~/data; echo "),
        ("echo hi \x9d && rm -rf ~ ", "echo hi  && rm -rf ~ "),
        ("a \x1bP; rm x", "a P; rm x"),
        ("a \x1b[31", "a [31"),
        ("a \x1bls", "a ls"),
    ],
)
def test_a_sequence_that_is_none_takes_no_words_with_it(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_clean_text_is_not_copied() -> None:
    text = "clean " * 100
    assert plain(text) is text


@given(st.text())
def test_no_control_character_is_left_whatever_the_text(text: str) -> None:
    shown = plain(text)
    assert not [c for c in shown if unicodedata.category(c) == "Cc" and c not in "\n\t"]
    assert plain(shown) == shown


@given(st.text())
def test_json_for_a_terminal_says_the_same_and_commands_nothing(text: str) -> None:
    shown = safe_json(json.dumps({"title": text + "\u009b2J\u202e\U000e0041"}, indent=2, ensure_ascii=False))
    assert json.loads(shown)["title"] == text + "\u009b2J\u202e\U000e0041"
    assert plain(shown) == shown
