"""Pictures that Markdown names: cut out of its tokens, so that each is drawn where it stands. rich would draw it before its paragraph."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TypeAlias
from urllib.parse import unquote

from markdown_it.token import Token

MOST_PICTURES = 8
"""Of one text that are drawn; the others are links."""
_ELSEWHERE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")
"""Nothing is fetched from the web to be drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedPicture:
    """A file of this machine."""

    title: str
    path: str


Part: TypeAlias = list[Token] | NamedPicture


def parts(tokens: Sequence[Token]) -> Iterator[Part]:
    """Text and pictures in order; no tokens stand for an empty row. What is in a list, a table or bold is named there and comes below."""
    places = count()
    text: list[Token] = []
    below = False
    for block in _blocks(tokens):
        if below:
            yield []
            below = False
        for part in _paragraph(block, places) if block[0].type == "paragraph_open" else _other(block, places):
            if not isinstance(part, NamedPicture):
                text += part
                below = False
                continue
            if text:
                yield text
            yield part
            text, below = [], True
    if text:
        yield text


def _blocks(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    block: list[Token] = []
    for token in tokens:
        block.append(token)
        if token.level == 0 and token.nesting <= 0:
            yield block
            block = []


def _paragraph(block: list[Token], places: Iterator[int]) -> Iterator[Part]:
    begin, inline, end = block
    text: list[Token] = []
    below: list[NamedPicture] = []
    for tokens, picture in _walk(inline.children or (), places):
        if picture is None or tokens[0].level:
            text += tokens
            below += [picture] if picture is not None else []
            continue
        if said := _said(text):
            yield [begin, _inline(inline, said), end]
        yield picture
        text = []
    if said := _said(text):
        yield [begin, _inline(inline, said), end]
    yield from below


def _other(block: list[Token], places: Iterator[int]) -> Iterator[Part]:
    below: list[NamedPicture] = []
    for token in block:
        if token.children:
            walked = list(_walk(token.children, places))
            token.children = [each for tokens, _ in walked for each in tokens]
            below += [picture for _, picture in walked if picture is not None]
    yield block
    yield from below


def _walk(children: Sequence[Token], places: Iterator[int]) -> Iterator[tuple[list[Token], NamedPicture | None]]:
    """What stands in the text in place of each token, and the picture that it was."""
    links = 0
    for child in children:
        links += {"link_open": 1, "link_close": -1}.get(child.type, 0)
        if child.type != "image":
            yield [child], None
            continue
        title, address = child.content or "picture", str(child.attrs.get("src", ""))
        if address and not _ELSEWHERE.match(address) and next(places) < MOST_PICTURES:
            path = unquote(address)
            yield [_text(f"{title} ({path})", child.level)], NamedPicture(title=title, path=path)
        elif links or address.startswith("data:"):
            yield [_text(title, child.level)], None
        else:
            yield [Token("link_open", "a", 1, attrs={"href": address}), _text(title, child.level), Token("link_close", "a", -1)], None


def _text(text: str, level: int) -> Token:
    return Token("text", "", 0, content=text, level=level)


def _said(text: list[Token]) -> list[Token]:
    """Without what only parts it from the picture beside it."""
    first, last = 0, len(text)
    while first < last and _empty(text[first]):
        first += 1
    while first < last and _empty(text[last - 1]):
        last -= 1
    said = text[first:last]
    if said and said[0].type == "text":
        said[0] = _text(said[0].content.lstrip(), said[0].level)
    return said


def _empty(token: Token) -> bool:
    return token.type in ("softbreak", "hardbreak") or (token.type == "text" and not token.content.strip())


def _inline(like: Token, children: list[Token]) -> Token:
    return Token(like.type, like.tag, like.nesting, level=like.level, content=like.content, children=children, block=like.block)
