"""One sample of everything that crosses the wire. Run as a program, it writes the golden file of the current schema version."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol import resource_events as r
from ml_intern.protocol.codec import SCHEMA_VERSION, Envelope, encode, encode_operation
from ml_intern.protocol.display import Diff, Job, Link, Picture, Plan, PlanItem, Table, Text
from ml_intern.protocol.messages import Image, Thinking, ToolCall, UnreadMessage
from ml_intern.protocol.permission_events import RuleInForce

CALL = ToolCall("call_1", "bash", '{"command":"ls"}')
PLAN = (PlanItem("1", "Look at the data", "completed"), PlanItem("2", "Train", "in_progress"))
DISPLAY = (
    Text(text="print(1)", language="python"),
    Diff(path="a.py", unified="@@ -1 +1 @@\n-a\n+b\n", added=1, removed=1),
    Table(title="Rows", columns=("a", "b"), rows=(("1", "2"),)),
    Link(title="The run", url="https://example.org/run"),
    Picture(path="plot.png", media_type="image/png"),
    Plan(items=PLAN),
    Job(id="job_1", status="running", command="python train.py"),
)
PENDING = e.PendingTool(
    tool="bash",
    arguments={"command": "rm -r build"},
    tool_call_id="call_2",
    reason="It runs outside a sandbox.",
    risk=("runs code",),
    display=DISPLAY[:1],
    remember_rule="bash(rm *)",
    auto_approval_blocked=True,
    block_reason="Nothing contains it.",
    estimated_cost_usd=1.5,
    remaining_cap_usd=0.5,
)
RULE = RuleInForce(outcome="deny", rule="bash(rm *)", scope="user", origin="your settings", idle="flag --x stands over it")

EVENTS: tuple[e.AnyEvent, ...] = (
    e.SessionStarted(session_id="s1", cwd="/w", model="org/model", effort="high", parent_id="s0", forked_at_seq=7),
    e.Ready(message="Agent initialized", tool_count=9),
    e.SessionUpdate(session_id="s1", auto_approval={"enabled": True, "cost_cap_usd": 5.0}, title="Digits"),
    e.SessionUpdate(session_id="s1", auto_approval={"enabled": False, "cost_cap_usd": 5.0, "this_turn": True}),
    e.ModelSwitched(model="org/other", previous="org/model"),
    e.EffortChanged(effort="max", effective="high", note="max not supported, using high"),
    e.NewComplete(
        session_id="s2", previous_session_id="s1", previous_turn_count=2, previous_message_count=9, saved_path=None, clear_screen=True
    ),
    e.ResumeComplete(
        path="last", restored_count=9, dropped_count=0, model_name="org/model", invalid_saved_model=None, forked=False,
        had_redacted_content=False, session_id="s1",
    ),
    e.ResumedFrom(path="last", original_session_id="s1", original_event_count=40, forked=False, cwd="/elsewhere"),
    e.SessionTerminated(
        reason="compaction_failed", context_usage=100_000, context_threshold=90_000, error="over the threshold", user_message="Undo."
    ),
    e.SessionShutdown(),
    e.UserMessageAdded(content="Train a model", images=(Image("image/png", "aGk="),), steering=True),
    e.Processing(message="Processing user input"),
    e.AssistantChunk(content="Let"),
    e.ThinkingChunk(content="Hm"),
    e.AssistantStreamEnd(),
    e.AssistantMessageAdded(
        content="Let me look.", streamed=True, tool_calls=(CALL,), thinking=(Thinking(text="Hm", signature="sig"),),
        model="org/model", finish_reason="tool_calls",
    ),
    e.GuardTriggered(guard="doom_loop", message="[SYSTEM: REPETITION GUARD] …"),
    e.Retrying(attempt=1, delay_s=5.0, reason="503", discard_text=True),
    e.LlmCall(
        model="org/model", latency_ms=1200, finish_reason="stop", cost_usd=None, kind="main", prompt_tokens=10, completion_tokens=5,
        total_tokens=15, cache_read_tokens=4, cache_creation_tokens=2, first_token_ms=300,
    ),
    e.Compacted(old_tokens=100_000, new_tokens=20_000, summary="So far: …", keep_from_seq=50, shortened=(51,)),
    e.UndoComplete(cut_seq=12),
    e.TurnComplete(history_size=9, final_response="Done.", reason="iteration_limit", detail="Stopped after 3 steps.", steps=3),
    e.Interrupted(unread=(UnreadMessage("Use less memory", (Image("image/png", "aGk="),), "process 7"),)),
    e.ErrorRaised(error="Key refused.", kind="ModelAuthError", hint="Set HF_TOKEN.", ends_turn=False, sent_by="process 7"),
    e.ToolCalled(tool="bash", arguments={"command": "ls"}, tool_call_id="call_1"),
    e.ToolLog(tool="bash", log="a\nb\n", tool_call_id="call_1", agent_id="a1", label="papers"),
    e.SubagentProgress(
        agent_id="call_3", label="LoRA recipes", steps=4, tokens=21_000, tool_calls=7, cost_usd=0.02, activity="hf_papers search"
    ),
    e.SubagentFinished(
        agent_id="call_3", label="LoRA recipes", outcome="stopped", steps=60, tokens=170_000, tool_calls=81, cost_usd=0.31,
        duration_s=92.5, detail="max_iterations 60",
    ),
    e.ToolStateChange(tool_call_id="call_1", tool="bash", state="approved", note="fine", arguments={"command": "ls -l"}, rule="bash(ls)"),
    e.ToolFinished(
        tool="bash", tool_call_id="call_1", output="a\nb\nExit code: 0", success=True, duration_s=0.5, error_kind="timeout",
        display=DISPLAY, images=(Image("image/png", "aGk="),), files=(e.FileSeen("/w/a.py", 1, 2),), spill_path="/spill/x.txt",
    ),
    e.ApprovalRequired(
        tools=(PENDING,), count=1, auto_approval_blocked=True, block_reason="Nothing contains it.", estimated_cost_usd=1.5,
        remaining_cap_usd=0.5, usage_threshold=True, yolo_budget=True,
    ),
    e.PermissionGranted(rule="bash(rm *)", scope="session"),
    e.RuleChanged(outcome="deny", rule="bash(rm *)", scope="user", removed=True),
    e.RulesInForce(rules=(RULE,), mode="ask", read_only=True),
    e.CallTried(call="bash: rm x", outcome="deny", reason="The rule `bash(rm *)` forbids it.", rules=(RULE,)),
    e.QuestionAsked(question_id="q1", question="Which?", options=("a", "b"), tool_call_id="call_3"),
    e.QuestionAnswered(question_id="q1", answer="a"),
    e.QuestionAnswered(question_id="q2", answer=None, reason="expired"),
    e.PlanUpdate(plan=PLAN),
    r.BudgetReserved(reservation_id="call_4", amount_usd=2.0, kind="hf_jobs"),
    r.BudgetSettled(reservation_id="call_4", actual_usd=1.25),
    r.HfJobSubmit(
        job_id="j1", job_url="https://example.org/j1", flavor="a10g-large", timeout="2h", job_type="uv", image="", namespace="me",
        push_to_hub=True,
    ),
    r.HfJobComplete(
        job_id="j1", flavor="a10g-large", final_status="COMPLETED", wall_time_s=60.0, billable_seconds_estimate=60.0,
        price_usd_per_hour=1.5, estimated_cost_usd=0.025, cost_estimate_source="runtime_price_catalog",
    ),
    r.SandboxCreate(sandbox_id="b1", hardware="cpu-basic", create_latency_s=3.0),
    r.SandboxDestroy(sandbox_id="b1", hardware="cpu-basic", lifetime_s=60.0, estimated_cost_usd=None),
    r.Feedback(rating="up", turn_index=1, message_id="m1", comment="good"),
    r.ProCtaClick(source="limit", target="pro_pricing"),
    r.ProConversion(first_seen_at="2026-01-01T00:00:00Z"),
    r.CreditsToppedUp(namespace="me"),
    e.ConnectionChanged(state="attached", message="Joined session s1."),
    e.OperationReceived(operation="interrupt", sent_by="process 42"),
    e.RemoteAnswered(service="slack", user="U1", where="C1", keys=("call_1",), answer="approved", outcome="taken"),
    e.HookRan(
        hook_event_name="PreToolUse", command="check.sh", outcome="blocked", message="No.", tool_call_id="call_1", duration_s=0.1,
        exit_code=2, stderr="No.",
    ),
    e.SnapshotTaken(commit="c0ffee", kind="before", message_seq=3, note="model.bin is not in it: it is larger than 10 MB."),
    e.RewindPlanned(
        before_message=0, conversation=True, files=True, confirm="t1", snapshot="c0ffee", restored=("a.py",), deleted=("b.py",),
        own_changes=(Diff(path="a.py", unified="@@ -1 +1 @@\n-a\n+b\n", added=1, removed=1),), kept=("model.bin",), note="",
        perhaps_own=(Diff(path="notes.md", unified="@@ -1 +1 @@\n-a\n+b\n", added=1, removed=1),),
    ),
    e.SnapshotTaken(commit="c0ffed", kind="after", named=("a.py",)),
    e.RewindComplete(before_message=0, conversation=True, files=True, restored=1, deleted=1, kept=("model.bin",), saved="c0ffef"),
    e.RewindComplete(before_message=0, conversation=True, files=True, saved="c0ffef", failed=("x/y: Operation not permitted",)),
    e.RewindComplete(before_message=0, conversation=False, files=True, saved="c0ffef", note="The program ended in it.", cut_short=True),
)  # fmt: skip

OPERATIONS: tuple[op.AnyOperation, ...] = (
    op.UserInput(text="Train a model", images=(Image("image/png", "aGk="),)),
    op.ExecApproval(
        approvals=(
            op.ApprovalAnswer(
                tool_call_id="call_1", approved=True, feedback="ok", edited_script="print(2)", namespace="me",
                arguments={"command": "ls"}, remember="session",
            ),
        )
    ),
    op.AnswerQuestion(question_id="q1", answer="a"),
    op.AnswerQuestion(question_id="q2", reason="expired"),
    op.Interrupt(),
    op.Compact(),
    op.Undo(before_message=1),
    op.Rewind(before_message=1, conversation=False, files=True, confirmed_changes="t1", to_snapshot="c0ffee", keep=("notes.md",)),
    op.New(clear_screen=True),
    op.Resume(path="last"),
    op.Fork(at_seq=12),
    op.SwitchModel(model="org/other"),
    op.SetEffort(effort="low"),
    op.SetAutoApproval(enabled=True, cost_cap_usd=5.0),
    op.SetAutoApproval(enabled=True, scope="turn"),
    op.SetTitle(title="Digits"),
    op.ReviewTraceSharing(),
    op.ChangeRule(outcome="deny", rule="bash(rm *)", scope="user", remove=True),
    op.ShowRules(),
    op.TryCall(call="bash: rm x"),
    op.Shutdown(),
)  # fmt: skip


def envelopes() -> list[Envelope]:
    """The events in envelopes, a second apart; transient ones without a number."""
    start = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    return [
        Envelope(session="s1", seq=None if event.transient else n, at=start + timedelta(seconds=n), event=event)
        for n, event in enumerate(EVENTS, 1)
    ]


def lines() -> list[str]:
    """The golden file: envelopes, then operations."""
    return [encode(envelope).decode() for envelope in envelopes()] + [encode_operation(x).decode() for x in OPERATIONS]


if __name__ == "__main__":
    golden = Path(__file__).parent / "golden" / f"v{SCHEMA_VERSION}.jsonl"
    golden.parent.mkdir(exist_ok=True)
    golden.write_text("\n".join(lines()) + "\n")
