"""A stored session as lines for a terminal: what was said, a line per call, and what was decided on the way."""

from __future__ import annotations

import msgspec

from ml_intern.frontends.headless.describe import describe
from ml_intern.frontends.headless.show import answer_lines, call_line
from ml_intern.frontends.headless.text import Line, line, lines
from ml_intern.frontends.sanitize import one_line
from ml_intern.protocol.amounts import counted
from ml_intern.protocol.codec import Envelope
from ml_intern.protocol.events import (
    AssistantMessageAdded,
    Interrupted,
    SubagentProgress,
    ToolCalled,
    ToolFinished,
    ToolStateChange,
    TurnComplete,
    UndoComplete,
    UserMessageAdded,
)
from ml_intern.protocol.senders import sender_words
from ml_intern.session.taken_back import TurnsSaid


class Transcript:
    """``live`` shows a call when it begins too, for a reader who waits for its end."""

    def __init__(self, *, live: bool, verbose: bool) -> None:
        self._live = live
        self._verbose = verbose
        self._calls: dict[str, ToolCalled] = {}
        self._turns = TurnsSaid()

    def tell(self, envelope: Envelope) -> list[Line]:
        """The lines of an event; none for bookkeeping."""
        event = envelope.event
        self._turns.read(envelope)
        match event:
            case UserMessageAdded():
                pictures = [line(("dim", f"  ({counted(len(event.images), 'picture')})"))] if event.images else []
                first, *more = lines(event.content, "bold")
                by = [line(("dim", f"  from {sender_words(event.sent_by)}"))] if event.sent_by else []
                return [line(), line(("accent", "❯ "), *first), *more, *pictures, *by, line()]
            case AssistantMessageAdded():
                return [*lines(event.content.strip()), line()] if event.content.strip() else []
            case ToolCalled():
                self._calls[event.tool_call_id] = event
                return describe(event, verbose=self._verbose) if self._live else []
            case ToolStateChange(arguments=dict(changed)) if event.tool_call_id in self._calls:
                call = self._calls[event.tool_call_id]  # what ran is told at the end, not what the model asked for
                self._calls[event.tool_call_id] = msgspec.structs.replace(call, arguments=changed)
                return describe(event, verbose=self._verbose)
            case ToolFinished():
                call = self._calls.pop(event.tool_call_id, None)
                return answer_lines(event, arguments=call.arguments if call else None, verbose=self._verbose)
            case SubagentProgress() if not self._live:
                return []  # its end tells it
            case UndoComplete() if event.cut_seq:
                return [line(("warn", f"↶ {one_line(self._turns.cut(event.cut_seq))}"))]
            case Interrupted():
                unread = [row for one in event.unread for row in lines(one.content, "dim", "    ")]
                told = [line(("warn", "  not read, and not kept; send it again if it still holds:")), *unread] if unread else []
                return [line(("warn", "· interrupted")), *told]
            case TurnComplete() if event.reason != "done":
                return [line(("warn", f"· stopped: {event.reason.replace('_', ' ')}{': ' + event.detail if event.detail else ''}"))]
            case _:
                return describe(event, verbose=self._verbose)

    def unanswered(self) -> list[Line]:
        """Calls that have no answer: they run now, or were cut off."""
        if self._live:
            return []
        return [call_line("▸", call.tool, call.arguments, note="no answer yet") for call in self._calls.values()]
