"""What a tool says when a page is asked for that is not there: how much there is, and what to ask for."""

from __future__ import annotations


def past_offset(what: str, total: int, offset: int) -> str:
    """``what`` in the plural; ``total`` may be nothing."""
    left = f"there are {total:,}, at offsets 0 to {total - 1}" if total > 1 else "there is one, at offset 0" if total else "there are none"
    return f"(No {what} at offset {offset}: {left}.)"


def past_page(what: str, pages: int, page: int) -> str:
    """``pages``: how many there are, each full but the last."""
    left = f"there are pages 1 to {pages}" if pages > 1 else "there is page 1 alone"
    return f"(No {what} on page {page}: {left}.)"
