"""The line that is typed into ``ml-intern attach``."""

from __future__ import annotations

from ml_intern.frontends.attach.keyboard import Editor


class Typist:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.escapes = 0
        self.left = False

        self.about = ""
        self.takes = True

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
