"""Tags of a session."""

from __future__ import annotations

import msgspec
import pytest

from ml_intern.protocol import events as e
from ml_intern.protocol.event_base import Event
from ml_intern.protocol.messages import ToolCall
from ml_intern.session.trace_formats.tags import DATA_TOOLS, LOOKING, RUNNERS, family, gpu, tag_session
from ml_intern.tools.catalog import BUILTIN
from tests.trace_logs import DONE, answer, bash, job, job_over, llm_call, log, reply, started, user


def tags(*events: Event) -> list[str]:
    return tag_session(log(started(), *events))


def sandbox(hardware: str, lifetime_s: float = 10.0) -> list[Event]:
    return [
        e.SandboxCreate(sandbox_id="s", hardware=hardware, create_latency_s=1),
        e.SandboxDestroy(sandbox_id="s", hardware=hardware, lifetime_s=lifetime_s, estimated_cost_usd=0.1),
    ]


def test_a_small_session_has_one_tag_of_each_kind() -> None:
    assert tags(user("hi"), reply("yo"), llm_call(), DONE) == [
        "cost:low", "feedback:none", "gpu:none", "model:opus", "outcome:completed", "turns:short",
    ]  # fmt: skip


def test_a_call_that_waited_for_an_approval_counts() -> None:
    # core W5.12: such calls lost their tool and the task
    script = ToolCall("c", "hf_jobs", '{"operation": "run", "script": "from trl import SFTTrainer"}')
    waiting = e.ApprovalRequired(tools=(), count=1)
    assert {"tool:hf_jobs", "task:training"} <= set(tags(user("train"), reply("", script), waiting, job("j")))


def test_a_guard_is_recognised_by_its_name() -> None:
    # core W5.12: the original looked for a log line that nothing wrote
    assert "outcome:doom_loop" in tags(user("x"), e.GuardTriggered(guard="doom_loop", message="stop"))
    assert "outcome:doom_loop" not in tags(user("x"), e.ToolLog(tool="bash", log="doom loop"))


def test_what_a_policy_says_is_no_turn_of_the_user() -> None:
    # core W5.12
    nudges = [e.GuardTriggered(guard="unfinished_plan", message="go on")] * 30
    assert "turns:short" in tags(user("x"), *nudges, DONE)
    assert "turns:medium" in tags(*[user("x")] * 5)
    assert "turns:medium" in tags(*[user("x")] * 20)
    assert "turns:long" in tags(*[user("x")] * 21)


def test_every_tool_that_is_named_exists() -> None:
    # core W5.12: four of the names were no tools
    assert set(BUILTIN) >= LOOKING | DATA_TOOLS | RUNNERS


def test_a_session_with_a_plan_may_be_research_only() -> None:
    # core W5.12
    calls = [reply("", ToolCall("a", "plan_tool", "{}")), reply("", ToolCall("b", "hf_papers", "{}"))]
    assert "task:research_only" in tags(user("find"), *calls)
    assert "task:research_only" not in tags(user("find"), *calls, reply("", ToolCall("c", "write", "{}")))


@pytest.mark.parametrize("text", ["make room", "zoom in", "a bloom filter", "the groom"])
def test_a_word_with_oom_in_it_is_no_lack_of_memory(text: str) -> None:
    # core W5.12
    assert "hf_job:oom" not in tags(user("x"), job("j"), answer("c", text, tool="hf_jobs"), job_over("j", "error", text))


@pytest.mark.parametrize("text", ["torch.OutOfMemoryError: …", "RuntimeError: CUDA out of memory.", "the job was OOM-killed", "OOM"])
def test_lack_of_memory_is_seen(text: str) -> None:
    assert "hf_job:oom" in tags(user("x"), job("j"), answer("c", text, tool="hf_jobs"))
    assert "hf_job:oom" in tags(user("x"), job("j"), job_over("j", "error", text))


@pytest.mark.parametrize(
    ("flavor", "kind"),
    [
        ("l4x1", "l4"), ("l40sx1", "l40s"), ("h200", "h200"), ("h200x8", "h200"), ("t4-small", "t4"), ("a10g-largex2", "a10g"),
        ("a100-large", "a100"), ("h100", "h100"), ("cpu-basic", ""), ("inf2x6", ""), ("", ""),
    ],
)  # fmt: skip
def test_each_machine_has_the_accelerator_that_it_has(flavor: str, kind: str) -> None:
    # core W5.12: l4 was taken for l40s, h200 was missing
    assert gpu(flavor) == kind


def test_machines_of_jobs_and_sandboxes() -> None:
    assert "gpu:none" in tags(user("x"), job("j", "cpu-basic"))
    both = tags(user("x"), job("j", "cpu-basic"), job("k", "a10g-largex4"))
    assert {"gpu:a10g", "gpu:multi", "hf_job:multi", "hf_job:submitted"} <= set(both) and "gpu:none" not in both
    assert {"sandbox:created", "sandbox:gpu", "sandbox:long_lived", "gpu:t4"} <= set(tags(user("x"), *sandbox("t4-small", 1801)))
    assert {"sandbox:created", "sandbox:cpu"} <= set(tags(user("x"), *sandbox("cpu-basic"))) and "sandbox:long_lived" not in both


