from __future__ import annotations

import asyncio
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ml_intern.compute.live_output import PIECE_CHARS, LiveOutput
from ml_intern.compute.output import HEAD_BYTES, TAIL_BYTES, OutputCapture


def test_little_output_is_kept_whole_and_touches_no_disk(tmp_path: Path) -> None:
    capture = OutputCapture(tmp_path / "spill")
    capture.feed(b"abc")
    capture.feed(b"def")
    assert (capture.head, capture.tail, capture.total_bytes, capture.spill_path) == (b"abcdef", b"", 6, None)
    assert not (tmp_path / "spill").exists()


def test_much_output_keeps_its_head_its_tail_and_a_file_with_all(tmp_path: Path) -> None:
    data = b"".join(b"%08d\n" % n for n in range(100_000))
    capture = OutputCapture(tmp_path / "spill")
    for start in range(0, len(data), 7000):
        capture.feed(data[start : start + 7000])
    capture.close()
    assert capture.head == data[:HEAD_BYTES]
    assert capture.tail == data[-TAIL_BYTES:]
    assert capture.spill_path is not None
    assert capture.spill_path.read_bytes() == data
    assert capture.spill_path.stat().st_mode & 0o077 == 0
    assert capture.slice(500_000, 500_009) == data[500_000:500_009]


def test_the_file_stops_at_its_limit_and_the_result_can_tell(tmp_path: Path) -> None:
    capture = OutputCapture(tmp_path, spill_limit_bytes=300_000)
    for _ in range(10):
        capture.feed(b"x" * 100_000)
    assert (capture.total_bytes, capture.spilled_bytes) == (1_000_000, 300_000)
    assert capture.spill_path is not None
    assert capture.spill_path.stat().st_size == 300_000


def test_a_disk_that_takes_no_file_does_not_hurt_the_command(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    capture = OutputCapture(tmp_path / "file" / "no-folder")
    for _ in range(10):
        capture.feed(b"x" * 50_000)
    capture.feed(b"end")
    assert (capture.total_bytes, capture.spilled_bytes, capture.spill_path) == (500_003, 0, None)
    assert capture.head == b"x" * HEAD_BYTES
    assert capture.tail.endswith(b"xend")
    assert capture.slice(500_000, 500_003) == b"end"
    assert capture.slice(0, 3) == b"xxx"


@given(st.lists(st.binary(max_size=60_000), max_size=12))
def test_head_and_tail_are_the_ends_of_what_came(pieces: list[bytes]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        capture = OutputCapture(Path(folder))
        for piece in pieces:
            capture.feed(piece)
        capture.close()
        data = b"".join(pieces)
        assert capture.total_bytes == len(data)
        assert data.startswith(capture.head)
        assert data.endswith(capture.tail)
        assert capture.head + capture.tail == data or capture.spill_path is not None
        assert capture.slice(0, len(data)) == data


async def test_a_torrent_is_shown_in_few_bounded_pieces_that_say_what_they_skip() -> None:
    pieces: list[str] = []
    live = LiveOutput(pieces.append, asyncio.get_running_loop())
    for _ in range(1000):
        live.feed(b"y" * 10_000)
    live.feed(b"the end")
    live.flush()
    assert len(pieces) == 1
    assert len(pieces[0]) <= 2 * PIECE_CHARS + 100
    assert "characters not shown live" in pieces[0]
    assert pieces[0].endswith("the end")


async def test_a_character_cut_in_two_is_shown_once() -> None:
    pieces: list[str] = []
    live = LiveOutput(pieces.append, asyncio.get_running_loop())
    live.feed("é".encode()[:1])
    live.flush()
    live.feed("é".encode()[1:])
    live.flush()
    assert pieces == ["é"]


async def test_a_quick_command_shows_nothing_live() -> None:
    pieces: list[str] = []
    live = LiveOutput(pieces.append, asyncio.get_running_loop())
    live.feed(b"done\n")
    live.finish()
    assert pieces == []


async def test_once_something_was_shown_the_rest_is_too() -> None:
    pieces: list[str] = []
    live = LiveOutput(pieces.append, asyncio.get_running_loop())
    live.feed(b"one ")
    live.flush()
    live.feed(b"two")
    live.finish()
    assert pieces == ["one ", "two"]
