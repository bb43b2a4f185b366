"""``!``: shell lines of the user's own. They run as the user would run them; the model hears of them with the next message.

Several run at once, each in a block of its own. They have no terminal and empty input: a program that wants to be typed into says
so and ends, and never fights with the app for the keys.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from ml_intern.frontends.sanitize import plain
from ml_intern.protocol.ran_words import ran_words

if TYPE_CHECKING:
    from ml_intern.compute.base import CommandResult
    from ml_intern.compute.process import Process
    from ml_intern.frontends.tui.app import TuiApp

KEPT_CHARS = 20_000
"""Of one line's output, for the model; of all lines since the last message together, twice that."""
MOST_AT_ONCE = 8
SPILL_BYTES = 16 * 1024 * 1024
"""Of an output too long for memory that are kept in a file until the app is left."""
LAST_WAIT_S = 2.0
"""For what was killed when the app is left: a process that waits for a dead disk ends when it likes."""


class ShellResult(Struct, frozen=True):
    """``output``: standard output and error as they came, cut in the middle when it is long. ``note``: what else is to be said."""

    line: str
    output: str
    exit_code: int
    duration_s: float
    stopped: bool = False
    note: str = ""

    @property
    def outcome(self) -> str:
        """Beside the line on the screen."""
        return "stopped" if self.stopped else f"exit code {self.exit_code}" if self.exit_code else ""

    @property
    def for_model(self) -> str:
        """What goes ahead of the next message."""
        how = "and stopped it" if self.stopped else f"(exit code {self.exit_code})"
        return ran_words(self.line, how, _cut(self.output.strip(), KEPT_CHARS) or "(no output)")


class ShellLines:
    """What runs, what is left of it, and what the model has not heard of yet. Closed when the app is left: nothing outlives it."""

    def __init__(self) -> None:
        self._running: list[Process] = []
        self._left: list[Process] = []
        """Ended, but something that they started in the background has not."""
        self._stopped: set[int] = set()
        self._ran: list[ShellResult] = []
        self._told: list[ShellResult] = []
        """What the last message took with it."""
        self._spill_dir = Path(tempfile.gettempdir()) / f"ml-intern-shell-{os.urandom(6).hex()}"

    @property
    def running(self) -> bool:
        """Whether there is one to be stopped."""
        return any(process.pid not in self._stopped for process in self._running)

    def stop(self) -> None:
        """Ask the newest one and all that it started to end, and make them a little later."""
        for process in reversed(self._running):
            if process.pid not in self._stopped:
                self._stopped.add(process.pid)
                process.terminate()
                return

    def take_told(self) -> list[str]:
        """What the model is told of the lines since the last message, oldest first; of too much, the newest."""
        ran = self._told = self._ran
        self._ran = []
        told: list[str] = []
        for result in reversed(ran):
            too_much = told and sum(map(len, told)) + min(len(result.output), KEPT_CHARS) > 2 * KEPT_CHARS
            told.append((structs.replace(result, output="(output left out)") if too_much else result).for_model)
        return told[::-1]

    def untold(self) -> None:
        """The message that was to tell it was not sent: the next one does."""
        self._ran, self._told = [*self._told, *self._ran], []

    def forget(self) -> None:
        """The model of another session is told nothing of what ran, or runs, beside this one."""
        self._ran, self._told = [], []

    async def run(self, line: str, app: TuiApp) -> None:
        """Run it to its end beside whatever the session does, and show it."""
        from ml_intern.compute.output import OutputCapture
        from ml_intern.compute.process import start_process
        from ml_intern.frontends.tui.blocks.shell import ShellBlock

        app.conversation.to_end()
        if len(self._running) >= MOST_AT_ONCE:
            app.say(f"! {line} was not started: {MOST_AT_ONCE} lines run already. Esc stops the newest.", bad=True)
            return
        # what writes to no terminal may keep its lines to itself until the end: Python need not
        environ = {"PYTHONUNBUFFERED": "1", **app.loaded.environ.as_dict()}
        block = ShellBlock(line, started_at=asyncio.get_running_loop().time())
        argv = [environ.get("SHELL") or "/bin/sh", "-c", line]
        capture = OutputCapture(self._spill_dir, spill_limit_bytes=SPILL_BYTES)
        try:
            process = start_process(argv, cwd=app.loaded.cwd, env=environ, capture=capture, on_output=block.write)
        except (OSError, ValueError) as error:  # the second: a NUL in the line
            app.say(f"! {line} cannot be run: {error}.", bad=True)
            return
        app.conversation.add(block)
        ran = self._ran  # those of the session that it was started in
        result = await self._to_its_end(line, process)
        ran.append(result)
        block.finish(result.output, result.outcome, result.note, duration_s=result.duration_s, good=result.exit_code == 0)

    async def _to_its_end(self, line: str, process: Process) -> ShellResult:
        self._running.append(process)
        try:
            ended = await process.wait()
        except asyncio.CancelledError:
            process.kill()
            raise
        finally:
            self._running.remove(process)
            self._left = [each for each in (*self._left, process) if each.result is None or each.holds_on]
        stopped = process.pid in self._stopped
        self._stopped.discard(process.pid)
        return ShellResult(line, _text_of(ended), ended.exit_code, ended.duration_s, stopped, _note_of(ended))

    async def aclose(self) -> None:
        """The app is left: all of it is killed, with what it left in the background."""
        living = [*self._running, *self._left]
        for process in living:
            process.kill()
        if waiting := [asyncio.ensure_future(process.wait()) for process in living]:
            _, late = await asyncio.wait(waiting, timeout=LAST_WAIT_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        for process in living:
            process.abandon()
        self._left.clear()
        await asyncio.to_thread(shutil.rmtree, self._spill_dir, ignore_errors=True)


def _text_of(ended: CommandResult) -> str:
    if not ended.tail:
        return plain(ended.head)
    missing = ended.total_bytes - len(ended.head.encode()) - len(ended.tail.encode())
    return plain(f"{ended.head}\n[… about {max(missing, 0):,} bytes left out …]\n{ended.tail}")


def _note_of(ended: CommandResult) -> str:
    notes: list[str] = []
    if ended.holds_on:
        notes.append("something that it started still runs; leaving the app ends it")
    if ended.spill_path is not None:
        part = "all of it" if ended.spilled_bytes == ended.total_bytes else f"its first {ended.spilled_bytes:,} bytes"
        notes.append(f"{part}, until you leave: {ended.spill_path}")
    return " · ".join(notes)


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half} characters left out …]\n{text[-half:]}"
