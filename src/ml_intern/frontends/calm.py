"""How long nothing must have been typed before a key may decide something: one figure for the app and ``ml-intern attach``."""

from __future__ import annotations

CALM_S = 0.7
"""Without a key for so long, nobody is in the middle of a word."""
