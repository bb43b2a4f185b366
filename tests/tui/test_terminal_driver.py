"""What of Textual's driver is written anew here: when Textual changes it, it is to be read again."""

from __future__ import annotations

import hashlib
import inspect

from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver

READ = "d796af6d69db337d6fa6bd463984f7d17188d991dbb22f60efb92a8a9619507c"
"""Of the method as it was when ``TerminalDriver.run_input_thread`` was written."""


def test_textual_reads_what_is_typed_as_it_did_when_ours_was_written() -> None:
    source = inspect.getsource(LinuxDriver.run_input_thread)
    assert hashlib.sha256(source.encode()).hexdigest() == READ, "compare it with TerminalDriver.run_input_thread"


def test_the_parser_makes_keys_of_answers_so_that_they_must_be_taken_out() -> None:
    parser = XTermParser()
    assert [event for text in ("\x1b_Gi=31;OK\x1b\\", "typed") for event in parser.feed(text)]
