"""Pages of a file on the Hub: nothing lost, nothing twice, no character in two."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ml_intern.gateways.hub.repos import Part
from ml_intern.tools.hub.repo_pages import whole_lines

_TEXT = st.text(alphabet=st.sampled_from("aé漢🙂\n "), max_size=300)


@given(text=_TEXT, length=st.integers(min_value=8, max_value=60))
def test_pages_that_follow_one_another_are_the_text(text: str, length: int) -> None:
    data = text.encode()
    pages: list[str] = []
    offset = 0
    while offset < len(data):
        page, skipped = whole_lines(Part(data=data[offset : offset + length], start=offset, total_bytes=len(data)))
        assert page and not skipped
        pages.append(page.decode())  # strict: a piece of a character would raise
        offset += len(page)
    assert "".join(pages) == text


@given(text=_TEXT.filter(bool), offset=st.integers(min_value=0), length=st.integers(min_value=8, max_value=60))
def test_a_page_from_the_middle_of_a_character_begins_with_the_next_one(text: str, offset: int, length: int) -> None:
    data = text.encode()
    offset %= len(data)
    page, skipped = whole_lines(Part(data=data[offset : offset + length], start=offset, total_bytes=len(data)))
    assert page.decode() in text and skipped <= 3
    assert data[offset + skipped :].startswith(page)


@given(data=st.binary(max_size=100), start=st.integers(min_value=0, max_value=10), more=st.integers(min_value=0, max_value=10))
def test_bytes_that_are_no_text_at_all_do_no_harm(data: bytes, start: int, more: int) -> None:
    page, skipped = whole_lines(Part(data=data, start=start, total_bytes=start + len(data) + more))
    assert data[skipped:].startswith(page) and len(data) - skipped - len(page) <= max(3, len(data) // 2)
