"""What of Textual's driver is written anew here: when Textual changes it, it is to be read again."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import os
import pty
import tty

from textual import events
from textual._xterm_parser import XTermParser
from textual.app import App
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from ml_intern.frontends.tui.terminal.driver import TerminalDriver

READ = "d796af6d69db337d6fa6bd463984f7d17188d991dbb22f60efb92a8a9619507c"
"""Of the method as it was when ``TerminalDriver.run_input_thread`` was written."""


def test_textual_reads_what_is_typed_as_it_did_when_ours_was_written() -> None:
    source = inspect.getsource(LinuxDriver.run_input_thread)
    assert hashlib.sha256(source.encode()).hexdigest() == READ, "compare it with TerminalDriver.run_input_thread"


def test_the_parser_makes_keys_of_answers_so_that_they_must_be_taken_out() -> None:
    parser = XTermParser()
    assert [event for text in ("\x1b_Gi=31;OK\x1b\\", "typed") for event in parser.feed(text)]


class Told(App[int]):
    """It hears that its terminal is gone."""

    def __init__(self) -> None:
        super().__init__()
        self.gone = asyncio.Event()

    def terminal_gone(self) -> None:
        self.gone.set()


async def test_a_terminal_that_is_gone_is_not_read_for_ever() -> None:
    ours, theirs = pty.openpty()
    app = Told()
    driver = TerminalDriver(app)
    driver.fileno = theirs
    reading = asyncio.create_task(asyncio.to_thread(driver.run_input_thread))
    os.close(ours)
    try:
        await asyncio.wait_for(asyncio.gather(reading, app.gone.wait()), 10)
    finally:
        driver.exit_event.set()
        await reading
        os.close(theirs)


class Heard(TerminalDriver):
    """It keeps the keys that it read, for nobody."""

    def process_message(self, message: Message) -> None:
        if isinstance(message, events.Paste):
            self.keys.append(f"pasted {message.text!r}")
        if isinstance(message, events.Key):
            self.keys.append(message.key)
            if message.key == "q":
                self.exit_event.set()

    keys: list[str]


async def read_from_a_terminal(sent: bytes) -> list[str]:
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    driver = Heard(Told())
    driver.fileno, driver.keys = theirs, []
    os.write(ours, sent)
    try:
        await asyncio.wait_for(asyncio.to_thread(driver.run_input_thread), 10)
    finally:
        driver.exit_event.set()
        os.close(ours)
        os.close(theirs)
    return driver.keys


async def test_a_terminal_without_the_kitty_protocol_has_alt_enter_and_shift_enter() -> None:
    assert await read_from_a_terminal(b"a\x1b\rb\x1b[27;2;13~\rq") == ["a", "alt+enter", "b", "shift+enter", "enter", "q"]


async def test_an_esc_in_a_paste_sends_nothing_and_the_paste_is_whole() -> None:
    sent = b"\x1b[200~" + b"red\x1b[31m\x1b\r" * 200 + b"\x1b[201~q"
    whole = "red[31m\r" * 200
    assert await read_from_a_terminal(sent) == [f"pasted {whole!r}", "q"]
