"""For pipes and dumb terminals: standard output carries the final answer and nothing else, progress is lines on standard error."""

from __future__ import annotations

import asyncio

from ml_intern.frontends.headless.describe import describe
from ml_intern.frontends.headless.ending import Ending, way_on
from ml_intern.frontends.headless.output import OutputThread
from ml_intern.frontends.headless.plan import PlanTeller
from ml_intern.frontends.headless.show import answer_lines
from ml_intern.frontends.headless.tally import Tally
from ml_intern.frontends.headless.text import Line, bare, lines
from ml_intern.frontends.sanitize import plain
from ml_intern.protocol.codec import Envelope
from ml_intern.protocol.events import (
    AssistantChunk,
    AssistantMessageAdded,
    PlanUpdate,
    ThinkingChunk,
    ToolCalled,
    ToolFinished,
    ToolLog,
    ToolStateChange,
)
from ml_intern.protocol.messages import JsonObject


class PlainOutput:
    """A reply's text goes to standard error, unless it turns out to be the answer: only the end of the turn can tell."""

    def __init__(self, out: OutputThread, *, verbose: bool) -> None:
        self._out = out
        self._verbose = verbose
        self._tally = Tally()
        self._plan = PlanTeller()
        self._calls: dict[str, JsonObject] = {}
        self._spoke: set[str] = set()
        self._held = ""
        self._started_at = asyncio.get_running_loop().time()

    async def show(self, envelope: Envelope) -> None:
        event = envelope.event
        if isinstance(event, AssistantChunk | ThinkingChunk):
            return  # only the whole reply tells whether it is the answer
        self._tally.apply(event)
        match event:
            case AssistantMessageAdded():
                self._release()
                self._held = event.content
                if event.tool_calls:
                    self._release()
            case PlanUpdate():
                self._tell(self._plan.tell(event.plan))
            case ToolCalled():
                self._calls[event.tool_call_id] = event.arguments
                self._tell(describe(event, verbose=self._verbose))
            case ToolFinished():
                arguments = self._calls.pop(event.tool_call_id, None)
                spoke = event.tool_call_id in self._spoke
                self._tell(answer_lines(event, arguments=arguments, verbose=self._verbose, excerpt=spoke))
            case ToolLog() if envelope.seq is None and not self._verbose:
                self._spoke.add(event.tool_call_id)  # output of a running command: the end of the call tells what mattered
            case ToolStateChange(arguments=dict(changed)) if event.tool_call_id in self._calls:
                self._calls[event.tool_call_id] = changed  # what runs is told at the end, not what the model asked for
                self._tell(describe(event, verbose=self._verbose))
            case _:
                self._tell(describe(event, verbose=self._verbose))

    def notice(self, text: str) -> None:
        self._out.stderr(f"{text}\n")

    stopping = notice

    def waiting(self, text: str) -> None:
        self._release()
        self.notice(plain(text))

    def rejected(self, text: str) -> None:
        self._release()
        self.notice(plain(text))

    async def finish(self, ending: Ending) -> None:
        if ending.answer:
            if self._held.strip() != ending.answer.strip():
                self._release()
            self._held = ""
            answer = plain(ending.answer)
            self._out.stdout(answer if answer.endswith("\n") else f"{answer}\n")
        self._release()
        for row in summary(ending, self._tally.summary(asyncio.get_running_loop().time() - self._started_at)):
            self._out.stderr(f"{bare(row)}\n")

    async def aclose(self) -> None:
        await self._out.flush()

    def _tell(self, rows: list[Line]) -> None:
        if rows:
            self._release()
            self._out.stderr("".join(f"{bare(row)}\n" for row in rows))

    def _release(self) -> None:
        """The held text was not the answer."""
        if self._held.strip():
            self._out.stderr(f"{plain(self._held).strip()}\n")
        self._held = ""


def summary(ending: Ending, used: str) -> list[Line]:
    """The last lines: how it ended, what it used, what runs on, how to go on."""
    rows = lines(ending.trouble, "bad") if ending.trouble else []
    rows += lines(f"{ending.words} · {used}", "dim")
    rows += lines(ending.jobs, "warn") if ending.jobs else []
    if ending.session_id:
        rows += lines(way_on(ending), "dim")
    return rows
