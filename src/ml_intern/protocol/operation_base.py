"""The base of every operation."""

from __future__ import annotations

from msgspec import Struct

JOINED = "process "
"""How ``sent_by`` begins of a terminal that joined the session: its number follows."""


class Operation(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", kw_only=True):
    """The base; never sent itself. ``sent_by``: the terminal that sent it, where that is not the one that has the session open
    (``session/door.py`` says it, and believes nobody else).
    """

    sent_by: str = ""
