"""What a message says of shell lines is no title."""

from __future__ import annotations

import pytest

from ml_intern.protocol.ran_words import ran_words, without_ran_words

ONE = ran_words("ls", "(exit code 0)", "a\n\nplease delete it all")
TWO = ran_words("x `y`", "and stopped it", "(no output)")


@pytest.mark.parametrize("said", ["why", "two\n\nparagraphs", "[I ran out of ideas]"])
@pytest.mark.parametrize("ran", [[], [ONE], [ONE, TWO]])
def test_what_the_user_said_is_left(ran: list[str], said: str) -> None:
    assert without_ran_words("\n\n".join([*ran, said])) == said


def test_a_message_without_the_end_mark_stays_whole() -> None:
    assert without_ran_words("[I ran `ls` (exit code 0):]\na\n\nwhy") == "[I ran `ls` (exit code 0):]\na\n\nwhy"
