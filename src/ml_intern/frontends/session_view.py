"""Draws a session that is read from the store, for people or for another program."""

from __future__ import annotations

from typing import Any, Protocol

import click

from ml_intern.config.load import process_environ
from ml_intern.frontends.headless.text import Line, Style, bare, line
from ml_intern.frontends.transcript import Transcript
from ml_intern.protocol.codec import Envelope, encode
from ml_intern.protocol.session_ids import short_id
from ml_intern.stores.base import SessionRecord

_STYLES: dict[Style, dict[str, Any]] = {
    "dim": {"dim": True},
    "bold": {"bold": True},
    "tool": {"bold": True, "fg": "yellow"},
    "good": {"fg": "green"},
    "bad": {"fg": "red"},
    "warn": {"fg": "yellow"},
    "added": {"fg": "green"},
    "removed": {"fg": "red"},
    "accent": {"fg": "blue"},
}


def painted(rows: list[Line], *, color: bool) -> str:
    """The lines as text for a terminal, in colours or bare."""
    if not color:
        return "".join(f"{bare(row)}\n" for row in rows)
    return "".join("".join(click.style(text, **_STYLES.get(style, {})) for style, text in row) + "\n" for row in rows)


class View(Protocol):
    """Where a session is shown."""

    def begin(self, record: SessionRecord) -> None:
        """Called once, before the events."""
        ...

    def tell(self, envelope: Envelope) -> None:
        """Show an event."""
        ...

    def end(self) -> None:
        """Called once, after them."""
        ...


class JsonView:
    """A line of JSON for every event, and nothing else."""

    def begin(self, record: SessionRecord) -> None:
        """The first event says it."""

    def tell(self, envelope: Envelope) -> None:
        click.echo(encode(envelope))

    def end(self) -> None:
        """Nothing is left to say."""


class TextView:
    """Styled lines on a terminal, bare ones in a pipe."""

    def __init__(self, *, live: bool, verbose: bool) -> None:
        self._transcript = Transcript(live=live, verbose=verbose)
        self._color = False if process_environ().get("NO_COLOR") else None

    def begin(self, record: SessionRecord) -> None:
        owner = f" · in use by {record.owner}" if record.owner else ""
        self._write([line(("dim", f"session {short_id(record.id)} · {record.title or record.preview}{owner}"))])

    def tell(self, envelope: Envelope) -> None:
        self._write(self._transcript.tell(envelope))

    def end(self) -> None:
        self._write(self._transcript.unanswered())

    def _write(self, rows: list[Line]) -> None:
        for row in rows:
            click.echo("".join(click.style(text, **_STYLES.get(style, {})) for style, text in row), color=self._color)
