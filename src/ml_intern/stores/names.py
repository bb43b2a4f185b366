"""How a session is named by people: its id, the start of it, its place in the list, or ``last``."""

from __future__ import annotations

from collections.abc import Sequence

from ml_intern.errors import SessionNotFound
from ml_intern.stores.base import SessionRecord

LAST = "last"
MAX_CANDIDATES = 8


def matching_ids(name: str, newest_first: Sequence[str]) -> list[str]:
    """The ids that answer to ``name``: none, the one, or all that a prefix leaves open."""
    name = name.strip()
    if not name or not newest_first:
        return []
    if name in newest_first:
        return [name]
    if name == LAST:
        return [newest_first[0]]
    if name.isascii() and name.isdigit() and 1 <= int(name) <= len(newest_first):
        return [newest_first[int(name) - 1]]
    wanted = name.lower()
    return [session_id for session_id in newest_first if session_id.lower().startswith(wanted)]


def not_found(name: str) -> SessionNotFound:
    """Nothing answers to the name."""
    if name == LAST:
        return SessionNotFound("There is no session yet.", hint='Start one: ml-intern "…"')
    return SessionNotFound(f"No session is called '{name}'.", hint="See the list: ml-intern sessions list")


def ambiguous(name: str, candidates: Sequence[SessionRecord]) -> SessionNotFound:
    """More than one session answers to the prefix: they are listed."""
    lines = [f"  {record.id}  {record.title or record.preview}".rstrip() for record in candidates[:MAX_CANDIDATES]]
    if len(candidates) > MAX_CANDIDATES:
        lines.append(f"  … and {len(candidates) - MAX_CANDIDATES} more")
    return SessionNotFound("\n".join([f"{len(candidates)} sessions start with '{name}':", *lines]), hint="\nGive more of the id.")
