"""Slack's Block Kit, as far as a card needs it: https://docs.slack.dev/reference/block-kit/blocks.

All of it is plain or preformatted text, in which Slack looks for no markup: nothing that a model wrote is obeyed.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from ml_intern.gateways.remote_answers import Card, Choice

SECTION_CHARS = 2_900
"""Slack takes 3,000 in the text of a section."""
MOST_SECTIONS = 8
CODE_LIMIT_CHARS = SECTION_CHARS * MOST_SECTIONS
LABEL_CHARS = 75
_STYLES = {"good": "primary", "bad": "danger"}


class PlainText(Struct, frozen=True, tag="plain_text", tag_field="type"):
    """Text as it is."""

    text: str
    emoji: bool = False


class Section(Struct, frozen=True, tag="section", tag_field="type"):
    """A paragraph."""

    text: PlainText


class Characters(Struct, frozen=True, tag="text", tag_field="type"):
    """A piece of preformatted text."""

    text: str


class Preformatted(Struct, frozen=True, tag="rich_text_preformatted", tag_field="type"):
    """Text in a box, in letters of one width."""

    elements: tuple[Characters, ...]


class RichText(Struct, frozen=True, tag="rich_text", tag_field="type"):
    """The block that holds it."""

    elements: tuple[Preformatted, ...]


class Button(Struct, frozen=True, tag="button", tag_field="type", omit_defaults=True):
    """``value`` comes back with the click."""

    action_id: str
    text: PlainText
    value: str
    style: str = ""


class Actions(Struct, frozen=True, tag="actions", tag_field="type"):
    """A row of buttons. ``block_id`` comes back with the click."""

    block_id: str
    elements: tuple[Button, ...]


class TextInput(Struct, frozen=True, tag="plain_text_input", tag_field="type"):
    """Where words are written."""

    action_id: str
    multiline: bool = True
    max_length: int = 3_000


class Input(Struct, frozen=True, tag="input", tag_field="type"):
    """A field of a form. ``block_id`` and the element's ``action_id`` lead to its value in what is submitted."""

    block_id: str
    label: PlainText
    element: TextInput


Block: TypeAlias = Section | RichText | Actions | Input


class Modal(Struct, frozen=True, tag="modal", tag_field="type"):
    """A form: https://docs.slack.dev/reference/views/modal-views. ``private_metadata`` comes back with it (3,000 characters at most)."""

    title: PlainText
    submit: PlainText
    close: PlainText
    private_metadata: str
    blocks: tuple[Block, ...]


WORDS = "words"
"""The one field of our form."""
TITLE_CHARS = 24


def words_form(title: str, label: str, metadata: str) -> Modal:
    """One field for words."""
    field = Input(WORDS, PlainText(label), TextInput(WORDS))
    return Modal(PlainText(title[:TITLE_CHARS]), PlainText("Send"), PlainText("Back"), metadata, (field,))


def card_blocks(card: Card) -> tuple[Block, ...]:
    """The card with its buttons."""
    pieces = [card.code[at : at + SECTION_CHARS] for at in range(0, len(card.code), SECTION_CHARS)][:MOST_SECTIONS]
    code = [RichText((Preformatted((Characters(piece),)),)) for piece in pieces]
    buttons = Actions(card.key, tuple(_button(place, choice) for place, choice in enumerate(card.choices)))
    return (*closed_blocks(f"{card.title}\n{card.text}"), *code, buttons)


def closed_blocks(text: str) -> tuple[Block, ...]:
    """Text alone."""
    return (Section(PlainText(text[:SECTION_CHARS])),)


def _button(place: int, choice: Choice) -> Button:
    return Button(f"choice_{place}", PlainText(choice.label[:LABEL_CHARS]), choice.value, _STYLES.get(choice.style, ""))
