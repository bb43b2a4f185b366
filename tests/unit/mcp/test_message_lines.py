"""Messages cut from a program's output."""

from __future__ import annotations

import pytest
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCError

from ml_intern.mcp.message_lines import TOO_LONG, Lines, TooLong, message, refused_message


def test_lines_are_whole_wherever_the_pieces_are_cut() -> None:
    data = b'{"one": "\xc3\xa9"}\n\n{"two": 2}\r\nrest'
    for size in range(1, len(data)):
        lines = Lines(100)
        found = [line for start in range(0, len(data), size) for line in lines.feed(data[start : start + size])]
        assert found == [(b'{"one": "\xc3\xa9"}', True), (b"", True), (b'{"two": 2}\r', True)]


@pytest.mark.parametrize("size", [1, 7, 100, 5_000, 1_000_000])
def test_of_a_line_that_is_too_long_its_two_ends_are_kept_and_the_next_is_whole(size: int) -> None:
    data = b"begin" + b"x" * 100_000 + b"end\nnext\n"
    lines = Lines(2_000)
    (ends, whole), following = (line for start in range(0, len(data), size) for line in lines.feed(data[start : start + size]))
    assert not whole and ends.startswith(b"begin") and ends.endswith(b"end") and len(ends) <= 2_000
    assert following == (b"next", True)


@pytest.mark.parametrize(
    ("line", "number"),
    [
        (b'{"jsonrpc":"2.0","id":7,"result":{"text":"xxx', 7),
        (b'{"id": "a-1", "result": {"text":"xxx', "a-1"),
        (b'{"result":{"id":5,"text":"xxx"},"jsonrpc":"2.0","id":7}', 7),
        (b'{"result":{"text":"xxx"},"id":7,"jsonrpc":"2.0"}\r', 7),
    ],
)
def test_whoever_waits_for_an_answer_that_is_too_long_is_told(line: bytes, number: int | str) -> None:
    told = refused_message(line, 1_000)
    assert isinstance(told, SessionMessage) and isinstance(told.message, JSONRPCError)
    assert told.message.id == number and told.message.error.code == TOO_LONG


@pytest.mark.parametrize(
    "line",
    [
        b'{"jsonrpc":"2.0","method":"notifications/message","params":{"id":5}}',
        b'{"jsonrpc":"2.0","id":7,"method":"sampling/createMessage","params":{}}',
        b'{"result":{"text":"\\"id\\":5',
    ],
)
def test_what_answers_nobody_ends_no_call(line: bytes) -> None:
    assert isinstance(refused_message(line, 1_000), TooLong)


def test_what_is_no_message_is_told_and_not_raised() -> None:
    assert isinstance(message(b"Welcome!"), ValueError)
    assert isinstance(message(b'{"jsonrpc":"2.0","id":1,"result":{"text":"\xff"}}'), SessionMessage)