def test_outcomes_of_jobs() -> None:
    assert {"hf_job:succeeded", "hf_job:push_to_hub"} <= set(tags(job("j", push_to_hub=True), job_over("j", "completed")))
    assert "hf_job:failed" in tags(job("j"), job_over("j", "canceled"))
    assert not {"hf_job:failed", "hf_job:succeeded"} & set(tags(job("j"), job_over("j", "deleted")))


@pytest.mark.parametrize(
    ("last", "outcome"),
    [
        (DONE, "completed"),
        (e.Interrupted(), "interrupted"),
        (e.TurnComplete(history_size=1, final_response=None, reason="spend_cap"), "interrupted"),
        (e.ErrorRaised(error="x"), "errored"),
        (e.ErrorRaised(error="x", ends_turn=False), "ongoing"),
    ],
)
def test_how_it_ended(last: Event, outcome: str) -> None:
    assert f"outcome:{outcome}" in tags(user("x"), last)


def test_a_session_that_went_on_after_an_error_is_not_errored() -> None:
    assert "outcome:completed" in tags(user("x"), e.ErrorRaised(error="x"), user("again"), DONE)


def test_a_compaction_means_that_the_context_was_full() -> None:
    assert "outcome:context_exceeded" in tags(user("x"), e.Compacted(old_tokens=2, new_tokens=1, summary="s", keep_from_seq=1))
    assert "outcome:context_exceeded" not in tags(user("x"), e.Compacted(old_tokens=2, new_tokens=2))


def test_costs_have_bounds_and_an_unknown_price_is_not_low() -> None:
    # core W5.7: costs were zero, so that everything was cheap
    assert [next(tag for tag in tags(llm_call(usd)) if tag.startswith("cost:")) for usd in (0.09, 0.1, 1.0, None)] == [
        "cost:low", "cost:med", "cost:high", "cost:unknown",
    ]  # fmt: skip
    settled = e.BudgetSettled(reservation_id="r", actual_usd=2.0)
    assert "cost:high" in tags(llm_call(0.01), settled)


def test_feedback_of_both_kinds_is_mixed() -> None:
    up, down = (e.Feedback(rating=rating, turn_index=0, message_id="", comment="") for rating in ("up", "down"))
    assert "feedback:up" in tags(up) and "feedback:down" in tags(down) and "feedback:mixed" in tags(up, down)


@pytest.mark.parametrize(
    ("code", "task"),
    [
        ("DPOTrainer(model)", "training"), ("python fine-tune.py", "training"), ("model.train()", "training"),
        ("curl https://api/endpoint", None), ("pipeline(model)", "inference"), ("load_dataset(x)", "data_prep"),
        ("from transformers import AutoModel", None),
    ],
)  # fmt: skip
def test_the_task_is_read_from_the_code_that_ran(code: str, task: str | None) -> None:
    # core W5.12: "dpo" is no part of "endpoint", and an import is no training
    found = [tag for tag in tags(user("x"), reply("", bash("c", code))) if tag.startswith("task:")]
    assert found == ([f"task:{task}"] if task else [])


def test_families_of_models() -> None:
    assert [family(name) for name in ("anthropic/claude-sonnet-5", "moonshotai/Kimi-K2", "openai/gpt-5", "x/y")] == [
        "sonnet", "kimi", "gpt", "other",
    ]  # fmt: skip
    assert {"model:qwen", "model:opus"} <= set(tags(user("x"), reply("a"), reply("b", model="Qwen/Qwen3")))


def test_code_that_was_written_into_the_file_that_ran_counts() -> None:
    # the demo's own session, which fine-tunes, was taken for data preparation: its job names train.py alone
    script = "from trl import SFTTrainer\napi.upload_folder(out)"
    written = reply("", ToolCall("w", "write", msgspec.json.encode({"path": "src/train.py", "content": script}).decode()))
    run = reply("", ToolCall("j", "hf_jobs", '{"operation": "run", "script": "src/train.py"}'))
    assert {"task:training", "hf_job:push_to_hub"} <= set(tags(user("x"), written, run, job("j")))
    smoke = reply("", bash("b", "python src/train.py"))
    assert "task:training" in tags(user("x"), written, smoke)
    assert "hf_job:push_to_hub" not in tags(user("x"), written, smoke), "no job ran it"
    assert not {"task:training"} & set(tags(user("x"), written, reply("", bash("b", "ls")))), "nobody ran it"


def test_code_that_says_not_to_push_does_not_push() -> None:
    run = reply("", ToolCall("j", "hf_jobs", '{"operation": "run", "script": "SFTConfig(push_to_hub=False)"}'))
    assert "hf_job:push_to_hub" not in tags(user("x"), run, job("j"))
