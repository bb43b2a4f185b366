"""Takes secrets out of events before they are stored or shown, and leaves everything else as it is, byte for byte.

Three nets: the exact values of the secrets that this process knows; shapes and names of secrets (``secret_patterns``,
``secret_assignments``); and the patterns of the detect-secrets package. An error in here reaches
whoever wanted to store the event: nothing is stored unscrubbed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import msgspec

from ml_intern.config.secret import SecretStr
from ml_intern.protocol.events import AnyEvent
from ml_intern.protocol.messages import Image, Thinking
from ml_intern.session.secret_anchored import ANCHORED
from ml_intern.session.secret_detectors import detector_rules
from ml_intern.session.secret_marks import MARK, REDACTED, contains_redaction
from ml_intern.session.secret_objects import NAME as OBJECT_NAME
from ml_intern.session.secret_objects import redact_below, redact_objects
from ml_intern.session.secret_patterns import RULES, Rule

__all__ = ["MARK", "Scrubber", "contains_redaction"]

SHORTEST_TEXT = 7
SHORTEST_KNOWN = 8
"""A shorter value is as likely a word of a text."""
MAX_DEPTH = 64
"""What is nested deeper is replaced whole: nobody could read it, and it must not pass unseen."""

_SEALED = ("signature", "redacted")
"""Fields of ``Thinking``: a provider's own sealed data, sent back to it unchanged or refused by it."""

_NAME_PARTS = ("token", "secret", "passw", "passphrase", "pwd", "key")
"""Without one of these, in lower case, there is no name of a secret."""

Gate = tuple[str, tuple[str, ...], tuple[Rule, ...]]


class Scrubber:
    """``known``: secrets of this process, wherever and in whatever shape they turn up."""

    def __init__(self, known: Iterable[SecretStr] = ()) -> None:
        self._gates = _gates((*ANCHORED, *RULES, *detector_rules()))
        values = {secret.reveal().strip() for secret in known}
        # the longest first: one secret may be a part of another
        self._known = [
            (form, self._mark_of(value))
            for value in sorted(values, key=lambda value: (-len(value), value))
            if len(value) >= SHORTEST_KNOWN
            for form in _forms(value)
        ]

    def _mark_of(self, value: str) -> str:
        mark = self._shapes(value)
        return mark if mark != value and MARK.fullmatch(mark) else REDACTED

    def scrub(self, text: str) -> str:
        """The text without secrets; the very same object when there are none."""
        if len(text) < SHORTEST_TEXT:
            return text
        clean = self._visible(text)
        if not text.isascii() or "\x1b" in text or "\\" in text:
            from ml_intern.session.secret_hidden import seen_whole

            clean = seen_whole(text, clean, self._visible)
        return text if clean == text else clean

    def _visible(self, text: str) -> str:
        clean = text
        for value, mark in self._known:
            if value in clean:
                clean = clean.replace(value, mark)
        clean = self._shapes(clean)
        if OBJECT_NAME in clean and "{" in clean:
            clean = redact_objects(clean)
        if ("=" in clean or ":" in clean or "--" in clean) and _holds(_NAME_PARTS, clean.lower()):
            # compiling the patterns costs more than the rest of the start of a session, which has no use for them
            from ml_intern.session.secret_assignments import redact_assignments

            clean = redact_assignments(clean)
        return clean

    def _shapes(self, text: str) -> str:
        lowered = text.lower()
        for required, anchors, rules in self._gates:
            if required in text and _holds(anchors, lowered):
                for rule in rules:
                    if _holds(rule.anchors, lowered):
                        text = rule.apply(text)
        return text

    def scrub_event(self, event: AnyEvent) -> AnyEvent:
        """The event without secrets; the very same object when there are none. Pictures are left alone."""
        return cast(AnyEvent, self._struct(event, 0))

    def _value(self, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            return self.scrub(value)
        if depth > MAX_DEPTH:
            return REDACTED
        match value:
            case msgspec.Struct():
                return self._struct(value, depth)
            case dict():
                return self._dict(cast("dict[Any, Any]", value), depth)
            case list() | tuple():
                return self._items(cast("list[Any] | tuple[Any, ...]", value), depth)
            case _:
                return value

    def _struct(self, value: msgspec.Struct, depth: int) -> msgspec.Struct:
        if isinstance(value, Image):
            return value
        opaque = _SEALED if isinstance(value, Thinking) else ()
        changes: dict[str, Any] = {}
        for name in value.__struct_fields__:
            old = getattr(value, name)
            if name not in opaque and (new := self._value(old, depth + 1)) is not old:
                changes[name] = new
        return msgspec.structs.replace(value, **changes) if changes else value

    def _items(self, values: list[Any] | tuple[Any, ...], depth: int) -> list[Any] | tuple[Any, ...]:
        clean = [self._value(value, depth + 1) for value in values]
        if all(new is old for new, old in zip(clean, values, strict=True)):
            return values
        return tuple(clean) if isinstance(values, tuple) else clean

    def _dict(self, values: dict[Any, Any], depth: int) -> dict[Any, Any]:
        clean = {self._value(key, depth + 1): self._item(key, value, depth + 1) for key, value in values.items()}
        same = len(clean) == len(values) and all(
            new_key is old_key and clean[new_key] is values[old_key] for new_key, old_key in zip(clean, values, strict=True)
        )
        return values if same else clean

    def _item(self, key: Any, value: Any, depth: int) -> Any:
        if isinstance(key, str) and _holds(_NAME_PARTS, key.lower()):
            value = redact_below(value, MAX_DEPTH - depth) if key == OBJECT_NAME else value
            value = _without_secrets(key, value, depth)
        return self._value(value, depth)


def _without_secrets(key: str, value: Any, depth: int) -> Any:
    """A value under a name that may promise a secret, or a list of them."""
    from ml_intern.session.secret_names import is_secret, suspicion

    suspected = suspicion(key)
    match value:
        case str():
            return REDACTED if is_secret(value, suspected) else value
        case int() if not isinstance(value, bool):
            return REDACTED if is_secret(str(value), suspected) else value
        case list() if depth <= MAX_DEPTH:
            clean = [_without_secrets(key, item, depth + 1) for item in cast("list[Any]", value)]
            return cast(Any, value) if all(new is old for new, old in zip(clean, cast("list[Any]", value), strict=True)) else clean
        case _:
            return value


def _holds(anchors: tuple[str, ...], text: str) -> bool:
    for anchor in anchors:  # noqa: SIM110 - any() with a generator takes three times as long, and this runs for every text
        if anchor in text:
            return True
    return False


def _gates(rules: Iterable[Rule]) -> tuple[Gate, ...]:
    """Rules by the character that they require: most short texts are done after a few characters were looked for."""
    by_character: dict[str, list[Rule]] = {}
    for rule in rules:
        by_character.setdefault(rule.required, []).append(rule)
    return tuple(
        (required, tuple(dict.fromkeys(anchor for rule in group for anchor in rule.anchors)), tuple(group))
        for required, group in by_character.items()
    )


def _forms(value: str) -> list[str]:
    """A secret as it stands in JSON and in a URL, and as it is; the last would leave the backslash before a quote behind."""
    from urllib.parse import quote

    in_json = msgspec.json.encode(value).decode()[1:-1]
    return list(dict.fromkeys((in_json, quote(value, safe=""), value)))
