"""Choosing a session to go on with: searched by title and folder at once, and by what was said in it a moment later."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from ml_intern.errors import MlInternError
from ml_intern.frontends.commands.open_sessions import open_elsewhere, open_words
from ml_intern.frontends.commands.session_table import age, folder_words, money_words
from ml_intern.frontends.headless.text import Line, line, lines, width
from ml_intern.frontends.sanitize import one_line
from ml_intern.frontends.tui.screens.columns import Column
from ml_intern.frontends.tui.screens.picker import Choice, Picker
from ml_intern.frontends.tui.screens.search import best
from ml_intern.protocol.amounts import counted, size_text
from ml_intern.protocol.events import AssistantMessageAdded, UserMessageAdded
from ml_intern.protocol.session_ids import short_id

if TYPE_CHECKING:
    from pathlib import Path

    from ml_intern.session.control import Welcome
    from ml_intern.stores.base import EventStore, SessionRecord

NEWEST = 500
HITS = 50
PREVIEW_EVENTS = 60
PREVIEW_ROWS = 12
WAIT_S = 0.15
"""Between the last key and the search in the store."""
_TITLE = 40
"""A longer title stands in the preview too: in the list it may be cut."""


class SessionPicker(Picker[str]):
    """The id of the session; ``leave_out`` is the one that we are in."""

    columns = (Column(keep=4), Column(keep=3), Column(keep=5, least=20), Column(keep=2, right=True), Column(keep=1, least=12))
    """When, where it is open, title, size, folder."""

    def __init__(
        self, store: EventStore, *, leave_out: str, live: Path | None = None, query: str = "", now: datetime | None = None
    ) -> None:
        """``live``: the folder where open sessions listen (``session/control.py``)."""
        super().__init__("Resume a session", empty="Reading …", search=query)
        self._store = store
        self._live = live
        self._open: dict[str, Welcome] = {}
        self._leave_out = leave_out
        self._now = now or datetime.now(UTC)
        self._snippets: dict[str, str] = {}
        """What was found in the sessions, for the present search; the best first."""

    def on_mount(self) -> None:
        self.run_worker(self._read, group="sessions")

    async def _read(self) -> None:
        try:
            records = await self._store.sessions(limit=NEWEST)
            if self._live is not None and any(record.owner for record in records):
                self._open = await open_elsewhere(self._live)
        except MlInternError as error:
            self.offer((), empty=f"{error.message} {error.hint}")
            return
        choices = [self._choice(record) for record in records if record.id != self._leave_out]
        self.offer(choices, empty="There is no other session yet.")

    def _choice(self, record: SessionRecord) -> Choice[str]:
        title, folder = one_line(record.title or record.preview) or "(nothing said)", folder_words(record.cwd)
        when = age((self._now - record.updated_at).total_seconds(), record.updated_at)
        where = open_words(record, self._open.get(record.id))
        cells = (
            line(("accent", "● ") if record.owner else "  ", ("dim", when)),
            line(("accent", where)),
            line(title),
            line(("dim", size_text(record.size_bytes))),
            line(("dim", folder)),
        )
        return Choice(
            value=record.id,
            cells=cells,
            words=f"{title} {folder} {record.model} {record.id} {where}",
            about=tuple(_about(record, title, folder, self._open.get(record.id))),
        )

    # ── searching what was said ──────────────────────────────────────────────────────────────────────────────────────

    def searched(self, query: str) -> None:
        """See ``Picker``."""
        self._snippets = {}
        if query:
            self.run_worker(partial(self._search_store, query), group="search", exclusive=True)

    async def _search_store(self, query: str) -> None:
        await asyncio.sleep(WAIT_S)
        try:
            hits = await self._store.search(query, limit=HITS)
        except MlInternError:
            return  # titles and folders are searched all the same
        if query == self.query_text:
            self._snippets = {hit.session_id: hit.snippet for hit in hits}
            self.filter()

    def order(self, query: str, choices: Sequence[Choice[str]]) -> list[Choice[str]]:
        """Those whose title or folder fits, then those in which it was said."""
        fits = best(query, choices, key=lambda choice: choice.words)
        known = {choice.value for choice in fits}
        by_id = {choice.value: choice for choice in choices}
        return [*fits, *(by_id[key] for key in self._snippets if key in by_id and key not in known)]

    # ── the preview ──────────────────────────────────────────────────────────────────────────────────────────────────

    def looked_at(self, choice: Choice[str]) -> None:
        """See ``Picker``."""
        self.run_worker(partial(self._preview, choice), group="preview", exclusive=True)

    async def _preview(self, choice: Choice[str]) -> None:
        from ml_intern.session.export import read_log

        try:
            last = await self._store.last_seq(choice.value)
            envelopes = await read_log(self._store, choice.value, after_seq=max(0, last - PREVIEW_EVENTS))
        except MlInternError as error:
            said: list[Line] = lines(error.message, "bad")
        else:
            said = []
            for envelope in envelopes:
                if isinstance(envelope.event, UserMessageAdded):
                    said = [line(), *lines(f"❯ {envelope.event.content}", "bold")[:PREVIEW_ROWS]]
                elif isinstance(envelope.event, AssistantMessageAdded) and envelope.event.content.strip():
                    said += [line(), *lines(envelope.event.content.strip())[:PREVIEW_ROWS]]
        if self.chosen is choice:
            found = [line(("accent", f"found: {one_line(snippet)}"))] if (snippet := self._snippets.get(choice.value)) else []
            self.tell_about([*found, *choice.about, *said])


def _about(record: SessionRecord, title: str, folder: str, live: Welcome | None) -> list[Line]:
    forked = f" · forked from {short_id(record.parent_id)}" if record.parent_id else ""
    spent = f"{money_words(record)}{' set aside' if record.reserved_usd > 0 else ''}"
    rows = [
        *([line(("bold", title))] if width(title) > _TITLE else []),
        line(("dim", f"{short_id(record.id)} · {one_line(record.model)} · {folder}")),
        line(("dim", f"{counted(record.turn_count, 'turn')} · {spent} · {size_text(record.size_bytes)}{forked}")),
        line(("dim", f"begun {record.created_at.astimezone():%Y-%m-%d %H:%M}, last used {record.updated_at.astimezone():%Y-%m-%d %H:%M}")),
    ]
    if not record.owner:
        return rows
    if live is None:
        return [*rows, line(("warn", f"in use by {one_line(record.owner)}, which cannot be joined: leave it there first"))]
    running = ", a turn runs" if live.busy else ""
    return [
        *rows,
        line(("accent", f"open in {one_line(live.owner)}{running}")),
        line(("accent", "Enter joins it there, live: it stays in that process, and what you send goes to it")),
    ]
