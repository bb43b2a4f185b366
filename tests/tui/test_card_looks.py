"""How each kind of card looks. The pictures are in ``__snapshots__``: look at them when they change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot

from ml_intern.frontends.tui import theme
from ml_intern.protocol import events as e
from ml_intern.protocol.display import Diff, Text
from tests.tui.scripted import STARTED, app_on, scripted, settled
from tests.unit.frontends.fake_host import started

Looks = Callable[..., bool]
WIDE, SMALL = (100, 30), (80, 24)

SCRIPT = "\n".join(
    [
        "import torch",
        "from datasets import load_dataset",
        "from transformers import AutoModelForCausalLM, Trainer, TrainingArguments",
        "",
        'model = AutoModelForCausalLM.from_pretrained("org/small-base")',
        'data = load_dataset("org/instructions", split="train")',
        *(f"print('step {number}')" for number in range(1, 31)),
    ]
)
UNIFIED = (
    "--- a/train.py\n+++ b/train.py\n@@ -10,4 +10,5 @@\n optimizer = AdamW(model.parameters())\n-learning_rate = 1e-2\n"
    "+learning_rate = 2e-4\n+warmup_steps = 100\n trainer.train()\n"
)


def pending(tool: str, key: str = "c1", **more: Any) -> e.PendingTool:
    return e.PendingTool(**{"tool": tool, "tool_call_id": key, "arguments": {}, **more})


COMMAND = pending(
    "bash",
    arguments={"command": "git push origin main", "description": "Publish the branch"},
    reason="It runs outside a sandbox, with all your rights.",
    risk=("leaves the machine", "runs code"),
    display=(Text(text="git push origin main", language="bash"),),
    remember_rule="bash(git push *)",
)
DIFF = pending(
    "edit",
    arguments={"path": "train.py", "old_str": "learning_rate = 1e-2", "new_str": "learning_rate = 2e-4\nwarmup_steps = 100"},
    reason="The rule `edit` asks.",
    risk=("writes workspace",),
    display=(Diff(path="train.py", unified=UNIFIED, added=2, removed=1),),
    remember_rule="edit(train.py)",
)
JOB = pending(
    "hf_jobs",
    arguments={"operation": "run", "script": SCRIPT, "hardware_flavor": "a10g-small", "timeout": "2h"},
    reason="It runs on a10g-small ($1.00 an hour, stopped after 2 h: at most $2.00).",
    risk=("leaves the machine", "spends"),
    display=(
        Text(
            text="Runs on a10g-small ($1.00 an hour, stopped after 2 h: at most $2.00), in the namespace shop.\n"
            "Command: uv run train.py\n"
            "Warning: it loads a model and never pushes one (no push_to_hub): what it trains is lost with the job's disk."
        ),
        Text(text=SCRIPT, language="python"),
    ),
    estimated_cost_usd=2.0,
    remaining_cap_usd=7.5,
    remember_rule="hf_jobs(run a10g-small)",
)
SANDBOX = pending(
    "sandbox_create",
    arguments={"hardware": "t4-small"},
    reason="sandbox_create costs money.",
    risk=("spends",),
    display=(Text(text="A t4-small sandbox at $0.40 an hour, for at most 2 h."),),
    estimated_cost_usd=0.8,
    remaining_cap_usd=7.5,
    remember_rule="sandbox_create(t4-small)",
)
MCP = pending(
    "github__create_issue",
    arguments={"repo": "shop/digits", "title": "Loss is NaN", "body": "After step 400.\n\nSee the log.", "labels": ["bug"]},
    reason="What the tools of the server github do is not known.",
    risk=("leaves the machine",),
    remember_rule="github__create_issue",
)
BUDGET = pending(
    "yolo_budget",
    arguments={"cap_usd": 5.0, "current_spend_usd": 4.98, "remaining_cap_usd": 0.02},
    reason="The cap of $5.00 is reached.",
)
USAGE = pending("usage_threshold", arguments={"threshold_usd": 5.0, "current_spend_usd": 5.03}, reason="This session has cost $5.03.")
QUESTION = e.QuestionAsked(question_id="q1", question="Which size should the model have?", options=("0.6B, on a t4", "1.7B, on an a10g"))


def asks(*tools: e.PendingTool, **more: Any) -> e.ApprovalRequired:
    return e.ApprovalRequired(tools=tools, count=len(tools), **more)


CARDS: dict[str, e.AnyEvent] = {
    "command": asks(COMMAND),
    "diff": asks(DIFF),
    "job": asks(JOB),
    "sandbox": asks(SANDBOX),
    "mcp": asks(MCP),
    "budget": asks(BUDGET, yolo_budget=True),
    "usage": asks(USAGE, usage_threshold=True),
    "question": QUESTION,
    "several": asks(COMMAND, replace(SANDBOX, tool_call_id="c2"), replace(MCP, tool_call_id="c3")),
}


def looks_like(snap_compare: Looks, event: e.AnyEvent, size: tuple[int, int], *keys: str, theme_name: str = theme.DARK) -> bool:
    host = scripted(past=(STARTED, *started("Train it on my data, then publish it."), event))

    async def before(pilot: Pilot[int]) -> None:
        app: Any = pilot.app
        await settled(app, pilot, host)
        app.query_one("#activity").display = False  # it counts seconds
        for key in ("f2", *keys):
            await pilot.press(key)
        await settled(app, pilot, host)

    return snap_compare(app_on(host, theme_name=theme_name), run_before=before, terminal_size=size)


@pytest.mark.parametrize("size", [WIDE, SMALL], ids=["wide", "small"])
@pytest.mark.parametrize("card", CARDS)
def test_a_card_looks_so(snap_compare: Looks, card: str, size: tuple[int, int]) -> None:
    assert looks_like(snap_compare, CARDS[card], size)


@pytest.mark.parametrize("card", ["diff", "job"])
def test_a_card_in_the_light_theme(snap_compare: Looks, card: str) -> None:
    assert looks_like(snap_compare, CARDS[card], WIDE, theme_name=theme.LIGHT)


@pytest.mark.parametrize("size", [WIDE, SMALL], ids=["wide", "small"])
def test_a_long_script_is_scrolled(snap_compare: Looks, size: tuple[int, int]) -> None:
    assert looks_like(snap_compare, CARDS["job"], size, "pagedown")


@pytest.mark.parametrize(("key", "card"), [("n", "command"), ("e", "job")])
def test_a_card_that_asks_for_words_and_one_that_is_edited(snap_compare: Looks, key: str, card: str) -> None:
    assert looks_like(snap_compare, CARDS[card], WIDE, key)
