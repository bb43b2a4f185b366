"""Events → blocks of the conversation."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from pathlib import Path

from ml_intern.frontends.headless.describe import describe
from ml_intern.frontends.headless.text import Line, line
from ml_intern.frontends.tui.block_view import FRAME_S, PAST_FRAME_S
from ml_intern.frontends.tui.blocks.job import Job, JobBlock, jobs_go_on
from ml_intern.frontends.tui.blocks.plan import PlanBlock
from ml_intern.frontends.tui.blocks.tool import ASKED, ToolBlock
from ml_intern.frontends.tui.blocks.words import NoticeBlock, UserBlock
from ml_intern.frontends.tui.conversation import Conversation
from ml_intern.frontends.tui.moments import moment
from ml_intern.frontends.tui.reply import StreamedReply
from ml_intern.protocol import events as e
from ml_intern.protocol.amounts import count_text
from ml_intern.protocol.codec import Envelope
from ml_intern.protocol.resource_events import HfJobComplete, HfJobSubmit
from ml_intern.protocol.session_ids import short_id
from ml_intern.protocol.subagent_events import SubagentFinished, SubagentProgress

REASONS = {
    "iteration_limit": "the limit of steps is reached",
    "spend_cap": "the spend cap is reached",
    "context_exhausted": "the context is full",
    "model_refused": "the model refused",
    "hook_stop": "a hook of yours ended it",
    "declined": "you said no",
}
"""Why a turn stopped before it was done."""


class Transcript:
    """An ``EventReader`` that fills the conversation."""

    def __init__(self, conversation: Conversation, sender: Callable[[], str] = lambda: "") -> None:
        """``sender``: the name of this terminal, whose messages need no name."""
        self._conversation = conversation
        self._sender = sender
        self._reply = StreamedReply(conversation)
        self._calls: dict[str, ToolBlock] = {}
        self._jobs: dict[str, JobBlock | ToolBlock] = {}
        self._running: dict[str, HfJobSubmit] = {}
        """Jobs that go on, also those whose card an undo took away."""
        self._plan: PlanBlock | None = None
        self._marks: list[tuple[int, int]] = []
        """Where an undo may cut: number of an event, and how many blocks stood before it."""

    def begin(self, *, keep: bool) -> None:
        """See ``EventReader``."""
        if not keep:
            self._conversation.truncate(0)
        self.__init__(self._conversation, self._sender)

    def read(self, envelope: Envelope, *, live: bool) -> None:
        """See ``EventReader``."""
        self._conversation.frame_s = FRAME_S if live else PAST_FRAME_S
        at = moment(envelope, live=live)
        match event := envelope.event:
            case e.AssistantChunk():
                self._reply.write(event.content)
            case e.ThinkingChunk():
                self._reply.think(event.content)
            case e.AssistantMessageAdded():
                self._reply.end(event)
            case e.Retrying() if event.discard_text:
                self._reply.discard()
                self._tell(event)
            case e.UserMessageAdded() | e.GuardTriggered():
                self._mark(envelope.seq)
                self._words(event)
            case e.UndoComplete():
                self._undo(event.cut_seq)
            case e.TurnComplete() | e.Interrupted() | e.ErrorRaised():
                self._end_turn(event)
            case e.ConnectionChanged(over=True):
                self._lose(event)
            case e.PlanUpdate():
                self._update_plan(event)
            case e.NewComplete() | e.SessionStarted() | e.ResumedFrom() | e.ResumeComplete():
                self._begun(event, envelope.session)
            case HfJobSubmit() | HfJobComplete():
                self._job(event, at)
            case _:
                self._tool(event, at)

    def _begun(self, event: e.NewComplete | e.SessionStarted | e.ResumedFrom | e.ResumeComplete, session: str) -> None:
        match event:
            case e.SessionStarted() | e.ResumedFrom():
                if event.cwd:
                    self._conversation.pictures.folder = Path(event.cwd)
            case e.NewComplete():
                before = f" · the one before: /resume {short_id(event.previous_session_id)}" if event.previous_message_count else ""
                self._conversation.add(NoticeBlock.of(f"new session {short_id(session)}{before}"))
            case e.ResumeComplete(forked=True):
                names = f"A copy of {short_id(event.path)} as {short_id(session)}"
                self._conversation.add(NoticeBlock.of(f"{names}; the original stays as it is. What commands have shown is not copied."))
            case e.ResumeComplete():
                self._tell(event)

    # ── words ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _mark(self, seq: int | None) -> None:
        if seq is not None:
            self._marks.append((seq, len(self._conversation.blocks)))

    def _words(self, event: e.UserMessageAdded | e.GuardTriggered) -> None:
        if isinstance(event, e.UserMessageAdded):
            by = event.sent_by if event.sent_by != self._sender() else ""
            self._conversation.add(UserBlock(event.content, images=event.images, steering=event.steering, sent_by=by))
        else:
            self._tell(event)

    def _undo(self, cut_seq: int) -> None:
        at = bisect_left(self._marks, (cut_seq, 0))
        if not cut_seq or at == len(self._marks):
            self._conversation.add(NoticeBlock.of("There is nothing to take back." if not cut_seq else "Taken back."))
            return
        self._conversation.truncate(self._marks[at][1])
        del self._marks[at:]
        shown = set(map(id, self._conversation.blocks))
        self._jobs = {job_id: block for job_id, block in self._jobs.items() if id(block) in shown}
        self._reply = StreamedReply(self._conversation)

    def _end_turn(self, event: e.TurnComplete | e.Interrupted | e.ErrorRaised) -> None:
        if isinstance(event, e.ErrorRaised) and not event.ends_turn:
            self._tell(event)
            return
        self._reply.stop()
        for call in self._calls.values():
            call.end()
        self._calls.clear()
        match event:
            case e.TurnComplete():
                if reason := REASONS.get(event.reason):
                    detail = f": {event.detail}" if event.detail else ""
                    self._notice(line(("warn", f"· stopped: {reason}{detail}")))
            case e.Interrupted():
                self._notice(line(("warn", f"· interrupted{jobs_go_on(self._running.values())}")))
            case e.ErrorRaised():
                self._tell(event)

    def _lose(self, event: e.ConnectionChanged) -> None:
        """The session was left, or its process is gone. Who opens it again may still hear how a call ended."""
        self._reply.stop()
        for call in self._calls.values():
            if event.state == "gone":
                call.lose()
            else:
                call.end()
        self._tell(event)

    def _update_plan(self, event: e.PlanUpdate) -> None:
        if self._plan is not None:
            self._plan.grow_old()
        self._plan = PlanBlock(event.plan)
        self._conversation.add(self._plan)

    def _tell(self, event: e.AnyEvent) -> None:
        self._notice(*describe(event, verbose=False))

    def _notice(self, *rows: Line) -> None:
        if rows:
            self._conversation.add(NoticeBlock(rows))

    # ── calls and jobs ───────────────────────────────────────────────────────────────────────────────────────────────

    def _tool(self, event: e.AnyEvent, at: float) -> None:
        match event:
            case e.ToolCalled():
                self._call(event, at)
            case e.ToolLog():
                self._log(event)
            case e.ToolStateChange():
                self._change(event, at)
            case SubagentProgress() | SubagentFinished():
                if (call := self._calls.get(event.agent_id)) is not None:
                    call.follow(event)
            case e.ToolFinished():
                if (call := self._calls.pop(event.tool_call_id, None)) is not None:
                    call.finish(event)
            case e.ApprovalRequired():
                self._wait(event)
            case e.QuestionAsked() | e.QuestionAnswered() | e.RewindPlanned():
                pass  # the cards show them, and the rewind's own screen: where it ends there, nothing has happened
            case e.Compacted():
                self._notice(line(("dim", f"· context summarised: {count_text(event.old_tokens)} → {count_text(event.new_tokens)} tokens")))
            case _:
                self._tell(event)

    def _call(self, event: e.ToolCalled, at: float) -> None:
        block = self._calls[event.tool_call_id] = ToolBlock(event.tool, event.arguments, started_at=at)
        self._conversation.add(block)

    def _change(self, event: e.ToolStateChange, at: float) -> None:
        if (call := self._calls.get(event.tool_call_id)) is not None:
            call.change_state(event.state, event.note, arguments=event.arguments, job_url=event.job_url)
            if event.state == "running":
                call.start(at)

    def _wait(self, event: e.ApprovalRequired) -> None:
        for tool in event.tools:
            if (call := self._calls.get(tool.tool_call_id)) is not None:
                call.change_state(ASKED, "", arguments=None, job_url="")

    def _log(self, event: e.ToolLog) -> None:
        call = self._calls.get(event.tool_call_id)
        if call is None:
            self._tell(event)
        else:
            call.log(f"{event.label}: {event.log}\n" if event.label else event.log)

    def _job(self, event: HfJobSubmit | HfJobComplete, at: float) -> None:
        match event:
            case HfJobSubmit():
                self._running[event.job_id] = event
                job = Job(event, started_at=at)
                if (call := self._calls.get(event.tool_call_id)) is not None:
                    call.hold(job)
                    self._jobs[event.job_id] = call
                else:
                    block = self._jobs[event.job_id] = JobBlock(job)
                    self._conversation.add(block)
            case HfJobComplete():
                self._running.pop(event.job_id, None)
                if (block := self._jobs.pop(event.job_id, None)) is not None:
                    block.end_job(event)
                else:  # its block went with what an undo took back, or it was started before the session was forked
                    self._tell(event)
