"""Cards: what waits is shown exactly as it will run, and decided by keys."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.display import Diff, Text
from tests.tui.scripted import STARTED, running, screen_text, scripted, settled
from tests.unit.frontends.fake_host import done, started

SCRIPT = "import torch\nprint('train')\n"


def pending(key: str = "c1", **more: Any) -> e.PendingTool:
    given = {
        "tool": "hf_jobs",
        "arguments": {"operation": "run", "script": SCRIPT, "hardware_flavor": "a10g-small"},
        "reason": "It costs money.",
        "risk": ("leaves the machine", "spends"),
        "display": (Text(text="Runs on a10g-small, at most $2.00."), Text(text=SCRIPT, language="python")),
        "estimated_cost_usd": 2.0,
        "remaining_cap_usd": 7.5,
        "remember_rule": "hf_jobs(run a10g-small)",
    }
    return e.PendingTool(tool_call_id=key, **{**given, **more})


def asked(*tools: e.PendingTool, **more: Any) -> e.ApprovalRequired:
    return e.ApprovalRequired(tools=tools, count=len(tools), **more)


def decided(host: Any) -> list[op.ApprovalAnswer]:
    return [answer for each in host.operations if isinstance(each, op.ExecApproval) for answer in each.approvals]


async def test_the_card_shows_what_will_run_what_it_costs_and_what_the_cap_leaves() -> None:
    host = scripted(past=(STARTED, *started(), asked(pending())))
    async with running(host, size=(100, 40)) as (app, _):
        text = "\n".join(screen_text(app))
    for words in ("hf_jobs run", "It costs money.", "print('train')", "at most $2.00", "$7.50 left of the cap", "hf_jobs(run a10g-small)"):
        assert words in text


@pytest.mark.parametrize(
    ("key", "answer"),
    [
        ("y", op.ApprovalAnswer(tool_call_id="c1", approved=True)),
        ("s", op.ApprovalAnswer(tool_call_id="c1", approved=True, remember="session")),
        ("p", op.ApprovalAnswer(tool_call_id="c1", approved=True, remember="project")),
    ],
)
async def test_one_key_decides_and_what_lasts_is_asked_once_more(key: str, answer: op.ApprovalAnswer) -> None:
    more = ("enter",) if key in "sp" else ()
    host = scripted(past=(STARTED, *started(), asked(pending())))
    async with running(host, calm_s=0.0) as (app, pilot):
        await pilot.press("f2", key, *more)
        await settled(app, pilot, host)
    assert decided(host) == [answer]


async def test_a_no_may_have_words() -> None:
    host = scripted(past=(STARTED, *started(), asked(pending())))
    async with running(host) as (app, pilot):
        await pilot.press("f2", "n", *"on a t4", "enter")
        await settled(app, pilot, host)
    assert decided(host) == [op.ApprovalAnswer(tool_call_id="c1", approved=False, feedback="on a t4")]


async def test_what_is_edited_is_what_is_approved() -> None:
    host = scripted(past=(STARTED, *started(), asked(pending())))
    async with running(host) as (app, pilot):
        await pilot.press("f2", "e", *"#1", "enter", "ctrl+s")
        await settled(app, pilot, host)
    (answer,) = decided(host)
    assert answer.arguments == {"operation": "run", "script": "#1\n" + SCRIPT, "hardware_flavor": "a10g-small"}


async def test_arguments_without_a_main_text_are_edited_as_json_and_a_mistake_is_told() -> None:
    tool = pending(tool="hf_repo_git", arguments={"operation": "create_repo", "private": True}, display=())
    host = scripted(past=(STARTED, *started(), asked(tool)))
    async with running(host, size=(100, 40)) as (app, pilot):
        await pilot.press("f2", "e", *"x", "ctrl+s")
        await settled(app, pilot, host)
        assert decided(host) == []
        assert "no JSON object" in "\n".join(screen_text(app))
        await pilot.press("backspace", "ctrl+s")
        await settled(app, pilot, host)
    assert decided(host)[0].arguments == json.loads('{"operation": "create_repo", "private": true}')


async def test_escape_leads_back_and_decides_nothing() -> None:
    host = scripted(past=(STARTED, *started(), asked(pending())))
    async with running(host) as (app, pilot):
        await pilot.press("f2", "n", "escape", "e", "escape", "escape")
        await settled(app, pilot, host)
        assert app.composer.has_focus
    assert decided(host) == []
    assert not any(isinstance(each, op.Interrupt) for each in host.operations)


async def test_several_are_decided_one_by_one_or_together() -> None:
    host = scripted(past=(STARTED, *started(), asked(pending("c1"), pending("c2"), pending("c3"))))
    async with running(host, size=(100, 60), calm_s=0.0) as (app, pilot):
        assert "[1/3]" in "\n".join(screen_text(app))
        await pilot.press("f2", "tab", "y")
        await settled(app, pilot, host)
        host.emit(e.ToolStateChange(tool_call_id="c2", tool="hf_jobs", state="approved"))
        await settled(app, pilot, host)
        await pilot.press("f2", "a", "enter")
        await settled(app, pilot, host)
    assert [(answer.tool_call_id, answer.approved) for answer in decided(host)] == [("c2", True), ("c1", True), ("c3", True)]


async def test_this_and_the_rest_asks_no_more_until_the_turn_ends() -> None:
    host = scripted(past=(STARTED, *started(), asked(pending())))
    async with running(host, calm_s=0.0) as (app, pilot):
        await pilot.press("f2", "A")
        assert "every later call of this turn without asking" in "\n".join(screen_text(app))
        assert host.operations == []
        await pilot.press("enter")
        await settled(app, pilot, host)
        assert "/yolo off asks again" in "\n".join(screen_text(app))
    assert [each for each in host.operations if not isinstance(each, op.Interrupt)] == [
        op.SetAutoApproval(enabled=True, scope="turn"),
        op.ExecApproval(approvals=(op.ApprovalAnswer(tool_call_id="c1", approved=True),)),
    ]


async def test_an_answer_before_a_resumed_turn_has_asked_again_is_not_called_anothers() -> None:
    host = scripted(past=(STARTED, *started(), asked(pending())))
    async with running(host) as (app, pilot):
        await pilot.press("f2", "y")
        await settled(app, pilot, host)
        host.emit(asked(pending()), e.ToolStateChange(tool_call_id="c1", tool="hf_jobs", state="approved"))
        await settled(app, pilot, host)
        text = "\n".join(screen_text(app))
        assert "elsewhere" not in text and "It costs money." not in text
    assert len(decided(host)) == 1


async def test_a_card_that_is_decided_elsewhere_goes_and_says_so() -> None:
    host = scripted(past=(STARTED, *started()))
    async with running(host) as (app, pilot):
        host.emit(asked(pending()))
        await settled(app, pilot, host)
        host.emit(e.ToolStateChange(tool_call_id="c1", tool="hf_jobs", state="rejected"))
        await settled(app, pilot, host)
        text = "\n".join(screen_text(app))
        assert "It costs money." not in text
        assert "rejected elsewhere" in " ".join(text.split())
        assert app.composer.has_focus


async def test_a_card_that_a_rule_decided_goes_and_says_which() -> None:
    host = scripted(past=(STARTED, *started(), asked(pending("c1"), pending("c2"))))
    async with running(host, size=(120, 24)) as (app, pilot):
        by_rule = e.ToolStateChange(tool_call_id="c2", tool="hf_jobs", state="approved", rule="hf_jobs(run cpu-*)")
        host.emit(e.ToolStateChange(tool_call_id="c1", tool="hf_jobs", state="approved", sent_by="process 9"), by_rule)
        await settled(app, pilot, host)
        text = " ".join(" ".join(screen_text(app)).split())
    assert "approved too: hf_jobs(run cpu-*) is always allowed now" in text and "elsewhere" not in text


async def test_an_answer_that_another_terminal_was_faster_than_is_told() -> None:
    host = scripted(past=(STARTED, *started()))
    host.sender = "process 77"
    async with running(host, size=(120, 24)) as (app, pilot):
        host.emit(asked(pending()))
        await settled(app, pilot, host)
        await pilot.press("f2", "y")
        host.emit(e.ToolStateChange(tool_call_id="c1", tool="hf_jobs", state="rejected", sent_by="process 99"))
        await settled(app, pilot, host)
        text = " ".join(" ".join(screen_text(app)).split())
    assert [type(each) for each in host.operations][:1] == [op.ExecApproval]
    assert "rejected in another terminal" in text and "Your answer came after that" in text


async def test_a_joined_terminal_says_who_decided_in_words_and_never_by_the_number_of_a_process() -> None:
    told = {"": "in the other terminal", "process 99": "in another terminal", "bea (U1) on Slack": "by bea (U1) on Slack"}
    for sent_by, words in told.items():
        host = scripted(past=(STARTED, *started(), asked(pending())))
        host.sender, host.owner = "process 77", "process 4242 (app) since 03:12"
        async with running(host, size=(120, 24)) as (app, pilot):
            host.emit(e.ToolStateChange(tool_call_id="c1", tool="hf_jobs", state="approved", sent_by=sent_by))
            await settled(app, pilot, host)
            text = " ".join(" ".join(screen_text(app)).split())
        assert f"was approved {words}." in text and "approved in process" not in text


async def test_what_is_said_of_an_operation_is_said_in_the_terminal_that_sent_it_and_in_no_other() -> None:
    host = scripted(past=(STARTED, *started()))
    host.sender = "process 77"
    async with running(host, size=(120, 24)) as (app, pilot):
        for sent_by in ("", "process 99", "process 77", None):
            host.emit(e.ErrorRaised(error=f"Said to {sent_by!r}.", kind="BadOperation", ends_turn=False, sent_by=sent_by))
        await settled(app, pilot, host)
        text = "\n".join(screen_text(app))
    assert [to for to in ("''", "'process 99'", "'process 77'", "None") if f"Said to {to}." in text] == ["'process 77'", "None"]


async def test_ones_own_answer_in_a_joined_session_needs_no_telling() -> None:
    host = scripted(past=(STARTED, *started()))
    host.sender = "process 77"
    async with running(host) as (app, pilot):
        host.emit(asked(pending()))
        await settled(app, pilot, host)
        await pilot.press("f2", "y")
        host.emit(e.ToolStateChange(tool_call_id="c1", tool="hf_jobs", state="approved", sent_by="process 77"))
        await settled(app, pilot, host)
        assert "process 77" not in "\n".join(screen_text(app))


async def test_nobody_approves_with_the_letter_of_a_word() -> None:
    """The keys stay with the composer while somebody writes."""
    host = scripted(past=(STARTED, *started()))
    async with running(host) as (app, pilot):
        await pilot.press(*"ma")
        host.emit(asked(pending()))
        await settled(app, pilot, host)
        await pilot.press(*"yes")
        assert app.composer.text == "mayes"
        assert decided(host) == []
        await pilot.press("f2", "y")
        await settled(app, pilot, host)
    assert len(decided(host)) == 1


async def test_after_a_restart_what_waits_is_asked_again_and_what_was_answered_is_not() -> None:
    answered = e.ToolFinished(tool="hf_jobs", tool_call_id="c1", output="done", success=True)
    host = scripted(past=(STARTED, *started(), asked(pending("c1"), pending("c2")), answered))
    async with running(host, size=(100, 40)) as (app, pilot):
        await pilot.press("f2", "y")
        await settled(app, pilot, host)
    assert [answer.tool_call_id for answer in decided(host)] == ["c2"]


async def test_the_end_of_the_turn_takes_all_cards_away() -> None:
    host = scripted(past=(STARTED, *started(), asked(pending()), e.Interrupted()))
    async with running(host) as (app, _):
        assert "It costs money." not in "\n".join(screen_text(app))


async def test_a_warning_of_money_goes_on_or_stops_at_one_key() -> None:
    tool = pending(tool="usage_threshold", arguments={"threshold_usd": 5.0, "current_spend_usd": 5.1}, display=(), remember_rule="")
    host = scripted(past=(STARTED, *started(), asked(tool, usage_threshold=True)))
    async with running(host) as (app, pilot):
        assert "Go on spending?" in "\n".join(screen_text(app))
        await pilot.press("f2", "n")
        await settled(app, pilot, host)
    assert decided(host) == [op.ApprovalAnswer(tool_call_id="c1", approved=False)]


async def test_a_cap_that_is_reached_is_raised_by_an_amount_and_nothing_else() -> None:
    tool = pending(tool="yolo_budget", arguments={"cap_usd": 5.0}, display=(), remember_rule="")
    host = scripted(past=(STARTED, *started(), asked(tool, yolo_budget=True)))
    async with running(host) as (app, pilot):
        await pilot.press("f2", "y", *"much", "enter")
        await settled(app, pilot, host)
        assert decided(host) == []
        await pilot.press(*"12.50", "enter")
        await settled(app, pilot, host)
    assert op.SetAutoApproval(enabled=False, cost_cap_usd=12.5) in host.operations
    assert decided(host) == [op.ApprovalAnswer(tool_call_id="c1", approved=True)]


async def test_a_question_that_went_away_elsewhere_says_why() -> None:
    question = e.QuestionAsked(question_id="q1", question="Which metric?")
    host = scripted(past=(STARTED, *started()))
    async with running(host, size=(100, 40)) as (app, pilot):
        for reason, told in (("declined", "declined by slack"), ("expired", "not answered in time by slack")):
            host.emit(question, e.QuestionAnswered(question_id="q1", answer=None, sent_by="slack", reason=reason))
            await settled(app, pilot, host)
            assert f"The question was {told}" in "\n".join(screen_text(app))


async def test_a_higher_cap_leaves_yolo_for_this_turn_as_it_is() -> None:
    tool = pending(tool="yolo_budget", arguments={"cap_usd": 5.0}, display=(), remember_rule="")
    said = e.SessionUpdate(session_id=STARTED.session_id, auto_approval={"enabled": False, "cost_cap_usd": 5.0, "this_turn": True})
    host = scripted(past=(STARTED, *started(), said, asked(tool, yolo_budget=True)))
    async with running(host) as (app, pilot):
        await pilot.press("f2", "y", *"12", "enter")
        await settled(app, pilot, host)
    assert op.SetAutoApproval(enabled=True, scope="turn", cost_cap_usd=12.0) in host.operations


async def test_a_question_is_answered_by_number_or_in_words_or_declined() -> None:
    questions = [e.QuestionAsked(question_id=key, question="Which metric?", options=("F1", "accuracy")) for key in ("q1", "q2", "q3")]
    host = scripted(past=(STARTED, *started(), questions[0]))
    async with running(host, size=(80, 40)) as (app, pilot):
        assert "2  accuracy" in "\n".join(screen_text(app))
        await pilot.press("f2", "2")
        host.emit(e.QuestionAnswered(question_id="q1", answer="accuracy"), questions[1])
        await settled(app, pilot, host)
        await pilot.press("f2", "w", *"both", "enter")
        host.emit(e.QuestionAnswered(question_id="q2", answer="both"), questions[2])
        await settled(app, pilot, host)
        await pilot.press("f2", "d")
        await settled(app, pilot, host)
    answers = [(each.question_id, each.answer) for each in host.operations if isinstance(each, op.AnswerQuestion)]
    assert answers == [("q1", "accuracy"), ("q2", "both"), ("q3", None)]


async def test_what_a_model_wrote_is_no_markup_on_a_card() -> None:
    tool = pending(arguments={"command": "echo [red]x[/red] \x1b[2J"}, display=(Diff(path="a", unified="+[bold]y\n", added=1, removed=0),))
    host = scripted(past=(STARTED, *started(), asked(tool)))
    async with running(host, size=(100, 40)) as (app, _):
        text = "\n".join(screen_text(app))
    assert "echo [red]x[/red]" in text and "+[bold]y" in text and "\x1b" not in text


async def test_it_rings_when_it_waits_and_not_for_what_the_log_held() -> None:
    host = scripted(past=(STARTED, *started(), asked(pending())))
    async with running(host) as (app, pilot):
        rung: list[int] = []
        app.bell = lambda: rung.append(1)  # type: ignore[method-assign]  # the terminal's own part, which a test has none of
        host.emit(e.ToolFinished(tool="hf_jobs", tool_call_id="c1", output="", success=True), done("ok"))
        await settled(app, pilot, host)
        assert rung == []
        host.emit(*started(), asked(pending("c2")))
        await settled(app, pilot, host)
        assert rung == [1]


@pytest.mark.parametrize("size", [(100, 30), (80, 24)])
async def test_the_keys_of_a_card_are_seen_however_long_the_script_is(size: tuple[int, int]) -> None:
    long = "\n".join(f"print({number})" for number in range(200))
    tool = pending(arguments={"operation": "run", "script": long}, display=(Text(text=long, language="python"),))
    host = scripted(past=(STARTED, *started(), asked(tool)))
    async with running(host, size=size) as (app, _):
        text = "\n".join(screen_text(app))
    assert "y approve" in text and "hf_jobs(run a10g-small)" in text


async def test_what_is_shown_already_is_not_shown_twice() -> None:
    shell = pending(tool="bash", arguments={"command": "git push", "work_dir": "sub"}, display=(Text(text="git push", language="bash"),))
    unified = "--- a\n+++ b\n@@ -1 +1 @@\n-old line\n+new line\n"
    edit = pending("c2", tool="edit", arguments={"old_str": "old line", "new_str": "new"}, display=(Diff("a", unified, 1, 1),))
    host = scripted(past=(STARTED, *started(), asked(shell, edit)))
    async with running(host, size=(100, 60)) as (app, pilot):
        text = "\n".join(screen_text(app))
        await pilot.press("f2", "tab")
        await settled(app, pilot, host)
        text += "\n".join(screen_text(app))
    assert text.count("git push") == 1 and "work_dir: sub" in text
    assert "old_str" not in text and "new_str: new" in text, "only what is a whole line of the diff is left out"


async def test_what_a_job_costs_is_said_once_and_what_the_cap_leaves_beside_it() -> None:
    where = "on a10g-small ($1.00 an hour, stopped after 2 h: at most $2.00)"
    display = (Text(text=f"Runs {where}, in the namespace shop.\nThe job gets your token."), Text(text=SCRIPT, language="python"))
    call = pending(reason=f"It runs {where}. The job gets your token. A rule asks.", display=display, remember_rule="")
    host = scripted(past=(STARTED, *started(), asked(call)))
    async with running(host, size=(100, 40)) as (app, _):
        text = "\n".join(screen_text(app))
    for words in ("at most $2.00", "$7.50 left of the cap", "gets your token", "A rule asks."):
        assert text.count(words) == 1
