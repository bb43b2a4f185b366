"""A dataset's columns in words: nested types written out, chats found and shown as chats, cells cut."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from msgspec import Struct

from ml_intern.gateways.hub.features import Feature, Features
from ml_intern.gateways.hub.json_shapes import Row, as_list, as_object, as_objects, as_text
from ml_intern.protocol.amounts import counted

MAX_TYPE_CHARS = 400
MAX_CELL_CHARS = 200
MAX_MESSAGES = 6
LABELS_SHOWN = 12
KEYS = (("role", "content"), ("from", "value"))
"""How chats name who speaks and what is said: OpenAI's way, which TRL takes, and ShareGPT's."""


class Chat(Struct, frozen=True):
    """A column of conversations. ``as_lists``: the rows hold one list of speakers and one of texts, not a list of messages."""

    speaker: str
    said: str
    as_lists: bool = False

    @property
    def is_ready(self) -> bool:
        """Whether TRL takes it as it is."""
        return self.speaker == "role" and not self.as_lists


def chat_of(feature: Feature | None) -> Chat | None:
    """How a column holds conversations, if it does."""
    if feature is None:
        return None
    if feature.kind == "struct":  # rows of a Sequence of structs, as a file shows them
        lists = {name: inner.item for name, inner in feature.fields if inner.kind == "list"}
        for speaker, said in KEYS:
            if (who := lists.get(speaker)) is not None and who.is_text and said in lists:
                return Chat(speaker, said, True)
        return None
    if feature.kind != "list" or feature.item is None or feature.item.kind != "struct":
        return None
    for speaker, said in KEYS:
        if (who := feature.item.field(speaker)) is not None and feature.item.field(said) is not None and _names_speakers(who):
            return Chat(speaker, said, feature.as_lists)
    return None


def _names_speakers(feature: Feature) -> bool:
    return feature.is_text or feature.kind == "class_label"


def messages_of(value: object, chat: Chat) -> list[tuple[str, str]]:
    """Who says what, in order."""
    if chat.as_lists and (lists := as_object(value)) is not None:
        who, said = as_list(lists.get(chat.speaker)) or (), as_list(lists.get(chat.said)) or ()
        return [(str(speaker), _plain(text)) for speaker, text in zip(who, said, strict=False)]
    return [(str(message.get(chat.speaker)), _plain(message.get(chat.said))) for message in as_objects(value)]


def _plain(content: object) -> str:
    """What is said; content in parts (text, image) as its texts."""
    if isinstance(content, str):
        return content
    if (parts := as_objects(content)) and any("text" in part or "type" in part for part in parts):
        return " ".join(as_text(part.get("text")) or f"[{part.get('type', 'part')}]" for part in parts)
    return "" if content is None else json.dumps(content, ensure_ascii=False, default=str)


def type_text(feature: Feature) -> str:
    """A type on one line: ``list<{role: string, content: string}>``."""
    match feature.kind:
        case "list":
            inner = type_text(feature.item) if feature.item is not None else "unknown"
            return f"Sequence<{inner}> (a struct of lists)" if feature.as_lists else f"list<{inner}>"
        case "struct":
            return "{" + ", ".join(f"{name}: {type_text(inner)}" for name, inner in feature.fields) + "}"
        case "class_label":
            shown = ", ".join(f"{number}={name}" for number, name in enumerate(feature.names[:LABELS_SHOWN]))
            more = f", … {len(feature.names)} in all" if len(feature.names) > LABELS_SHOWN else ""
            return f"ClassLabel({shown}{more})"
        case "value" | "media" | "other":
            return feature.dtype or feature.kind


def schema_rows(features: Features) -> list[tuple[str, str]]:
    """Column, type; chats are marked with the roles' key."""
    rows: list[tuple[str, str]] = []
    for name, feature in features.items():
        text = cut(type_text(feature), MAX_TYPE_CHARS)
        if (chat := chat_of(feature)) is not None:
            text += f"  ← chat ({chat.speaker}/{chat.said})"
        rows.append((name, text))
    return rows


def cell(value: object, feature: Feature | None, names: int = MAX_CELL_CHARS) -> str:
    """A value for a reader: a chat as ``role: text`` lines, a label by its name, media as what it is, all else as JSON, cut."""
    if (chat := chat_of(feature)) is not None:
        return _chat_cell(messages_of(value, chat), names)
    if feature is not None and feature.kind == "class_label" and isinstance(value, int) and 0 <= value < len(feature.names):
        return f"{value} ({feature.names[value]})"
    if feature is not None and feature.kind == "media":
        return _media(value, feature)
    return cut(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=_not_json), names)


def _chat_cell(messages: Sequence[tuple[str, str]], each: int) -> str:
    shown = [f"  {role}: {cut(text, each)}" for role, text in messages[:MAX_MESSAGES]]
    if len(messages) > MAX_MESSAGES:
        shown.append(f"  … {len(messages) - MAX_MESSAGES} more messages")
    return f"{counted(len(messages), 'message')}\n" + "\n".join(shown) if messages else "no messages"


def _media(value: object, feature: Feature) -> str:
    found: Mapping[str, object] | None = as_object(value)
    if found is None and (items := as_objects(value)):
        found = items[0]
    size = f" {found['width']}×{found['height']}" if found and "width" in found and "height" in found else ""
    path = f" {cut(str(found['path']), 80)}" if found and isinstance(found.get("path"), str) else ""
    return "null" if value is None else f"<{feature.dtype}{size}{path}>"


def _not_json(value: object) -> str:
    return f"<{len(value)} bytes>" if isinstance(value, bytes) else str(value)


def cut(text: str, most: int) -> str:
    """On one line, and no longer than that."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[:most]}… ({len(text):,} characters)"


def only(features: Features, columns: Sequence[str]) -> dict[str, Feature]:
    """The wanted columns, all if none is named."""
    return {name: feature for name, feature in features.items() if not columns or name in columns}


def only_row(row: Row, columns: Sequence[str]) -> Row:
    """The wanted values."""
    return {name: value for name, value in row.items() if not columns or name in columns}
