"""Answers of the terminal, which come on the same wire as the keys."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_intern.config.environ import Environ
from ml_intern.frontends.tui.terminal.abilities import Abilities, best_way, questions
from ml_intern.frontends.tui.terminal.answers import (
    AMBIGUOUS_S,
    BROKEN_S,
    SILENT_S,
    AnswerFilter,
    Attributes,
    Background,
    CellPixels,
    KittyGraphics,
    Program,
)
from ml_intern.frontends.tui.terminal.asking import after_tmux

ANSWERS = (
    "\x1b_Gi=31;OK\x1b\\",
    "\x1bP>|kitty(0.42.1)\x1b\\",
    "\x1b[6;21;10t",
    "\x1b]11;rgb:1c1c/2020/ffff\x1b\\",
    "\x1b[?62;4;22c",
)
READ = [KittyGraphics(True), Program("kitty(0.42.1)"), CellPixels(10, 21), Background((28, 32, 255)), Attributes(frozenset({62, 4, 22}))]
TYPED = (
    "a",
    "é",
    "\r",
    "\x1b[A",
    "\x1bOP",
    "\x1b[6;5~",
    "\x1b[200~pasted \x1b[?1c text\x1b[201~",
    "\x1b[27u",
    "\x1b[<0;3;4M",
    "\x1b[?2026;2$y",
)


@given(st.lists(st.sampled_from(TYPED), max_size=4), st.lists(st.integers(0, 200), max_size=8))
def test_however_answers_are_split_they_are_read_and_keys_alone_go_through(typed: list[str], cuts: list[int]) -> None:
    keys = [*typed, *[""] * (len(ANSWERS) - len(typed))]
    wire = "".join(key + answer for key, answer in zip(keys, ANSWERS, strict=True))
    places = sorted({0, *(min(cut, len(wire)) for cut in cuts), len(wire)})
    answers = AnswerFilter()
    through = "".join(answers.feed(wire[start:end], 0.0) for start, end in pairwise(places))
    assert through == "".join(typed)
    assert answers.take() == READ
    assert answers.take() == []


@given(st.integers(1, len("".join(ANSWERS)) - 1))
def test_an_answer_whose_end_never_comes_is_no_key(length: int) -> None:
    answers = AnswerFilter()
    through = answers.feed("".join(ANSWERS)[:length], 0.0) + answers.late(BROKEN_S)
    assert through.strip("\x1b[]_P6") == ""  # two characters may be a key with Alt; what follows them never is one
    assert answers.feed("typed", BROKEN_S) == "typed"


@pytest.mark.parametrize("key", ["\x1b", "\x1b[", "\x1b_"])
def test_escape_is_a_key_when_nothing_follows_it(key: str) -> None:
    answers = AnswerFilter()
    assert answers.feed(key, 0.0) == ""
    assert answers.late(AMBIGUOUS_S / 2) == ""
    assert answers.late(AMBIGUOUS_S) == key
    assert answers.late(99.0) == ""


def test_nothing_is_held_back_once_all_is_answered() -> None:
    answers = AnswerFilter()
    assert answers.feed("\x1b[?62c", 0.0) == ""
    assert answers.feed("\x1b", 0.0) == "\x1b"
    assert answers.feed(ANSWERS[3], 0.0) == ANSWERS[3]


def test_what_is_pasted_is_no_answer_also_when_its_end_comes_in_two_pieces() -> None:
    answers = AnswerFilter()
    paste = "\x1b[200~" + "".join(ANSWERS) + "\x1b[201~"
    assert answers.feed(paste[:-3], 0.0) + answers.feed(paste[-3:], 0.0) == paste
    assert answers.take() == []
    assert answers.feed(ANSWERS[4], 0.0) == ""
    assert answers.take() == READ[4:]


def test_an_endless_answer_is_given_up() -> None:
    answers = AnswerFilter()
    assert len("".join(answers.feed(part, 0.0) for part in ("\x1b]11;" + "x" * 600, "x" * 600))) > 1_000


@pytest.mark.parametrize(
    ("said", "colour"),
    [("rgb:f/0/8", (255, 0, 136)), ("rgb:ff/00/80", (255, 0, 128)), ("rgba:ffff/0000/8080/ffff", (255, 0, 128)), ("grey", None)],
)
def test_colours_of_every_length_are_read(said: str, colour: tuple[int, int, int] | None) -> None:
    answers = AnswerFilter()
    answers.feed(f"\x1b]11;{said}\x07", 0.0)
    assert answers.take() == ([Background(colour)] if colour else [])


# ── what follows from them ───────────────────────────────────────────────────────────────────────────────────────────


def able(*answers: KittyGraphics | Program | Attributes) -> Abilities:
    abilities = Abilities()
    for answer in answers:
        abilities = abilities.after(answer)
    return abilities


SIXEL, KITTY, GRAPHICS = Attributes(frozenset({62, 4})), Program("kitty(0.42.1)"), KittyGraphics(True)


@pytest.mark.parametrize(
    ("wanted", "abilities", "colours", "way"),
    [
        ("auto", able(GRAPHICS, KITTY, SIXEL), "truecolor", "kitty"),
        ("auto", able(GRAPHICS, Program("ghostty 1.2"), SIXEL), "truecolor", "kitty"),
        ("auto", able(GRAPHICS, Program("WezTerm 2025"), SIXEL), "truecolor", "sixel"),
        ("auto", able(GRAPHICS, KITTY), "256", "blocks"),
        ("auto", able(), "256", "blocks"),
        ("auto", able(), "standard", "link"),
        ("auto", able(), None, "link"),
        ("auto", able(SIXEL), None, "link"),
        ("kitty", able(), "truecolor", "kitty"),
        ("kitty", able(), "256", "blocks"),
        ("sixel", able(), "256", "sixel"),
        ("blocks", able(SIXEL), "truecolor", "blocks"),
        ("link", able(SIXEL), "truecolor", "link"),
    ],
)
def test_the_best_way_that_the_terminal_can(wanted: str, abilities: Abilities, colours: str | None, way: str) -> None:
    assert best_way(wanted, abilities, colours) == way


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}, {}, {"TERM": "linux"}, {"TERM": "xterm", "NO_COLOR": "1"}])
def test_a_terminal_that_would_not_understand_is_asked_nothing(environ: dict[str, str]) -> None:
    assert questions(Environ(environ)) == ""


def test_a_multiplexer_is_not_sent_what_it_takes_for_a_title() -> None:
    assert "\x1b_G" in questions(Environ({"TERM": "xterm-256color"}))
    assert "\x1b_" not in questions(Environ({"TERM": "screen-256color", "TMUX": "/tmp/t,1,0"}))
    assert questions(Environ({"TERM": "tmux-256color"})).endswith("\x1b[c")


@pytest.mark.parametrize(
    ("said", "way"),
    [
        ("xterm-kitty 1\n", "kitty"),
        ("xterm-ghostty all", "kitty"),
        ("xterm-kitty 0", "blocks"),
        ("xterm-256color 1", "blocks"),
        ("", "blocks"),
    ],
)
def test_inside_tmux_kittys_pictures_go_through_only_where_it_lets_them(said: str, way: str) -> None:
    abilities = after_tmux(Abilities(), said)
    assert best_way("auto", abilities, "truecolor") == way
    assert abilities.multiplexed is (way == "kitty")


def test_a_terminal_that_never_answers_does_not_hold_back_escape_for_good() -> None:
    answers = AnswerFilter()
    assert answers.feed("", 0.0) == ""
    assert answers.feed("\x1b", 1.0) == ""  # it may still be the beginning of an answer
    assert answers.late(2.0) == "\x1b"
    assert answers.feed("\x1b", SILENT_S) == "\x1b"
    assert answers.feed("a\x1b[?62;4c\x1b", SILENT_S + 1) == "a\x1b"  # an answer that comes late is none of the keys
    assert answers.take() == [Attributes(frozenset({62, 4}))]
