from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import BinaryIO

import pytest

from ml_intern.errors import ConfigError
from ml_intern.frontends.durations import seconds
from ml_intern.frontends.task_text import MAX_STDIN_BYTES, NoTask, task_text


class Keyboard(io.BytesIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def pipe() -> Iterator[tuple[BinaryIO, BinaryIO]]:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as read, os.fdopen(writer, "wb", buffering=0) as write:
        yield read, write


def test_the_prompt_alone_on_a_terminal() -> None:
    assert task_text("do it", stdin=Keyboard()) == "do it"


def test_no_prompt_on_a_terminal_is_no_task() -> None:
    with pytest.raises(NoTask):
        task_text(None, stdin=Keyboard())


@pytest.mark.parametrize("prompt", [None, "-"])
def test_standard_input_is_the_prompt(prompt: str | None) -> None:
    assert task_text(prompt, stdin=io.BytesIO("tüdelü\n".encode())) == "tüdelü\n"


def test_standard_input_is_appended_to_the_prompt() -> None:
    assert task_text("Review this", stdin=io.BytesIO(b"- a\n+ b\n")) == "Review this\n\n<stdin>\n- a\n+ b\n</stdin>"


def test_empty_input_adds_nothing() -> None:
    assert task_text("do it", stdin=io.BytesIO(b"\n")) == "do it"


@pytest.mark.parametrize("data", [b"", b" \n\t"])
def test_empty_input_is_no_prompt(data: bytes) -> None:
    with pytest.raises(ConfigError, match="empty"):
        task_text(None, stdin=io.BytesIO(data))


def test_bytes_that_are_no_text_do_not_stop_the_run() -> None:
    assert task_text(None, stdin=io.BytesIO(b"a\xffb")) == "a\ufffdb"


@pytest.mark.parametrize("data", [bytes(range(256)), bytes(range(128, 256)) * 9, "text".encode("utf-16")])
def test_binary_input_is_refused(data: bytes) -> None:
    for prompt in (None, "Review this"):
        with pytest.raises(ConfigError, match="binary"):
            task_text(prompt, stdin=io.BytesIO(data))


def test_text_in_another_encoding_is_read_as_well_as_it_can_be() -> None:
    assert "voil\ufffd" in task_text(None, stdin=io.BytesIO("voilà du café\n".encode("latin-1") * 99))


def test_too_much_input_is_an_error() -> None:
    with pytest.raises(ConfigError, match="longer than"):
        task_text(None, stdin=io.BytesIO(b"x" * (MAX_STDIN_BYTES + 1)))


def test_a_pipe_that_nobody_writes_to_is_not_waited_for(pipe: tuple[BinaryIO, BinaryIO], capsys: pytest.CaptureFixture[str]) -> None:
    """Many programs start others with an open pipe as standard input."""
    assert task_text("do it", stdin=pipe[0], wait_s=0) == "do it"
    assert "Nothing came on standard input" in capsys.readouterr().err


def test_a_pipe_that_has_begun_is_read_to_its_end(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    pipe[1].write(b"more")
    pipe[1].close()
    assert "more" in task_text("do it", stdin=pipe[0], wait_s=0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90", 90), ("90s", 90), ("5m", 300), ("1h", 3600), ("1h30m", 5400), ("1H2M3S", 3723), ("0.5m", 30), (" 7 ", 7)],
)
def test_durations_are_read_as_people_write_them(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "m", "5x", "-5", "1h-", "5 m", "inf", "nan", "1e3", "h"])
def test_other_texts_are_no_durations(text: str) -> None:
    assert not seconds(text)
