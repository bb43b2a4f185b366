"""A call that waits for a yes or a no: exactly what will run, what it may do and cost, and the keys that decide it."""

from __future__ import annotations

import asyncio
from typing import ClassVar, Literal

from rich.cells import cell_len
from textual import events, on
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input

from ml_intern.config.keys import DEFAULT_KEYS
from ml_intern.frontends.tui.cards.body import CallBody
from ml_intern.frontends.tui.cards.card import SHORT_COLUMNS, Card
from ml_intern.frontends.tui.cards.draft import Draft
from ml_intern.frontends.tui.cards.edited_card import EditedCard
from ml_intern.frontends.tui.cards.facts import MONEY, price, title
from ml_intern.frontends.tui.key_names import told_key
from ml_intern.frontends.tui.own_app import own_app
from ml_intern.frontends.tui.own_keys import OrderedTextArea, obeyed
from ml_intern.protocol.events import PendingTool
from ml_intern.protocol.invisible import marked
from ml_intern.protocol.operations import ApprovalAnswer
from ml_intern.protocol.shown_call import asks_same

Remember = Literal["session", "project"]
Sweeping = Literal["session", "project", "all", "rest"]
"""Answers for more than what is seen: asked once more."""
EDIT_ROWS = 12


class ApprovalCard(EditedCard):
    """One call."""

    DEFAULT_CSS = """
    ApprovalCard > OrderedTextArea { display: none; }
    ApprovalCard.-editing > OrderedTextArea { display: block; height: 1fr; border: none; padding: 0; }
    ApprovalCard.-editing > CardBody { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(DEFAULT_KEYS["approve"], "approve", "Approve", id="approve"),
        Binding(DEFAULT_KEYS["reject"], "reject", "Reject, with words", id="reject"),
        Binding(DEFAULT_KEYS["edit"], "edit", "Edit, then approve", id="edit"),
        Binding(DEFAULT_KEYS["always_session"], "sweep('session')", "Always in this session (asks once more)", id="always_session"),
        Binding(DEFAULT_KEYS["always_project"], "sweep('project')", "Always in this project (asks once more)", id="always_project"),
        Binding(DEFAULT_KEYS["approve_all"], "sweep('all')", "Approve all that wait (asks once more)", id="approve_all"),
        Binding(
            DEFAULT_KEYS["approve_rest"], "sweep('rest')", "Approve them and the rest of this turn (asks once more)", id="approve_rest"
        ),
        Binding("enter", "confirm", "Yes, to what it asks once more", show=False),
        Binding("ctrl+s", "approve_edit", "Approve it as you edited it", show=False),
        Binding(DEFAULT_KEYS["edit_others"], "edit_others", "Edit the other arguments, or the text again", id="edit_others"),
        Binding(DEFAULT_KEYS["editor"], "edit_outside", "Edit in your own editor, then approve", id="editor", show=False),
    ]

    class Decided(Message):
        """The user decided one call; ``cap_usd`` raises the cap first."""

        def __init__(self, answer: ApprovalAnswer, *, cap_usd: float | None = None) -> None:
            super().__init__()
            self.answer = answer
            self.cap_usd = cap_usd

    class AllApproved(Message):
        """Everything that waits; with ``rest`` also what comes until the turn ends, unasked."""

        def __init__(self, *, rest: bool) -> None:
            super().__init__()
            self.rest = rest

    def __init__(self, tool: PendingTool) -> None:
        super().__init__()
        self.tool = tool
        self.price_words = price(tool)
        self._call = CallBody(tool)
        self._asks_for_cap = False
        self._sweeping: Sweeping | None = None
        self._together = ""
        """What all that wait may cost."""
        self._asked_at, self._asked_by = 0.0, ""
        """When it asked once more, in the event loop's time, and the key that made it."""

    def body(self) -> CallBody:
        return self._call

    def body_rows(self, columns: int) -> int:
        if self._draft is not None:
            return min(max(self._draft.text.count("\n") + 2, 4), EDIT_ROWS)
        return self._call.get_content_height(None, None, columns)

    def costs_together(self, words: str) -> None:
        """What approving all that wait may cost; empty: nothing."""
        self._together = words

    def asks_same(self, other: Card) -> bool:
        return isinstance(other, ApprovalCard) and asks_same(self.tool, other.tool)

    @property
    def name_shown(self) -> str:
        return marked(title(self.tool))

    @property
    def field(self) -> Input | OrderedTextArea | None:
        if self.has_class("-editing"):
            return self._area
        return self.words if self.has_class("-words") else None

    def key_words(self, columns: int) -> str:
        short = columns < SHORT_COLUMNS
        if self._sweeping is not None:
            return f"{self._question(self._sweeping)} Enter yes · Esc no"
        if self.has_class("-words"):
            return "Enter sets the cap and goes on · Esc back" if self._asks_for_cap else "Enter rejects · Esc back"
        if self._draft is not None:
            return self._edit_keys(self._draft, short=short)
        yes, no, edit = self._key("approve"), self._key("reject"), self._key("edit")
        if self.tool.tool in MONEY:
            return f"{yes} {'go on' if self.tool.tool == 'usage_threshold' else 'raise the cap'} · {no} stop · Esc back"
        every, rest = self._key("approve_all"), self._key("approve_rest")
        session, project = self._key("always_session"), self._key("always_project")
        rule = marked(self.tool.remember_rule or "")
        if short:
            always = f" · {session} {project} always" if rule else ""
            return f"{yes} yes · {no} no · {edit} edit{always}{f' · {every} all' if self._of > 1 else ''} · {rest} rest · Esc"
        always = f"\n{session} always in this session, {project} in this project: {rule}" if rule else ""
        more = f" · {every} all {self._of}" if self._of > 1 else ""
        first, last = f"{yes} approve · {no} reject · {edit} edit", f"{more} · {rest} the rest of this turn · Esc back"
        outside = f", {self._key('editor')} in your editor"
        return f"{first}{outside if cell_len(first + outside + last) <= columns else ''}{last}{always}"

    def _edit_keys(self, draft: Draft, *, short: bool) -> str:
        editor, switch = self._key("editor"), self._key("edit_others")
        if short:
            other = f" · {switch} {'others' if draft.shown else draft.main}" if draft.main else ""
            return f"Ctrl-S approve · {editor} editor{other} · Esc back".replace("Ctrl-", "^")
        other = f" · {switch} {'the other arguments' if draft.shown else draft.main}"
        return f"editing {draft.words} · Ctrl-S approves it as it stands{other if draft.main else ''} · {editor} external editor · Esc back"

    def _key(self, action: str) -> str:
        return told_key(own_app(self).loaded.settings, action)

    def _question(self, sweeping: Sweeping) -> str:
        match sweeping:
            case "session" | "project":
                also = ", whatever else waits included" if self._of > 1 else ""
                return f"Always allow {marked(self.tool.remember_rule)} in this {sweeping}{also}?"
            case "all":
                costs = f" They cost {self._together}." if self._together else ""
                return f"Approve all {self._of} that wait, also those that you do not see here?{costs}"
            case "rest":
                waiting = f"all {self._of} that wait" if self._of > 1 else "this"
                return f"Approve {waiting}, and every later call of this turn without asking, up to the cap (/yolo off asks again)?"

    # ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A key for what this call cannot have is none of its keys."""
        match action, parameters:
            case "sweep", ("session" | "project",):
                return self.tool.tool not in MONEY and bool(self.tool.remember_rule)
            case "sweep", ("all",):
                return self.tool.tool not in MONEY and self._of > 1
            case "edit_others", _:
                return self._draft is not None and bool(self._draft.main)
            case "approve_edit", _:
                return self.has_class("-editing")
            case "edit_outside", _:
                return self.tool.tool not in MONEY and not self.has_class("-words")
            case "sweep" | "edit", _:
                return self.tool.tool not in MONEY
            case _:
                return super().check_action(action, parameters)

    def _is_card_key(self, event: events.Key) -> bool:
        """While it asks once more only Enter answers: a letter is no answer, but text."""
        return self._sweeping is None and super()._is_card_key(event)

    def _why_early(self, event: events.Key) -> str:
        """An Enter that comes at once was meant for what the user believed to write. Said ahead of the question: where rows are few, its
        end is what is not seen."""
        if self._sweeping is None or event.time >= self._asked_at + own_app(self).confirm_calm_s:
            return super()._why_early(event)
        self._asked_at = max(self._asked_at, event.time)
        return f"Too soon: read it, then press Enter · Esc no. {self._question(self._sweeping)}"

    def _write_on(self, event: events.Key | events.Paste) -> None:
        """With the letter that made it ask once more, if the text went on at once: it was the text's first."""
        began = self._sweeping is not None and event.time < self._asked_at + own_app(self).confirm_calm_s and len(self._asked_by) == 1
        self._stop_asking()
        if began:
            super()._write_on(events.Key(self._asked_by, self._asked_by))
        super()._write_on(event)

    def on_blur(self) -> None:
        if self._sweeping is not None:
            self._stop_asking()

    # ── decisions ────────────────────────────────────────────────────────────────────────────────────────────────────

    def action_approve(self) -> None:
        if self._stop_asking():
            return
        if self.tool.tool == "yolo_budget":
            self._ask_for_cap()
            return
        self._decide(ApprovalAnswer(tool_call_id=self.tool.tool_call_id, approved=True))

    def action_sweep(self, what: Sweeping) -> None:
        """Asks once more, in the card's own line."""
        if not self._stop_asking():
            self._sweeping = what
            self._asked_at, self._asked_by = asyncio.get_running_loop().time(), self.by_key
            self.set_class(True, "-asks")
            self.say("")

    def action_confirm(self) -> None:
        match sweeping := self._sweeping:
            case None:
                return
            case "session" | "project":
                self._decide(ApprovalAnswer(tool_call_id=self.tool.tool_call_id, approved=True, remember=sweeping))
            case "all" | "rest":
                self.post_message(self.AllApproved(rest=sweeping == "rest"))
        self._stop_asking()

    def _stop_asking(self) -> bool:
        """Whether it did ask: every key but Enter is a no to that, and to nothing else."""
        was, self._sweeping = self._sweeping is not None, None
        self.set_class(False, "-asks")
        self.say("")  # also in place of what it said about the question
        return was

    def start_over(self) -> None:
        self._stop_asking()

    def action_reject(self) -> None:
        if self._stop_asking():
            return
        if self.tool.tool in MONEY:
            self._decide(ApprovalAnswer(tool_call_id=self.tool.tool_call_id, approved=False))
            return
        self.ask_words("Why not?")

    def _ask_for_cap(self) -> None:
        self._asks_for_cap = True
        self.ask_words("New cap in dollars")

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
        if self._stop_asking():
            return
        self._draft = Draft(self.tool.arguments)
        self._area.text = self._draft.text
        self.add_class("-editing")
        self.screen.set_focus(self._area)
        self.show_title()
        self.say("")

    async def action_edit_outside(self) -> None:
        """What is edited, or what would be: the card is as it would be after an edit in place."""
        if self._draft is None:
            self.action_edit()
        if self._draft is not None:  # the key may have taken back what the card asked
            await super().action_edit_outside()

    async def on_key(self, event: events.Key) -> None:
        if self._sweeping is not None and not event.is_printable and event.key != "escape" and not self._decides(event.key):
            self._stop_asking()  # what decides takes the question back itself, and does nothing else then
        if self.has_class("-editing"):
            await obeyed(self, event)

    def action_approve_edit(self) -> None:
        assert self._draft is not None
        self._draft.write(self._area.text)
        try:
            arguments = self._draft.arguments()
        except ValueError as error:
            if self._area.text != self._draft.text:
                self._area.text = self._draft.text
            self.refused(f"That is no JSON object ({error}).")
            return
        self._decide(ApprovalAnswer(tool_call_id=self.tool.tool_call_id, approved=True, arguments=arguments))

    # ── moving ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def action_leave(self) -> None:
        """Out of what it asks, the edit or the words; else back to the composer. It never decides."""
        self._asks_for_cap = False
        if self._stop_asking():
            return
        if self._draft is not None:
            self._draft = None
            self.remove_class("-editing")
            self.screen.set_focus(self)
            self.show_title()
            self.say("")
        else:
            super().action_leave()
