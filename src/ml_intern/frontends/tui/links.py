"""Opening a link outside: which may be, and by what."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ml_intern.frontends.tui.cells import LINK_SCHEMES

_IN_THE_TERMINAL = frozenset({"www-browser", "links", "elinks", "lynx", "w3m"})
"""Browsers that would draw over the app."""


def forbidden(url: str, workspace: Path) -> str:
    """Why it is not opened; empty for a page of the web, and for a file inside the workspace."""
    if url.startswith(LINK_SCHEMES):
        return ""
    parts = urlsplit(url)
    if parts.scheme != "file" or parts.netloc:
        return f"Not opened: {url} is neither a page of the web nor a file."
    path = Path(unquote(parts.path)).resolve()
    return "" if path.is_relative_to(workspace.resolve()) else f"Not opened: {path} is outside of the workspace."


def leads_where_it_says(url: str, said: str) -> bool:
    """Whether who clicked on ``said`` has read where it leads."""
    return url in said or (url.startswith("file:") and unquote(urlsplit(url).path) in said)


def browse(url: str) -> bool:
    """Open it on the user's desktop; false where there is none. Blocks."""
    import webbrowser  # looks for the desktop's programs

    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    if Path(str(getattr(browser, "name", ""))).name in _IN_THE_TERMINAL:
        return False
    return browser.open(url)


async def open_link(url: str, browser: Callable[[str], bool]) -> bool:
    """In a thread of its own: a browser that is a program may take its time."""
    return await asyncio.to_thread(browser, url)
