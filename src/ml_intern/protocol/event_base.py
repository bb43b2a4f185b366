"""The base of every event."""

from __future__ import annotations

from typing import ClassVar

from msgspec import Struct


class Event(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """The base; never sent itself."""

    wire: ClassVar[str]
    transient: ClassVar[bool] = False
