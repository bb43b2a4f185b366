"""Keys as terminals send them that do not speak the kitty protocol."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events

from ml_intern.frontends.tui.terminal.parser import KeyParser


def keys_of(*reads: str) -> list[str]:
    """What the parser makes of what was read at once, and again."""
    parser = KeyParser()
    found = [event for read in reads for event in parser.feed(read)]
    return [event.key if isinstance(event, events.Key) else event.text for event in found if isinstance(event, events.Key | events.Paste)]


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        ("\x1b\r", "alt+enter"),
        ("\x1b[27;3;13~", "alt+enter"),
        ("\x1b[27;2;13~", "shift+enter"),
        ("\r", "enter"),
        ("\x1b[13;3u", "alt+enter"),
    ],
)
def test_enter_with_alt_or_shift_is_that_key_in_every_terminal(sent: str, key: str) -> None:
    assert keys_of("a", sent, "b") == ["a", key, "b"]


def test_a_key_that_comes_in_two_pieces_is_one_key() -> None:
    assert keys_of("\x1b", "\r") == ["alt+enter"]


def test_what_is_pasted_is_no_key() -> None:
    assert keys_of("\x1b[200~one\r\rtwo\r\x1b[201~", "\x1b\r") == ["one\r\rtwo\r", "alt+enter"]


def test_a_paste_that_holds_controls_is_one_paste_without_them() -> None:
    assert keys_of("\x1b[200~a\x1b\rb\x1b[201~") == ["a\rb"]
    assert keys_of("\x1b[200~hello red\x1b[31m text\x1b\r\tsecond line\x00\x07\x9b\x7f\x1b[201~", "x") == [
        "hello red[31m text\r\tsecond line",
        "x",
    ]


@given(st.lists(st.integers(0, 60), max_size=12))
def test_however_a_paste_is_split_over_reads_it_is_the_same(cuts: list[int]) -> None:
    wire = "a\x1b\r\x1b[200~one\x1b[31m\x1b\r\x1b[20two\x1b\x1b[201~b\x1b[200~three\x1b[201~\x1b\r"
    places = sorted({0, *(min(cut, len(wire)) for cut in cuts), len(wire)})
    assert keys_of(*(wire[start:end] for start, end in pairwise(places))) == [
        "a", "alt+enter", "one[31m\r[20two", "b", "three", "alt+enter",
    ]  # fmt: skip


def test_escape_and_after_a_pause_enter_are_two_keys() -> None:
    parser = KeyParser()
    found = [*parser.feed("\x1b")]
    parser._timeout_time = 0.0  # pyright: ignore[reportPrivateUsage]  # long ago
    found += [*parser.tick(), *parser.feed("\r")]
    assert [event.key for event in found if isinstance(event, events.Key)] == ["escape", "enter"]
