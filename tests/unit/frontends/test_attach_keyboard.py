"""The line that is typed into ``ml-intern attach``."""

from __future__ import annotations

import pytest

from ml_intern.frontends.attach.keyboard import LONGEST_LINE, Editor


class Typist:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.escapes = 0
        self.left = False

        self.about = ""
        self.takes = True
        self.told_full = 0

    def full(self) -> None:
        self.told_full += 1

    def key(self) -> None:
        pass

    def typed(self, text: str, about: str) -> bool:
        self.lines.append(text)
        return self.takes

    def decides(self, text: str, about: str) -> bool:
        return False

    def escape(self) -> None:
        self.escapes += 1

    def leave(self) -> None:
        self.left = True


def test_a_line_is_edited_with_the_usual_keys_and_ended_with_enter() -> None:
    typist = Typist()
    editor = Editor(typist)
    editor.feed("größer ".encode()[:4])
    editor.feed("größer ".encode()[4:] + b"batchx\x7f\x1b[D\x1b[D\x1b[3~\x1b[Hein \x1b[F!")
    assert editor.text == "ein größer bath!"
    editor.feed(b"\x17zwei\x01\x05\n")
    assert typist.lines == ["ein größer zwei"] and editor.text == ""
    editor.feed(b"\x1b")
    editor.feed(b"\x1b[99~\x1bOP\x1b[1;5D")
    assert (typist.escapes, editor.text, typist.left) == (1, "", False)
    editor.feed(b"\x04")
    assert typist.left


def test_what_is_pasted_is_one_message_and_sends_nothing_by_itself() -> None:
    typist = Typist()
    editor = Editor(typist)
    for part in (b"see: \x1b[200~one\rtwo\x1b[20", b"1~\x1b[200~", b"\nthree\x1b[201~"):
        editor.feed(part)
    assert typist.lines == [] and editor.text == "see: one\ntwo\nthree"
    editor.feed(b"\r")
    assert typist.lines == ["see: one\ntwo\nthree"]


def test_a_line_that_is_not_taken_stays() -> None:
    typist = Typist()
    typist.takes = False
    editor = Editor(typist)
    editor.feed(b"you should not\r")
    assert (typist.lines, editor.text, editor.place) == (["you should not"], "you should not", 14)


@pytest.mark.parametrize("pasted", [True, False])
def test_a_line_that_was_too_long_to_be_taken_whole_is_not_sent_until_it_is_made_shorter(pasted: bool) -> None:
    typist = Typist()
    editor = Editor(typist)
    long = b"x" * (LONGEST_LINE + 10)
    editor.feed(b"see ")
    for place in range(0, len(data := b"\x1b[200~" + long + b"\x1b[201~" if pasted else long), 1_000):
        editor.feed(data[place : place + 1_000])
    assert typist.told_full == 1, "once, not for each character"
    assert len(editor.text) == (4 if pasted else LONGEST_LINE)
    editor.feed(b"\r")
    assert (typist.lines, typist.told_full) == ([], 2)
    editor.feed(b"\x15short\r")
    assert (typist.lines, editor.text) == (["short"], "")


@pytest.mark.parametrize("cut", range(1, 6))
def test_a_paste_that_is_too_long_ends_where_it_ends_however_its_bytes_come(cut: int) -> None:
    editor = Editor(typist := Typist())
    end = b"\x1b[201~"
    for part in (b"\x1b[200~" + b"x" * LONGEST_LINE, b"x" * 100 + end[:cut], end[cut:] + b"\x15y\r"):
        editor.feed(part)
    assert typist.lines == ["y"]
