"""What each tool costs, folded from the events.

A step of the conversation costs what its request carried: of the call's price every tool takes the share that its outputs have in the
request's tokens, and the conversation itself (instructions, words, replies) the rest. So the shares add up to what the steps cost. An
output counts from the step that reads it first until it is summarised or taken back. Tokens of outputs are estimated by their length.
What a tool starts (jobs, sandboxes, sub-agents) is its own cost, beside that.
"""

from __future__ import annotations

from msgspec import Struct, field  # and no dataclasses: these stand on the path to the first paint

from ml_intern.protocol import events as e

CHARS_PER_TOKEN = 4
MAIN = "main"


class ToolAccount(Struct):
    """``tokens`` are those that requests carried of it, counted again with every request."""

    calls: int = 0
    tokens: int = 0
    model_usd: float = 0.0
    own_usd: float = 0.0


class ToolShares(Struct):
    """Every event costs the same, but for summaries and undo, which look at what the context holds."""

    by_tool: dict[str, ToolAccount] = field(default_factory=dict[str, ToolAccount])
    conversation: ToolAccount = field(default_factory=ToolAccount)
    _carried: dict[str, int] = field(default_factory=dict[str, int])
    _outputs: list[tuple[int, str, int]] = field(default_factory=list[tuple[int, str, int]])
    """Number of the event, tool, tokens: what the next request carries."""
    _tool_of: dict[str, str] = field(default_factory=dict[str, str])

    def read(self, seq: int, event: e.AnyEvent) -> None:
        """Count one event."""
        match event:
            case e.ToolCalled():
                self._tool_of[event.tool_call_id] = event.tool
                self.of(event.tool).calls += 1
            case e.ToolFinished():
                self._carry(seq, event.tool, len(event.output) // CHARS_PER_TOKEN + 1)
            case e.LlmCall() if event.kind == MAIN:
                self._split(event)
            case e.Compacted():
                self._keep([each for each in self._outputs if each[0] >= event.keep_from_seq])
            case e.UndoComplete() if event.cut_seq:
                self._keep([each for each in self._outputs if each[0] < event.cut_seq])
            case _:
                pass

    def of(self, tool: str) -> ToolAccount:
        """The tool's account."""
        return self.by_tool.setdefault(tool, ToolAccount())

    def tool_of(self, call_id: str) -> str:
        """The tool whose call that was; empty where the log does not say."""
        return self._tool_of.get(call_id, "")

    def _carry(self, seq: int, tool: str, count: int) -> None:
        self._outputs.append((seq, tool, count))
        self._carried[tool] = self._carried.get(tool, 0) + count

    def _keep(self, outputs: list[tuple[int, str, int]]) -> None:
        self._outputs, self._carried = [], {}
        for seq, tool, count in outputs:
            self._carry(seq, tool, count)

    def _split(self, call: e.LlmCall) -> None:
        """Estimates never take more than the whole request."""
        carried = sum(self._carried.values())
        whole = max(call.prompt_tokens, carried, 1)
        cost = call.cost_usd or 0.0
        for tool, count in self._carried.items():
            account = self.of(tool)
            account.tokens += count
            account.model_usd += cost * count / whole
        self.conversation.calls += 1
        self.conversation.tokens += whole - carried
        self.conversation.model_usd += cost * (whole - carried) / whole
