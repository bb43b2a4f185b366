"""States of a call, by their names on the wire."""

from __future__ import annotations

DECIDED = ("approved", "rejected", "abandoned", "cancelled")
"""A call in one of these waits for nobody's answer any more."""
