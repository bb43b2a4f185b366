"""Terminal output as plain text: escape sequences gone, progress bars reduced to how they ended."""

from __future__ import annotations

import re

_ESCAPES = (
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor moves
    r"|\][^\x07\x1b]*(?:\x07|\x1b\\|$)"  # OSC: titles, links
    r"|[PX^_][^\x1b]*(?:\x1b\\|$)"  # DCS, SOS, PM, APC strings
    r"|[ -/]*[0-~])"  # the two- and three-character ones
)
"""ECMA-48, section 5.3 to 5.6."""
_CONTROLS = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"


def plain(text: str) -> str:
    """What a person would see on a terminal, roughly: a line that was overwritten (``\\r``) shows its last state."""
    if "\x1b" in text:
        text = re.sub(_ESCAPES, "", text)
    if "\r" in text:
        text = "\n".join(_last_state(line) for line in text.replace("\r\n", "\n").split("\n"))
    return re.sub(_CONTROLS, "�", text)


def _last_state(line: str) -> str:
    return next((state for state in reversed(line.split("\r")) if state.strip()), "") if "\r" in line else line
