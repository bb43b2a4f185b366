from __future__ import annotations

import logging
from pathlib import Path

import pytest

from ml_intern.config.environ import Environ
from ml_intern.frontends.logs import MAX_BYTES, log_file, set_up_logging


@pytest.fixture
def environ(home: Path) -> Environ:
    return Environ({"HOME": str(home), "MY_TOKEN": "correct-horse-battery"})


def test_nothing_is_written_before_something_goes_wrong(environ: Environ) -> None:
    set_up_logging(environ, verbose=False)
    logging.getLogger("ml_intern.x").info("all is well")
    assert not log_file(environ).exists()


def test_warnings_go_to_a_file_of_the_users_own_and_not_to_the_screen(environ: Environ, capfd: pytest.CaptureFixture[str]) -> None:
    set_up_logging(environ, verbose=False)
    logging.getLogger("ml_intern.x").warning("a tool crashed with correct-horse-battery")
    path = log_file(environ)
    assert "WARNING ml_intern.x: a tool crashed with" in path.read_text()
    assert "correct-horse" not in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0
    assert capfd.readouterr().err == ""


def test_verbose_shows_them_too(environ: Environ, capfd: pytest.CaptureFixture[str]) -> None:
    set_up_logging(environ, verbose=True)
    logging.getLogger("ml_intern.x").warning("a tool crashed")
    assert "a tool crashed" in capfd.readouterr().err


def test_a_file_that_has_grown_too_long_is_put_aside(environ: Environ) -> None:
    path = log_file(environ)
    path.parent.mkdir(parents=True)
    path.write_text("x" * (MAX_BYTES + 1))
    set_up_logging(environ, verbose=False)
    logging.getLogger("ml_intern.x").warning("fresh")
    assert path.stat().st_size < 1000
    assert path.with_suffix(".log.1").stat().st_size == MAX_BYTES + 1


def test_a_file_that_cannot_be_written_is_said_once(environ: Environ, home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (home / ".local").mkdir()
    (home / ".local/state").write_text("in the way")
    set_up_logging(environ, verbose=False)
    logging.getLogger("ml_intern.x").warning("one")
    logging.getLogger("ml_intern.x").warning("two")
    assert capfd.readouterr().err.count("cannot be written") == 1
