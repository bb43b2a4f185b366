"""A session of another process as it happens: under a line to type in on a terminal, as a stream of lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ml_intern.frontends.headless.describe import describe
from ml_intern.frontends.headless.output import Console, OutputThread
from ml_intern.frontends.headless.region import LiveRegion
from ml_intern.frontends.headless.show import answer_lines
from ml_intern.frontends.headless.terminal_output import TerminalOutput
from ml_intern.frontends.headless.text import Line, line
from ml_intern.frontends.sanitize import plain
from ml_intern.frontends.transcript import Transcript
from ml_intern.protocol import events as e
from ml_intern.protocol.codec import Envelope
from ml_intern.protocol.messages import JsonObject

SAME_TEXT = 0.9
"""Of a message: what was shown of it while it streamed may lack a scrubbed secret, and no more."""
TYPED_ROW_MARGIN = 4


class View(Protocol):
    """Where it is shown."""

    async def show(self, envelope: Envelope) -> None: ...

    def say(self, rows: list[Line]) -> None: ...

    async def aclose(self) -> None: ...


class ScreenView:
    """On a terminal, as a headless run looks there. ``typed``: the text and the cursor's place in it."""

    def __init__(
        self,
        out: OutputThread,
        console: Console,
        *,
        color: bool,
        verbose: bool,
        typed: Callable[[], tuple[str, int]],
        hint: Callable[[], str],
    ) -> None:
        self._typed = typed
        self._hint = hint
        self._aside = False
        self._region = LiveRegion(out, console, color=color)
        self._transcript = Transcript(live=True, verbose=verbose)
        self._output = TerminalOutput(out, self._region, color=color, verbose=verbose, below=self._below, hidden=lambda: self._aside)
        self._output.rest()

    async def show(self, envelope: Envelope) -> None:
        """See ``View``."""
        match envelope.event:
            case e.UserMessageAdded() | e.UndoComplete():
                self._output.say(self._transcript.tell(envelope))
            case e.TurnComplete() | e.Interrupted():
                self._output.say(self._transcript.tell(envelope))
                self._output.rest()
            case _:
                await self._output.show(envelope)

    def say(self, rows: list[Line]) -> None:
        """See ``View``."""
        self._output.say(rows)

    def redraw(self) -> None:
        """Something was typed."""
        self._output.redraw()

    def step_aside(self) -> None:
        """The terminal is somebody else's: until ``come_back`` nothing is drawn that would have to be erased."""
        self._aside = True
        self._output.redraw()

    def come_back(self) -> None:
        """Draw it again, below what the others wrote."""
        self._aside = False
        self._output.redraw()

    async def aclose(self) -> None:
        """See ``View``."""
        await self._output.cut_off()
        await self._output.aclose()

    def _below(self) -> Sequence[Line]:
        text, place = self._typed()
        shown = plain(text[:place] + ("▏" if place < len(text) else "") + text[place:]).replace("\n", "⏎").replace("\t", " ")
        room = max(8, self._region.columns() - TYPED_ROW_MARGIN)
        return [line(("dim", self._hint())), line(("accent", "❯ "), shown[-room:])]


class LineView:
    """Where nothing can be drawn twice: text as it comes, output of commands line by line."""

    def __init__(self, write: Callable[[str], None], paint: Callable[[list[Line]], str], *, verbose: bool) -> None:
        self._write = write
        self._paint = paint
        self._verbose = verbose
        self._transcript = Transcript(live=True, verbose=verbose)
        self._streamed = ""
        self._line_open = False
        self._calls: dict[str, JsonObject] = {}
        self._printed: dict[str, str] = {}
        """By call: the beginning of a line that is not complete; there at all when the call has printed something."""

    async def show(self, envelope: Envelope) -> None:
        """See ``View``."""
        match event := envelope.event:
            case e.AssistantChunk():
                self._streamed += event.content
                self._piece(plain(event.content))
            case e.ThinkingChunk():
                pass
            case e.AssistantMessageAdded():
                self._end_reply(envelope, event)
            case e.Retrying() if event.discard_text:
                self._streamed = ""
                self.say(describe(event, verbose=self._verbose))
            case e.ToolCalled():
                self._calls[event.tool_call_id] = event.arguments
                self.say(describe(event, verbose=self._verbose))
            case e.ToolStateChange(arguments=dict(changed)) if event.tool_call_id in self._calls:
                self._calls[event.tool_call_id] = changed  # what runs is shown, not what the model asked for
                self.say(describe(event, verbose=self._verbose))
            case e.ToolLog() if envelope.seq is None and event.tool_call_id in self._calls:
                self._log(event)
            case e.ToolFinished():
                arguments = self._calls.pop(event.tool_call_id, None)
                spoke = self._printed.pop(event.tool_call_id, None)
                self.say([line(("dim", f"  │ {spoke}"))] if spoke else [])
                self.say(answer_lines(event, arguments=arguments, verbose=self._verbose, excerpt=spoke is not None))
            case _:
                self.say(self._transcript.tell(envelope))

    def say(self, rows: list[Line]) -> None:
        """See ``View``."""
        if rows:
            self._close_line()
            self._write(self._paint(rows))

    async def aclose(self) -> None:
        """See ``View``."""
        self._close_line()

    def _end_reply(self, envelope: Envelope, message: e.AssistantMessageAdded) -> None:
        streamed, self._streamed = self._streamed, ""
        if streamed and message.content.startswith(streamed):
            self._piece(plain(message.content[len(streamed) :]))
        elif len(streamed) < SAME_TEXT * len(message.content):  # what came before one joined was not seen
            self.say(self._transcript.tell(envelope))
        self._close_line()

    def _log(self, event: e.ToolLog) -> None:
        *whole, rest = (self._printed.get(event.tool_call_id, "") + plain(event.log)).split("\n")
        self._printed[event.tool_call_id] = rest
        self.say([line(("dim", f"  │ {row}")) for row in whole])

    def _piece(self, text: str) -> None:
        if text:
            self._write(text)
            self._line_open = not text.endswith("\n")

    def _close_line(self) -> None:
        if self._line_open:
            self._write("\n")
            self._line_open = False
