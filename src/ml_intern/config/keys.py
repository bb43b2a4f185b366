"""The keys of the terminal app that a user may change: what each does, by name, and the key it has unless the settings say otherwise.

Keys have the names that Textual gives them; this file knows them by itself, for the settings are read without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from types import MappingProxyType

from ml_intern.config.section import SettingError

DEFAULT_KEYS: Mapping[str, str] = MappingProxyType({
    "interrupt": "escape",
    "stop": "ctrl+c",
    "leave": "ctrl+d",
    "suspend": "ctrl+z",
    "cards": "f2",
    "page_up": "pageup",
    "page_down": "pagedown",
    "to_end": "end,ctrl+end",
    "fold": "ctrl+o",
    "newline": "shift+enter,ctrl+j",
    "queue": "alt+enter",
    "search_history": "ctrl+r",
    "editor": "ctrl+g",
    "undo": "ctrl+underscore,ctrl+shift+minus",
    "approve": "y",
    "reject": "n",
    "edit": "e",
    "edit_others": "ctrl+t",
    "always_session": "s",
    "always_project": "p",
    "approve_all": "a",
    "approve_rest": "A",
})  # fmt: skip
"""Several keys are separated by commas."""

IN_COMPOSER = frozenset({"newline", "queue", "search_history", "editor", "undo"})
IN_CARDS_TOO = frozenset({"editor"})
"""What is edited in a card is edited outside by the same key."""
IN_CARDS = frozenset({"approve", "reject", "edit", "edit_others", "always_session", "always_project", "approve_all", "approve_rest"})
"""All others are everywhere."""

FIXED_IN_CARDS: Mapping[str, str] = MappingProxyType({
    "enter": "says yes to what is asked once more",
    "escape": "goes back to the composer",
    "tab": "goes to the next card",
    "up": "scrolls",
    "down": "scrolls",
    "ctrl+s": "approves what was edited in a card",
})  # fmt: skip
FIXED_ELSEWHERE: Mapping[str, str] = MappingProxyType({
    "enter": "sends",
    "tab": "takes a suggestion, and goes on to the next part",
    "up": "moves in the text and in the history",
    "down": "moves in the text and in the history",
    "left": "moves in the text",
    "right": "moves in the text",
    "backspace": "deletes",
    "delete": "deletes",
    "ctrl+s": "approves what was edited in a card",
})  # fmt: skip

MODIFIERS = ("alt", "ctrl", "hyper", "meta", "shift", "super")
"""In the order in which they stand before a key."""
SIGNS: Mapping[str, str] = MappingProxyType({
    "!": "exclamation_mark", '"': "quotation_mark", "#": "number_sign", "$": "dollar_sign", "%": "percent_sign", "&": "ampersand",
    "'": "apostrophe", "(": "left_parenthesis", ")": "right_parenthesis", "*": "asterisk", ".": "full_stop", "/": "slash", ":": "colon",
    ";": "semicolon", "<": "less_than_sign", "=": "equals_sign", ">": "greater_than_sign", "?": "question_mark", "@": "at",
    "[": "left_square_bracket", "\\": "backslash", "]": "right_square_bracket", "^": "circumflex_accent", "_": "underscore",
    "`": "grave_accent", "{": "left_curly_bracket", "|": "vertical_line", "}": "right_curly_bracket", "~": "tilde", "-": "minus",
})  # fmt: skip
"""``+`` and ``,`` separate keys here; they are ``plus`` and ``comma``."""
WRITTEN = frozenset({"space", "plus", "comma", *SIGNS.values()})
_OTHERS = {
    "escape",
    "enter",
    "tab",
    "backspace",
    "delete",
    "insert",
    "home",
    "end",
    "pageup",
    "pagedown",
    "up",
    "down",
    "left",
    "right",
}
NAMED = WRITTEN | _OTHERS | {f"f{number}" for number in range(1, 25)}
SAME_AS: Mapping[str, str] = MappingProxyType(
    {"ctrl+m": "enter", "ctrl+i": "tab", "ctrl+left_square_bracket": "escape", "ctrl+h": "backspace"}
)
"""Most terminals send the one for the other."""


def split_keys(keys: str) -> tuple[str, ...]:
    """Those of one setting."""
    return tuple(key.strip() for key in keys.split(","))


def check_keys(own: Mapping[str, str]) -> None:
    """Raises ``SettingError`` for what no key does, for what is no key, and for two uses of one key in one place."""
    for name, keys in own.items():
        if name not in DEFAULT_KEYS:
            raise SettingError(f"keys.{name}", f"is nothing that a key does; there are {', '.join(DEFAULT_KEYS)}")
        if not keys.strip():
            raise SettingError(f"keys.{name}", "is empty: name a key such as ctrl+x or f5")
        for key in split_keys(keys):
            if reason := _why_no_key(key) or _why_not_for(name, key):
                raise SettingError(f"keys.{name}", reason)
    _check_clashes(own)


def _why_no_key(key: str) -> str:
    *modifiers, last = key.split("+")
    if last in SIGNS:
        return f"names '{key}', which is no key: write {'+'.join((*modifiers, SIGNS[last]))}"
    known = last in NAMED or (len(last) == 1 and last.isalnum())
    if not known or any(each not in MODIFIERS for each in modifiers):
        return f"names '{key}', which is no key that is known: write it like f5, ctrl+x, alt+enter, ctrl+pageup, question_mark"
    if key in SAME_AS:
        return f"names {key}, for which terminals send {SAME_AS[key]}: name another key"
    if len(last) == 1 and modifiers == ["shift"]:
        return f"names '{key}': write the letter that it gives, {last.upper()}"
    if modifiers != sorted(set(modifiers)):
        return f"names '{key}': write {'+'.join((*sorted(set(modifiers)), last))}"
    return f"names '{key}': write {'+'.join((*modifiers, last.lower()))}" if modifiers and last != last.lower() else ""


def _why_not_for(name: str, key: str) -> str:
    fixed = FIXED_IN_CARDS if name in IN_CARDS else FIXED_ELSEWHERE
    if key in fixed:
        return f"cannot be {key}: that {fixed[key]}"
    if (name not in IN_CARDS or name == "edit_others") and (len(key) == 1 or key in WRITTEN):
        return f"cannot be '{key}': that is written; take one with ctrl or alt, or f1 to f24"
    return ""


def _check_clashes(own: Mapping[str, str]) -> None:
    for name in own:
        for key in split_keys(own[name]):
            for other in _others_on(key, name, {**DEFAULT_KEYS, **own}):
                also = "" if other in own else f"; give keys.{other} another one as well if you want this"
                raise SettingError(f"keys.{name}", f"is {key}, and so is keys.{other}, in the same place{also}")


def _others_on(key: str, name: str, every: Mapping[str, str]) -> Iterator[str]:
    """What else the key does where both could be meant."""
    for other, keys in every.items():
        if other != name and _places(name) & _places(other) and key in split_keys(keys):
            yield other


def _places(name: str) -> Set[str]:
    if name in IN_COMPOSER:
        return {"composer", "cards"} if name in IN_CARDS_TOO else {"composer"}
    return {"cards"} if name in IN_CARDS else {"composer", "cards"}
