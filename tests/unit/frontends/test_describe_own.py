"""Hooks, snapshots and rewinds in lines of a plain run."""

from __future__ import annotations

from msgspec.structs import replace

from ml_intern.frontends.headless.describe import describe
from ml_intern.frontends.headless.describe_own import files_told
from ml_intern.frontends.headless.show import tail
from ml_intern.frontends.headless.text import bare
from ml_intern.protocol import events as e
from ml_intern.protocol.display import Diff


def words(event: e.AnyEvent) -> str:
    return "\n".join(bare(row) for row in describe(event, verbose=False))


def test_a_blocked_call_says_which_hook_and_why() -> None:
    text = words(e.HookRan(hook_event_name="PreToolUse", command="check.sh", outcome="blocked", message="not on a Friday"))
    assert "PreToolUse" in text and "check.sh" in text and "not on a Friday" in text


def test_what_a_hook_said_is_shown_as_text() -> None:
    assert "\x1b" not in words(e.HookRan(hook_event_name="Stop", command="x", outcome="said", message="\x1b[31m[red]hi[/red]"))


def test_a_snapshot_speaks_only_of_what_it_left_out() -> None:
    assert words(e.SnapshotTaken(commit="c", kind="before")) == ""
    assert "model.bin" in words(e.SnapshotTaken(commit="c", kind="before", note="Not in snapshots: model.bin."))


def test_a_rewind_tells_what_it_would_do_and_did() -> None:
    diff = Diff(path="a", unified="", added=1, removed=0)
    planned = e.RewindPlanned(
        before_message=0, conversation=True, files=True, confirm="t", restored=("a",), deleted=("b", "c"), own_changes=(diff,), kept=("m",)
    )
    assert [files_told(*numbers) for numbers in ((2, 1), (1, 0), (0, 1), (0, 0))] == [
        "2 files restored and 1 deleted",
        "1 file restored",
        "1 file deleted",
        "no file changed",
    ]
    assert "1 file would be restored and 2 deleted, 1 of them made, changed or deleted by you" in words(planned)
    assert "left alone" in words(planned)
    done = e.RewindComplete(before_message=0, conversation=True, files=True, restored=3, deleted=1)
    assert "the conversation and files went back: 3 files restored and 1 deleted" in words(done) and "/rewind back" in words(done)
    assert (
        words(e.RewindComplete(before_message=0, conversation=True, files=False)) == "· the conversation went back, files stay as they are"
    )


def test_a_job_of_this_machine_has_no_page_and_no_empty_place_for_one() -> None:
    job = e.HfJobSubmit(
        job_id="local-1", job_url="", flavor="local", timeout="30m", job_type="python", image="", namespace="local", push_to_hub=False,
        tool_call_id="c", reservation_id="c",
    )  # fmt: skip
    assert words(job) == "▸ job local-1 on local, at most 30m"
    assert words(replace(job, job_url="https://x/1")).endswith("at most 30m · https://x/1")


def test_a_rewind_tells_what_it_could_not_change_and_that_it_was_cut_short() -> None:
    failed = e.RewindComplete(
        before_message=0, conversation=True, files=True, restored=1, saved="c", failed=("x/y: Operation not permitted",)
    )
    assert "! 1 could not be changed: x/y: Operation not permitted" in words(failed)
    cut = e.RewindComplete(before_message=0, conversation=False, files=True, saved="c", note="It was cut short.", cut_short=True)
    assert words(cut) == "! It was cut short."


def test_what_a_hook_said_at_length_is_told_in_a_few_short_lines() -> None:
    text = words(e.HookRan(hook_event_name="PreToolUse", command="x", outcome="blocked", message="a" * 10_000 + "\nb" * 40))
    assert len(text) < 600 and "36 more lines" in text


def test_of_a_failed_call_that_answered_in_one_endless_line_the_beginning_is_shown() -> None:
    [row] = tail("a" * 10_000, 5)
    assert 500 < len(bare(row)) < 1000
