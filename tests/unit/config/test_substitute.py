from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ml_intern.config.environ import Environ
from ml_intern.config.substitute import Substitution


def substituted(value: str, **variables: str) -> object:
    return Substitution(Environ(variables), lambda _: "file").apply({"key": value})["key"]


def test_a_default_stands_in_for_an_unset_or_empty_variable() -> None:
    assert substituted("${A:-x}") == "x"
    assert substituted("${A:-x}", A="") == "x"
    assert substituted("${A:-x}", A="y") == "y"


def test_a_default_may_be_empty_or_hold_colons_and_dashes() -> None:
    assert substituted("${A:-}") == ""
    assert substituted("${A:-http://h:1/-x}") == "http://h:1/-x"


def test_a_doubled_dollar_keeps_the_characters() -> None:
    assert substituted("bash(echo $${HOME})", HOME="/h") == "bash(echo ${HOME})"


def test_lists_and_nested_objects_are_reached() -> None:
    data = {"a": [{"b": "${X}"}, "${X}${X}"], "c": 3}
    done = Substitution(Environ({"X": "1"}), lambda _: "file").apply(data)  # pyright: ignore[reportArgumentType]
    assert done == {"a": [{"b": "1"}, "11"], "c": 3}
    assert data["a"] == [{"b": "${X}"}, "${X}${X}"]


def test_a_substituted_value_is_not_looked_at_again() -> None:
    assert substituted("${A}", A="${B}", B="secret") == "${B}"


@given(st.text().filter(lambda text: "${" not in text))
def test_text_without_references_is_unchanged(text: str) -> None:
    assert substituted(text) == text
