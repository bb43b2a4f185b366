"""How the conversation looks, as pictures: a change of one is looked at, then accepted with ``--snapshot-update``."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from ml_intern.config.environ import Environ
from ml_intern.frontends.tui import theme
from ml_intern.frontends.tui.blocks.tool import ToolBlock
from ml_intern.frontends.tui.conversation import Conversation
from ml_intern.frontends.tui.transcript import Transcript
from ml_intern.protocol import display as d
from ml_intern.protocol import events as e
from ml_intern.protocol.messages import Thinking
from tests.tui.scripted import envelopes
from tests.unit.frontends.fake_host import done, started

ANSWER = """\
# What I found

The **loss** falls, see `train.py` and [the run](https://example.com/run/1):

| model | accuracy |
|---|---|
| baseline | 0.81 |
| tuned | 0.93 |

1. It overfits after epoch 3.
2. 日本語 and ❤️ are fine.

```python
def f(x: int) -> int:
    return x + 1  # one more
```
"""
DIFF = "--- a/train.py\n+++ b/train.py\n@@ -3,3 +3,3 @@\n import torch\n-lr = 1e-3\n+lr = 3e-4\n"
PLAN = (d.PlanItem("1", "Look at the data", "completed"), d.PlanItem("2", "Train", "in_progress"), d.PlanItem("3", "Report", "pending"))


def _call(number: int, tool: str, argument: str, output: str = "", **more: object) -> tuple[e.ToolCalled, e.ToolFinished]:
    call = e.ToolCalled(tool=tool, arguments={"command": argument}, tool_call_id=str(number))
    given = {"success": True, "duration_s": 1.5, **more}
    return call, e.ToolFinished(tool=tool, tool_call_id=str(number), output=output, **given)  # type: ignore[arg-type]


WORK: tuple[e.AnyEvent, ...] = (
    *started("Tune the model, and say what you find."),
    e.AssistantMessageAdded(content="I look first.", thinking=(Thinking(text="Where is the data?"),)),
    *_call(1, "bash", "ls data"),
    *_call(2, "edit", "train.py", display=(d.Diff("train.py", DIFF, 1, 1),)),
    *_call(3, "bash", "python train.py", "Traceback:\nKeyError: 'lr'\nExit code: 1", success=False, error_kind="exit_code"),
    e.PlanUpdate(plan=PLAN),
    e.ErrorRaised(error="The file data.csv is gone.", hint="Bring it back.", ends_turn=False),
    done(None, "spend_cap", "$5.00 are spent"),
)
SAID: tuple[e.AnyEvent, ...] = (*started("What did you find?"), e.AssistantMessageAdded(content=ANSWER), done(ANSWER))


class Stage(App[None]):
    """The conversation alone: the parts below it have pictures of their own."""

    def __init__(self, name: str) -> None:
        super().__init__()
        for each in theme.THEMES.values():
            self.register_theme(each)
        self.theme = theme.chosen(name, Environ({}))

    def compose(self) -> ComposeResult:
        yield Conversation(id="conversation")


def shows(*events: e.AnyEvent, unfolded: bool = False) -> Callable[[Pilot[None]], object]:
    async def prepare(pilot: Pilot[None]) -> None:
        conversation = pilot.app.query_one(Conversation)
        transcript = Transcript(conversation)
        for envelope in envelopes(*events):
            transcript.read(envelope, live=False)
        for block in conversation.blocks:
            if isinstance(block, ToolBlock) and block.animated:
                block.start(math.inf)  # its clock stands still in the picture
        if unfolded:
            conversation.fold_all(False)
        conversation.show_changes()
        await pilot.pause()

    return prepare


@pytest.mark.parametrize("name", [theme.DARK, theme.LIGHT, theme.ANSI])
def test_a_turn_with_calls_a_diff_and_a_plan(snap_compare: Callable[..., bool], name: str) -> None:
    assert snap_compare(Stage(name), run_before=shows(*WORK), terminal_size=(80, 32))


@pytest.mark.parametrize("size", [(80, 30), (44, 44)])
def test_an_answer_in_markdown(snap_compare: Callable[..., bool], size: tuple[int, int]) -> None:
    assert snap_compare(Stage(theme.DARK), run_before=shows(*SAID), terminal_size=size)


def test_unfolded_calls(snap_compare: Callable[..., bool]) -> None:
    assert snap_compare(Stage(theme.DARK), run_before=shows(*WORK, unfolded=True), terminal_size=(80, 50))


def test_without_colours(snap_compare: Callable[..., bool], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(Stage(theme.DARK), run_before=shows(*WORK), terminal_size=(80, 32))
