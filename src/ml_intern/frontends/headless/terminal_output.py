"""For people on a terminal: Markdown as it streams, a line per call, and a few moving lines that say what is going on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ml_intern.frontends.headless.describe import describe
from ml_intern.frontends.headless.ending import Ending
from ml_intern.frontends.headless.markdown import Block, MarkdownBlocks, MarkdownRenderer
from ml_intern.frontends.headless.output import OutputThread
from ml_intern.frontends.headless.plain_output import summary
from ml_intern.frontends.headless.plan import PlanTeller
from ml_intern.frontends.headless.region import LiveRegion
from ml_intern.frontends.headless.show import answer_lines, call_line
from ml_intern.frontends.headless.tally import Tally
from ml_intern.frontends.headless.text import Line, clip, line, lines, wrap
from ml_intern.frontends.sanitize import plain
from ml_intern.protocol.amounts import clock, count_text
from ml_intern.protocol.codec import Envelope
from ml_intern.protocol.events import (
    AnyEvent,
    AssistantChunk,
    AssistantMessageAdded,
    PlanUpdate,
    Processing,
    Retrying,
    ThinkingChunk,
    ToolCalled,
    ToolFinished,
    ToolLog,
    ToolStateChange,
)
from ml_intern.protocol.messages import JsonObject

TICK_S = 0.1
TEXT_COLUMNS = 100
OPEN_BLOCK_ROWS = 6
TAIL_ROWS = 3
CALLS_SHOWN = 4
TAIL_CHARS = 4_000
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_SAME_TEXT = 0.9
RESTING = "no turn runs"


@dataclass(slots=True)
class _Running:
    """A call that has no answer yet, and the last of what it printed."""

    tool: str
    arguments: JsonObject
    started_at: float
    printed: str = ""

    def tail(self, rows: int) -> list[str]:
        return [row for row in self.printed.split("\n") if row.strip()][-rows:] if rows else []


@dataclass(slots=True)
class _Reply:
    """The reply that streams now."""

    blocks: MarkdownBlocks = field(default_factory=MarkdownBlocks)
    shown: list[str] = field(default_factory=list[str])


class TerminalOutput:
    """Owns the terminal from ``start`` to ``aclose``. Everything it draws from a model or a tool has lost its control sequences."""

    def __init__(
        self,
        out: OutputThread,
        region: LiveRegion,
        *,
        color: bool,
        verbose: bool,
        below: Callable[[], Sequence[Line]] = tuple,
        hidden: Callable[[], bool] = lambda: False,
    ) -> None:
        """``below``: rows that stand under the moving part, such as what is being typed; ``hidden``: whether nothing may move now."""
        self._out = out
        self._region = region
        self._color = color
        self._verbose = verbose
        self._below = below
        self._hidden = hidden
        self._clock = asyncio.get_running_loop().time
        self._started_at = self._clock()
        self._tally = Tally()
        self._plan = PlanTeller()
        self._running: dict[str, _Running] = {}
        self._reply = _Reply()
        self._doing = "starting"
        self._last_kind = ""
        self._frame = 0
        self._renderer: asyncio.Task[MarkdownRenderer] | None = None
        self._ticker = asyncio.create_task(self._tick())

    async def show(self, envelope: Envelope) -> None:
        event = envelope.event
        self._tally.apply(event)
        match event:
            case AssistantChunk():
                self._doing = "writing"
                await self._stream(event.content)
            case AssistantMessageAdded():
                await self._end_reply(event)
            case ToolCalled():
                self._running[event.tool_call_id] = _Running(event.tool, event.arguments, self._clock())
                self._region.write("", self._moving())
            case ToolFinished():
                self._end_call(event)
            case ToolLog() if envelope.seq is None:
                self._log(event)
            case PlanUpdate():
                self._print("plan", self._plan.tell(event.plan))
            case Retrying():
                self._retry(event)
            case ToolStateChange(arguments=dict(changed)) if event.tool_call_id in self._running:
                self._running[event.tool_call_id].arguments = changed  # what runs is shown, not what the model asked for
                self._print("notice", describe(event, verbose=self._verbose))
            case _:
                self._doing = _activity(event) or self._doing
                self._print("notice", describe(event, verbose=self._verbose))

    def notice(self, text: str) -> None:
        self._print("notice", lines(text, "dim"))

    rejected = notice

    def say(self, rows: list[Line]) -> None:
        """Lines as they are."""
        self._print("notice", rows)

    def rest(self) -> None:
        """No turn runs."""
        self._doing = RESTING

    def redraw(self) -> None:
        """What stands below has changed."""
        self._region.write("", self._moving())

    def waiting(self, text: str) -> None:
        self._doing = "waiting for an answer"
        self._print("notice", lines(text, "warn"))

    def stopping(self, text: str) -> None:
        self._doing = "stopping"
        self._print("notice", lines(text, "warn"))

    async def cut_off(self) -> None:
        """Whoever watches leaves in the middle of a reply: what was written of it stays on the screen."""
        await self._print_blocks(self._reply.blocks.finish())

    async def finish(self, ending: Ending) -> None:
        await self._print_blocks(self._reply.blocks.finish())
        self._ticker.cancel()
        self._region.write("\n" if self._last_kind else "", ())
        used = self._tally.summary(self._clock() - self._started_at)
        for row in summary(ending, used):
            self._out.stderr(f"{self._region.last_words(row)}\n")

    async def aclose(self) -> None:
        """Leaves the terminal without moving parts, however the run ended."""
        self._ticker.cancel()
        await asyncio.wait([self._ticker])
        self._region.write("", ())
        if self._renderer is not None:
            await asyncio.wait([self._renderer])  # a thread cannot be cancelled
        await self._out.flush()

    # ── text ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _stream(self, text: str) -> None:
        self._reply.shown.append(text)
        await self._print_blocks(self._reply.blocks.feed(text))

    async def _end_reply(self, message: AssistantMessageAdded) -> None:
        reply, self._reply = self._reply, _Reply()
        shown = "".join(reply.shown)
        blocks: list[Block] = []
        if message.content.startswith(shown):
            blocks += reply.blocks.feed(message.content[len(shown) :])
            blocks += reply.blocks.finish()
        else:
            blocks += reply.blocks.finish()
            if len(shown) < _SAME_TEXT * len(message.content):  # pieces were lost on the way; a scrubbed secret alone is no reason
                blocks += [*(whole := MarkdownBlocks()).feed(message.content), *whole.finish()]
        if self._verbose:
            self._print("notice", [row for part in message.thinking for row in lines(part.text, "dim", "  ")])
        await self._print_blocks(blocks)
        self._doing = "working"

    async def _print_blocks(self, blocks: list[Block]) -> None:
        if not blocks:
            return
        renderer = await self._rendering()
        columns = min(self._region.columns(), TEXT_COLUMNS)
        pages = [("" if block.continued else self._gap("text")) + renderer.render(block, columns) for block in blocks]
        self._region.write("".join(pages), self._moving())

    async def _rendering(self) -> MarkdownRenderer:
        """Rich is imported in a thread, when the first model request has long been sent."""
        if self._renderer is None:
            self._renderer = asyncio.create_task(asyncio.to_thread(MarkdownRenderer, color=self._color))
        return await asyncio.shield(self._renderer)

    def _retry(self, event: Retrying) -> None:
        if event.discard_text and self._reply.shown:
            self._reply = _Reply()
            self._print("notice", [line(("dim", "· the text above was cut off and will come again"))])
        self._doing = "waiting"
        self._print("notice", describe(event, verbose=self._verbose))

    # ── calls ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _log(self, event: ToolLog) -> None:
        if (call := self._running.get(event.tool_call_id)) is not None:
            said = f"{event.label}: {event.log}\n" if event.label else event.log
            call.printed = (call.printed + plain(said))[-TAIL_CHARS:]

    def _end_call(self, answer: ToolFinished) -> None:
        call = self._running.pop(answer.tool_call_id, None)
        arguments = call.arguments if call is not None else None
        spoke = call is not None and bool(call.printed)
        rows = answer_lines(answer, arguments=arguments, verbose=self._verbose, excerpt=spoke)
        self._doing = "waiting for the model"
        self._print("tool", rows)

    # ── drawing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _gap(self, kind: str) -> str:
        """An empty line between unlike things, and between blocks of text."""
        last, self._last_kind = self._last_kind, kind
        return "\n" if last and (last != kind or kind in ("text", "plan")) else ""

    def _print(self, kind: str, rows: list[Line]) -> None:
        if not rows:
            return
        columns = self._region.columns()
        drawn = [self._region.styled(part) for row in rows for part in self._fitted(row, columns, whole=kind == "notice")]
        self._region.write(self._gap(kind) + "".join(f"{row}\n" for row in drawn), self._moving())

    def _fitted(self, row: Line, columns: int, *, whole: bool) -> list[Line]:
        """Notices are wrapped, for every word may matter; calls and what they show are cut."""
        if not whole or len(row) != 1:
            return [clip(row, columns)]
        ((style, text),) = row
        indent = " " * (len(text) - len(text.lstrip(" ")))
        return [((style, indent + part),) for part in wrap(text[len(indent) :], columns - len(indent))]

    def _moving(self) -> list[Line]:
        if self._hidden():
            return []
        columns = min(self._region.columns(), TEXT_COLUMNS)
        open_rows = [part for row in self._reply.blocks.pending(OPEN_BLOCK_ROWS) for part in wrap(plain(row), columns - 1)]
        rows: list[Line] = [line(row) for row in open_rows[-OPEN_BLOCK_ROWS:]]
        if rows and self._last_kind:
            rows.insert(0, ())
        now = self._clock()
        calls = list(self._running.values())
        if calls and self._last_kind not in ("", "tool") and not rows:
            rows.append(())
        for call in calls[:CALLS_SHOWN]:
            rows.append(call_line("▸", call.tool, call.arguments, note=clock(now - call.started_at)))
            rows += [line(("dim", f"  │ {row}")) for row in call.tail(TAIL_ROWS if len(calls) == 1 else 1)]
        if len(calls) > CALLS_SHOWN:
            rows.append(line(("dim", f"  and {len(calls) - CALLS_SHOWN} more")))
        return [*rows, (), self._status(now), *self._below()]

    def _status(self, now: float) -> Line:
        spinner = "·" if self._doing == RESTING else _SPINNER[self._frame % len(_SPINNER)]
        doing = "running" if self._running and self._doing != "stopping" else self._doing
        parts = [clock(now - self._started_at)]
        if self._tally.steps:
            parts += [f"step {self._tally.steps}", f"context {count_text(self._tally.context_tokens)}", self._tally.cost]
        return line(("accent", f"{spinner} {doing}"), ("dim", " · " + " · ".join(parts)))

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._frame += 1
            if not self._out.busy:  # a stopped terminal gets one picture when it goes on, not one per tick
                self._region.write("", self._moving())


def _activity(event: AnyEvent) -> str:
    match event:
        case Processing():
            return "waiting for the model"
        case ThinkingChunk():
            return "thinking"
        case _:
            return ""
