"""One step of the cursor is one character, as a person sees it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_intern.frontends.tui.graphemes import end_after, start_before

FAMILY, FLAG, HAND, DIGIT = "👩‍👩‍👧", "🇩🇪", "👍🏽", "1️⃣"
ACCENT, NAMASTE, KSHI, HANGUL = "e\u0301", "न म स्ते".replace(" ", ""), "क्षि", "\u1112\u1161\u11ab"


@pytest.mark.parametrize("one", [FAMILY, FLAG, HAND, DIGIT, ACCENT, KSHI, HANGUL, "한", "x"])
def test_one_step_goes_over_the_whole_character_and_no_further(one: str) -> None:
    for text in (f"a{one}b", f"{one}{one}", f"ä{one}ö"):
        begin = text.index(one)
        assert end_after(text, begin) == begin + len(one)
        assert start_before(text, begin + len(one)) == begin


@pytest.mark.parametrize("many", [40, 41, 200])
def test_flags_in_a_row_are_taken_one_by_one(many: int) -> None:
    assert start_before(FLAG * many, 2 * many) == 2 * many - 2
    assert end_after(FLAG * many, 2 * many - 2) == 2 * many


def test_a_word_of_devanagari_has_the_characters_that_its_readers_count() -> None:
    assert [end_after(NAMASTE, place) for place in (0, 1, 2)] == [1, 2, 6]


@given(st.text("a🇩🇪👩\u200d\ufe0f\u0301कष\u094d\u093f\r\n한", max_size=80), st.integers(0, 80))
def test_every_step_moves_and_stays_in_the_text(text: str, place: int) -> None:
    place = min(place, len(text))
    assert start_before(text, place) < place or place == start_before(text, place) == 0
    assert place < end_after(text, place) <= len(text) or place == len(text)
