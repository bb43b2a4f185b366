"""A call that waits for a yes or a no: exactly what will run, what it may do and cost, and the keys that decide it."""

from __future__ import annotations

from typing import ClassVar, Literal

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static, TextArea

from ml_intern.config.keys import DEFAULT_KEYS
from ml_intern.frontends.sanitize import plain
from ml_intern.frontends.tui.cards.body import CallBody
from ml_intern.frontends.tui.cards.facts import MONEY, Editable, editable, edited, title
from ml_intern.frontends.tui.own_app import own_app
from ml_intern.protocol.events import PendingTool
from ml_intern.protocol.operations import ApprovalAnswer

Remember = Literal["", "session", "project"]


class ApprovalCard(Vertical, can_focus=True):
    """One call. It decides nothing itself: it says what the user decided."""

    DEFAULT_CSS = """
    ApprovalCard { height: auto; border: round $warning; padding: 0 1; background: $surface; }
    ApprovalCard:focus-within { border: round $primary; }
    ApprovalCard > VerticalScroll { height: auto; max-height: 34vh; scrollbar-size-vertical: 1; }
    ApprovalCard > .title { text-style: bold; color: $warning; }
    ApprovalCard > .keys { color: $foreground 60%; }
    ApprovalCard > Input, ApprovalCard > TextArea { display: none; }
    ApprovalCard.-words > Input { display: block; }
    ApprovalCard.-editing > TextArea { display: block; height: 12; max-height: 40vh; }
    ApprovalCard.-editing > VerticalScroll { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(DEFAULT_KEYS["approve"], "approve", "Approve", id="approve"),
        Binding(DEFAULT_KEYS["reject"], "reject", "Reject, with words", id="reject"),
        Binding(DEFAULT_KEYS["edit"], "edit", "Edit, then approve", id="edit"),
        Binding(DEFAULT_KEYS["always_session"], "always('session')", "Always in this session", id="always_session"),
        Binding(DEFAULT_KEYS["always_project"], "always('project')", "Always in this project", id="always_project"),
        Binding(DEFAULT_KEYS["approve_all"], "approve_all", "Approve all that wait", id="approve_all"),
        Binding(DEFAULT_KEYS["approve_rest"], "approve_rest", "Approve this and the rest without asking", id="approve_rest"),
        Binding("up", "scroll_body(-1)", "Up", show=False),
        Binding("down", "scroll_body(1)", "Down", show=False),
        Binding("pageup", "scroll_body(-10)", "Page up", show=False),
        Binding("pagedown", "scroll_body(10)", "Page down", show=False),
        Binding("tab", "next_card", "Next", show=False),
        Binding("escape", "leave", "Back", show=False),
    ]

    class Decided(Message):
        """The user decided one call; ``cap_usd`` raises the cap first."""

        def __init__(self, answer: ApprovalAnswer, *, cap_usd: float | None = None) -> None:
            super().__init__()
            self.answer = answer
            self.cap_usd = cap_usd

    class AllApproved(Message):
        """Everything that waits; with ``rest`` also what comes, unasked."""

        def __init__(self, *, rest: bool) -> None:
            super().__init__()
            self.rest = rest

    class Left(Message):
        """Back to the composer, or with ``onwards`` to the next card."""

        def __init__(self, *, onwards: bool) -> None:
            super().__init__()
            self.onwards = onwards

    def __init__(self, tool: PendingTool) -> None:
        super().__init__()
        self.tool = tool
        self._editable: Editable | None = None
        self._asks_for_cap = False

    def compose(self) -> ComposeResult:
        yield Static(Content(plain(title(self.tool))), classes="title")
        with VerticalScroll(can_focus=False):
            yield CallBody(self.tool)
        yield Input(placeholder="Why not? (Enter rejects, Esc goes back)")
        yield TextArea(soft_wrap=False, show_line_numbers=True)
        yield Static(Content(self._keys()), classes="keys")

    @property
    def name_shown(self) -> str:
        """What it is about."""
        return title(self.tool)

    def counted(self, place: int, of: int) -> None:
        """Which of those that wait this is."""
        counter = f"[{place}/{of}] " if of > 1 else ""
        self.query_one(".title", Static).update(Content(counter + plain(title(self.tool))))

    def _keys(self) -> str:
        if self.tool.tool == "usage_threshold":
            return "y go on · n stop"
        if self.tool.tool == "yolo_budget":
            return "y raise the cap · n stop"
        always = f"\ns always in this session, p in this project: {plain(self.tool.remember_rule)}" if self.tool.remember_rule else ""
        return f"y approve · n reject · e edit · a all that wait · A this and the rest{always}"

    # ── decisions ────────────────────────────────────────────────────────────────────────────────────────────────────

    def action_approve(self) -> None:
        if self.tool.tool == "yolo_budget":
            self._ask_for_cap()
            return
        self._decide(ApprovalAnswer(tool_call_id=self.tool.tool_call_id, approved=True))

    def action_always(self, remember: Remember) -> None:
        if self.tool.remember_rule and self.tool.tool not in MONEY:
            self._decide(ApprovalAnswer(tool_call_id=self.tool.tool_call_id, approved=True, remember=remember))

    def action_approve_all(self) -> None:
        self.post_message(self.AllApproved(rest=False))

    def action_approve_rest(self) -> None:
        if self.tool.tool not in MONEY:
            self.post_message(self.AllApproved(rest=True))

    def action_reject(self) -> None:
        if self.tool.tool in MONEY:
            self._decide(ApprovalAnswer(tool_call_id=self.tool.tool_call_id, approved=False))
            return
        self._ask("Why not? (Enter rejects, Esc goes back)")

    def _ask_for_cap(self) -> None:
        self._asks_for_cap = True
        self._ask("New cap in dollars (Enter sets it and goes on)")

    def _ask(self, placeholder: str) -> None:
        field = self.query_one(Input)
        field.placeholder = placeholder
        self.add_class("-words")
        field.focus()

    @on(Input.Submitted)
    def _words_given(self, event: Input.Submitted) -> None:
        event.stop()
        answer = ApprovalAnswer(tool_call_id=self.tool.tool_call_id, approved=self._asks_for_cap, feedback=event.value.strip() or None)
        if not self._asks_for_cap:
            self._decide(answer)
            return
        try:
            cap = float(event.value.strip().lstrip("$"))
        except ValueError:
            cap = -1.0
        if not 0 < cap < float("inf"):
            event.input.value = ""
            event.input.placeholder = f"'{event.value}' is no amount of dollars: write 12.50"
            return
        self._decide(ApprovalAnswer(tool_call_id=self.tool.tool_call_id, approved=True), cap_usd=cap)

    def _decide(self, answer: ApprovalAnswer, *, cap_usd: float | None = None) -> None:
        self.post_message(self.Decided(answer, cap_usd=cap_usd))

    # ── editing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def action_edit(self) -> None:
        """In place; what is approved then is what stands there."""
        if self.tool.tool in MONEY:
            return
        self._editable = editable(self.tool)
        area = self.query_one(TextArea)
        area.text = self._editable.text
        self.add_class("-editing")
        self._say_keys(
            f"editing {self._editable.name or 'the arguments'} · Ctrl+S approves it as it stands · Ctrl+G external editor · Esc back"
        )
        area.focus()

    async def on_key(self, event: events.Key) -> None:
        if self.has_class("-editing"):
            match event.key:
                case "ctrl+s":
                    event.stop()
                    self._approve_edit()
                case "ctrl+g":
                    event.stop()
                    await self._edit_outside()
                case _:
                    pass

    def _approve_edit(self) -> None:
        assert self._editable is not None
        try:
            arguments = edited(self.tool, self._editable, self.query_one(TextArea).text)
        except ValueError as error:
            self._say_keys(f"That is no JSON object ({error}). Ctrl+S approves, Esc goes back.")
            return
        self._decide(ApprovalAnswer(tool_call_id=self.tool.tool_call_id, approved=True, arguments=arguments))

    async def _edit_outside(self) -> None:
        from ml_intern.frontends.tui.cards.editor import edit_outside

        assert self._editable is not None
        area = self.query_one(TextArea)
        text, problem = await edit_outside(own_app(self), area.text, self._editable.language)
        if problem:
            self._say_keys(problem)
        else:
            area.text = text

    def _say_keys(self, text: str) -> None:
        self.query_one(".keys", Static).update(Content(plain(text)))

    # ── moving ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def action_scroll_body(self, rows: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=rows, animate=False)

    def action_next_card(self) -> None:
        self.post_message(self.Left(onwards=True))

    def action_leave(self) -> None:
        """Out of the words or the edit; else back to the composer. It never decides."""
        if self.has_class("-words") or self.has_class("-editing"):
            self.remove_class("-words", "-editing")
            self._asks_for_cap = False
            self._say_keys(self._keys())
            self.focus()
        else:
            self.post_message(self.Left(onwards=False))
