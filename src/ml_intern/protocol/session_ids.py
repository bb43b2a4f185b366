"""Ids of sessions as people see and type them."""

from __future__ import annotations


def short_id(session_id: str) -> str:
    """Its beginning: what screens show, and what is enough to name it in a command."""
    return session_id[:8]
