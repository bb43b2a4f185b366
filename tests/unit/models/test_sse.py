from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_intern.errors import NonsenseReply
from ml_intern.models import sse
from ml_intern.models.sse import SseParser


def events(*reads: bytes) -> list[bytes]:
    parser = SseParser()
    found = [event for read in reads for event in parser.feed(read)]
    return found + parser.finish()


def test_data_of_each_event_is_returned() -> None:
    assert events(b"event: x\ndata: 1\nid: 7\n\n: a comment\n\ndata:2\n\n") == [b"1", b"2"]


def test_several_data_lines_are_one_event() -> None:
    assert events(b"data: a\ndata: b\n\n") == [b"a\nb"]


def test_a_byte_order_mark_is_skipped() -> None:
    assert events(b"\xef\xbb\xbfdata: 1\n\n") == [b"1"]


def test_an_event_that_the_server_did_not_end_is_kept() -> None:
    assert events(b"data: 1\n\ndata: 2") == [b"1", b"2"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_every_line_end_is_one(end: bytes) -> None:
    assert events(b"data: 1" + end + end + b"data: 2" + end + end) == [b"1", b"2"]


@given(
    texts=st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1), max_size=6),
    end=st.sampled_from([b"\n", b"\r\n", b"\r"]),
    cuts=st.lists(st.integers(0, 200)),
)
def test_where_the_reads_are_cut_makes_no_difference(texts: list[str], end: bytes, cuts: list[int]) -> None:
    stream = b"".join(b"data: " + text.encode() + end + end for text in texts)
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    reads = [stream[a:b] for a, b in pairwise(edges)]
    assert events(*reads) == [text.encode() for text in texts]


def test_one_endless_event_is_refused_instead_of_kept() -> None:
    megabyte = b"x" * 2**20
    with pytest.raises(NonsenseReply):
        events(*[megabyte] * (sse.MAX_EVENT_BYTES // len(megabyte) + 1))


def test_endless_lines_of_one_event_are_refused_too() -> None:
    line = b"data: " + b"x" * (16 * 2**20) + b"\n"
    with pytest.raises(NonsenseReply):
        events(*[line] * 6)
