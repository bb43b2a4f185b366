"""Every command and key has a test that drives it through the app, and everything that is drawn has a picture."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.tui.driven import all_commands, all_keys, all_shown
from tests.tui.matrix import DRIVES, PICTURES

HERE = Path(__file__).parent
CLAIMED = [name for tests in DRIVES.values() for names in tests.values() for name in names]


def test_every_command_has_a_test_that_runs_it_in_the_app() -> None:
    assert not (missing := all_commands() - set(CLAIMED)), f"write a pilot test and put it into matrix.py: {', '.join(sorted(missing))}"


def test_every_key_has_a_test_that_presses_it_in_the_app() -> None:
    assert not (missing := all_keys() - set(CLAIMED)), f"write a pilot test and put it into matrix.py: {', '.join(sorted(missing))}"


def test_the_matrix_names_only_what_there_is_and_each_once() -> None:
    gone = set(CLAIMED) - all_commands() - all_keys()
    assert not gone, f"take out of matrix.py what is there no more: {', '.join(sorted(gone))}"
    twice = {name for name in CLAIMED if CLAIMED.count(name) > 1}
    assert not twice, f"matrix.py names more than once: {', '.join(sorted(twice))}"


def test_every_test_of_the_matrix_is_there() -> None:
    files = [str(HERE / name) for name in DRIVES]
    asked = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n0", "-p", "no:cacheprovider", *files]
    told = subprocess.run(asked, cwd=HERE.parents[1], capture_output=True, text=True, check=False, timeout=50)
    there = {tuple(row.split("::", 1)) for row in told.stdout.splitlines() if "::" in row}
    named = {(f"tests/tui/{file}", test) for file, tests in DRIVES.items() for test in tests}
    gone = {(Path(file).name, test) for file, test in named} - {(Path(file).name, test) for file, test in there}
    assert not gone, f"matrix.py names what is there no more: {sorted(gone)}"


def test_every_screen_card_and_block_has_a_picture() -> None:
    shown, named = all_shown(), set(PICTURES)
    assert not (missing := shown - named), f"make a picture and put it into matrix.py: {', '.join(sorted(missing))}"
    assert not (past := named - shown), f"take out of matrix.py what is there no more: {', '.join(sorted(past))}"
    gone = [name for names in PICTURES.values() for name in names if not (HERE / "__snapshots__" / f"{name}.raw").is_file()]
    assert not gone, f"matrix.py names pictures that are not there: {gone}"
