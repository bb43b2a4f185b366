"""Messages that do not fit into the model's window, and what is sent in their place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ml_intern.errors import ConfigError
from ml_intern.frontends.headless.options import HeadlessOptions
from ml_intern.frontends.headless.output import Console
from ml_intern.frontends.headless.run import run_headless
from ml_intern.frontends.too_long import as_file
from ml_intern.protocol.operations import UserInput
from ml_intern.session.message_length import too_long
from tests.unit.frontends.fake_host import FakeHost, done, loaded_with, plays


@pytest.mark.parametrize(
    ("tokens", "window", "used", "fits"),
    [
        (370_000, 131_000, 0, False),
        (50_000, 131_000, 20_000, True),
        (50_000, 131_000, 90_000, False),
        (5_000, 131_000, 117_000, True),  # what is older makes room for it
        (116_000, 131_000, 0, False),  # instructions and tools need room as well
        (150_000, None, 5_000, True),
        (200_000, None, 0, False),
        (100, 300, 0, True),
    ],
)
def test_a_message_is_too_long_when_the_session_would_cut_it(tokens: int, window: int | None, used: int, fits: bool) -> None:
    assert (too_long(UserInput(text="word" * tokens), window=window, used=used) is None) is fits


def test_how_long_it_is_is_said_beside_what_the_model_takes() -> None:
    problem = too_long(UserInput(text="word" * 370_000), window=131_000, used=12_000)
    assert problem is not None
    assert problem.words == "The message has about 370k tokens; the model takes 131k, of which 12k are in use."


def test_the_file_holds_all_of_it_and_the_message_how_it_begins_and_ends(tmp_path: Path) -> None:
    (tmp_path / "message-1.txt").write_text("the user's own")
    text = "Look for the error.\n" + "é line\n" * 50_000 + "That was the log."
    sent = as_file(UserInput(text=text), tmp_path)
    assert (tmp_path / "message-2.txt").read_text() == text
    assert (tmp_path / "message-2.txt").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "message-1.txt").read_text() == "the user's own"
    assert "message-2.txt" in sent.text and "50,002 lines" in sent.text
    assert "Look for the error." in sent.text and sent.text.endswith("That was the log.")
    assert len(sent.text) < 5_000


def test_a_link_in_the_folder_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "message-1.txt").symlink_to(tmp_path / "elsewhere")
    as_file(UserInput(text="word" * 1_000), tmp_path)
    assert not (tmp_path / "elsewhere").exists()
    assert (tmp_path / "message-2.txt").exists()


async def test_a_headless_task_that_is_too_long_is_refused_before_anything_is_sent() -> None:
    host = FakeHost(plays(done("42")))

    async def open_host(**_given: Any) -> FakeHost:
        return host

    with pytest.raises(ConfigError) as refused:
        await run_headless(
            open_host, loaded_with(), HeadlessOptions(prompt="word" * 200_000), Console(stdout=1, stderr=2, stdout_is_terminal=False)
        )
    assert "about 200k tokens; the model takes perhaps 170k." in refused.value.message
    assert "Save what is long to a file" in refused.value.hint
    assert host.operations == [] and host.closed
