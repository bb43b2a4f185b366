"""A paper as text: its parts in order, each with its own text only, and how one of them is named."""

from __future__ import annotations

import re

from msgspec import Struct

from ml_intern.errors import NotFoundError

MOST_TITLES = 60
_NUMBER = re.compile(r"(?:\d+|[A-Z]|[IVX]+)(?:[.-](?:\d+|[A-Z]))*\.?", re.IGNORECASE)
_WORDS = re.compile(r"\w+")


class Section(Struct, frozen=True, kw_only=True):
    """``number`` as printed (``3``, ``A.1``, empty for none); ``level`` 1 for a section, 2 for what lies in it; ``text`` is Markdown
    and leaves out the text of the sections within."""

    title: str
    number: str = ""
    level: int = 1
    text: str = ""
    anchor: str = ""

    @property
    def label(self) -> str:
        """As in a table of contents."""
        return f"{self.number} {self.title}".strip()


class Paper(Struct, frozen=True, kw_only=True):
    """``sections`` are in the order of the document, the bibliography (one entry a line) last, titled References."""

    arxiv_id: str
    title: str = ""
    authors: tuple[str, ...] = ()
    abstract: str = ""
    sections: tuple[Section, ...] = ()


class Found(Struct, frozen=True, kw_only=True):
    """``text`` to show, ``label`` of what it is, ``within`` the parts that it leaves out, ``others`` that the name fits as well."""

    label: str
    text: str
    within: tuple[Section, ...] = ()
    others: tuple[str, ...] = ()


def find_section(paper: Paper, name: str) -> Found:
    """The part of that number, anchor or title; ``*`` at the end adds the parts within it, ``*`` alone is the whole paper.

    A name that looks like a number is compared with numbers only: ``3`` is never a title with a 3 in it. Else an equal title
    wins over one that begins with the name, and that over one that has all its words. Raises ``NotFoundError`` with the titles.
    """
    wanted = name.strip()
    deep = wanted.endswith("*")
    wanted = wanted.rstrip("*").strip()
    if deep and not wanted:
        return Found(label="the whole paper", text=whole_text(paper))
    if wanted.casefold() == "abstract" and paper.abstract:
        return Found(label="Abstract", text=paper.abstract)
    matches = _matches(paper.sections, wanted)
    if not matches:
        titles = "; ".join(section.label for section in paper.sections[:MOST_TITLES])
        more = f"; and {len(paper.sections) - MOST_TITLES} more" if len(paper.sections) > MOST_TITLES else ""
        raise NotFoundError(
            f"The paper {paper.arxiv_id} has no section '{name}'.", hint=f"It has: {titles}{more}." if titles else "No sections are known."
        )
    first = matches[0]
    within = _within(paper.sections, first)
    own = paper.sections[first].text
    text = "\n\n".join(part for part in (own, _joined(within)) if part) if deep else own
    others = tuple(paper.sections[index].label for index in matches[1:6])
    return Found(label=paper.sections[first].label, text=text, within=() if deep else within, others=others)


def whole_text(paper: Paper) -> str:
    """All of it, with headings."""
    parts = [f"# {paper.title}"] if paper.title else []
    if paper.abstract:
        parts.append(f"## Abstract\n\n{paper.abstract}")
    return "\n\n".join([*parts, _joined(paper.sections)]) if paper.sections else "\n\n".join(parts)


def _matches(sections: tuple[Section, ...], wanted: str) -> list[int]:
    folded = wanted.casefold().rstrip(".")
    anchored = [i for i, section in enumerate(sections) if section.anchor and section.anchor.casefold() == folded]
    numbered = [i for i, section in enumerate(sections) if section.number and section.number.casefold() == folded]
    if anchored or numbered or not folded:
        return anchored or numbered
    folded = "references" if folded == "bibliography" else folded
    spelled = folded.removeprefix("section ").removeprefix("appendix ").strip()
    if spelled != folded and _NUMBER.fullmatch(spelled):
        return [i for i, section in enumerate(sections) if section.number.casefold() == spelled]
    titles = [(i, section.title.casefold()) for i, section in enumerate(sections)]
    if equal := [i for i, title in titles if folded in (title, sections[i].label.casefold())]:
        return equal
    if _NUMBER.fullmatch(folded) and (len(folded) == 1 or any(c.isdigit() for c in folded)):
        return []
    words = _WORDS.findall(folded)
    if not words:
        return []
    begins = [i for i, title in titles if title.startswith(folded)]
    return begins or [i for i, title in titles if _holds(title, words)]


def _holds(title: str, words: list[str]) -> bool:
    there = _WORDS.findall(title)
    return all(any(part.startswith(word) if len(word) > 2 else part == word for part in there) for word in words)


def _within(sections: tuple[Section, ...], index: int) -> tuple[Section, ...]:
    level = sections[index].level
    inner: list[Section] = []
    for section in sections[index + 1 :]:
        if section.level <= level:
            break
        inner.append(section)
    return tuple(inner)


def _joined(sections: tuple[Section, ...]) -> str:
    return "\n\n".join(f"{'#' * min(6, section.level + 1)} {section.label}\n\n{section.text}".strip() for section in sections)


__all__ = ["Found", "Paper", "Section", "find_section", "whole_text"]
