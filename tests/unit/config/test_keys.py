"""Keys of one's own are checked where they are written."""

from __future__ import annotations

import pytest
from textual.binding import Binding
from textual.keys import Keys, _character_to_key  # pyright: ignore[reportPrivateUsage]  # how it names what is written

from ml_intern.config.keys import DEFAULT_KEYS, NAMED, SIGNS
from ml_intern.config.settings import SettingError, Settings
from ml_intern.frontends.tui.app import TuiApp
from ml_intern.frontends.tui.cards.approval import ApprovalCard
from ml_intern.frontends.tui.composer.composer import Composer


def test_what_no_key_does_is_refused_with_what_there_is() -> None:
    with pytest.raises(SettingError, match="interrupt, stop"):
        Settings(keys={"fly": "f9"})


def test_an_empty_key_is_refused() -> None:
    with pytest.raises(SettingError, match="is empty"):
        Settings(keys={"stop": " "})


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"leave": "ctrl+c"}, "is ctrl\\+c, and so is keys.stop, .*give keys.stop another"),
        ({"fold": "f9", "cards": "f5, f9"}, "is f9, and so is keys.cards"),
        ({"approve": "n"}, "so is keys.reject"),
        ({"newline": "ctrl+o"}, "so is keys.fold"),
        ({"fold": "c-q"}, "'c-q', which is no key that is known"),
        ({"fold": "Ctrl+q"}, "which is no key that is known"),
        ({"fold": "ctrl+Q"}, "write ctrl\\+q"),
        ({"fold": "shift+ctrl+q"}, "write ctrl\\+shift\\+q"),
        ({"approve": "?"}, "write question_mark"),
        ({"approve": "shift+y"}, "Y"),
        ({"fold": "f5,"}, "names '', which is no key"),
        ({"fold": "o"}, "that is written"),
        ({"queue": "enter"}, "that sends"),
        ({"edit_others": "o"}, "that is written"),
        ({"editor": "ctrl+s"}, "approves what was edited"),
        ({"approve": "ctrl+s"}, "approves what was edited"),
        ({"approve": "ctrl+g"}, "so is keys.editor"),
        ({"editor": "f5", "approve": "f5"}, "so is keys"),
        ({"approve": "enter"}, "asked once more"),
        ({"fold": "ctrl+i"}, "terminals send tab"),
    ],
)
def test_a_key_that_would_not_do_what_is_meant_is_refused_with_a_reason(keys: dict[str, str], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        Settings(keys=keys)


@pytest.mark.parametrize(
    "keys",
    [
        {"interrupt": "ctrl+x"},
        {"stop": "ctrl+x", "leave": "ctrl+c"},
        {"fold": "ctrl+r", "search_history": "ctrl+o"},
        {"fold": "f5, ctrl+x"},
        {"approve": "Y", "reject": "question_mark,space"},
        {"approve": "ctrl+r"},
        {"editor": "f5", "approve": "ctrl+g"},
        dict(DEFAULT_KEYS),
    ],
)
def test_keys_that_are_one_another_s_no_more_are_taken(keys: dict[str, str]) -> None:
    assert Settings(keys=keys).keys == keys


def test_the_names_of_keys_are_textuals_own() -> None:
    textuals = {_character_to_key(chr(code)) for code in range(33, 127) if not chr(code).isalnum()} | {key.value for key in Keys}
    assert textuals >= NAMED
    assert all(_character_to_key(sign) == name for sign, name in SIGNS.items())


def test_every_name_is_that_of_a_binding() -> None:
    bound = {item.id for kind in (TuiApp, Composer, ApprovalCard) for item in kind.BINDINGS if isinstance(item, Binding) and item.id}
    assert bound == set(DEFAULT_KEYS)
