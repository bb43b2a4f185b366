"""What waits for an answer, drawn so that one knows what one answers."""

from __future__ import annotations

import msgspec

from ml_intern.frontends.headless.show import display_lines
from ml_intern.frontends.headless.text import Line, line, lines
from ml_intern.protocol.amounts import usd
from ml_intern.protocol.events import PendingTool, QuestionAsked
from ml_intern.protocol.invisible import marked
from ml_intern.protocol.shown_call import shown_call, warning

HOW_TO_DECIDE = "  y: yes · n: no · anything else: no, and these words go to the model"
HOW_TO_ANSWER = "  type the answer, or its number · - : no answer"
BLOCK_INDENT = "    "


def approval_card(tool: PendingTool) -> list[Line]:
    """All of what will run, nothing left out."""
    invisible, tool = warning(tool), shown_call(tool)
    rows = [line(("warn", f"? {tool.tool} needs your approval"), ("dim", f"  {tool.block_reason or tool.reason}"))]
    for name, value in tool.arguments.items():
        rows += _argument(name, value)
    rows += [row for item in tool.display for row in display_lines(item)]
    if tool.estimated_cost_usd is not None:
        left = "" if tool.remaining_cap_usd is None else f", {usd(tool.remaining_cap_usd)} left of the cap"
        rows.append(line(("warn", f"  costs at most {usd(tool.estimated_cost_usd)}{left}")))
    if tool.recurring:
        rows.append(line(("warn", "  it recurs: it goes on costing until somebody stops it")))
    if invisible:
        rows.append(line(("warn", f"  {invisible}")))
    return [*rows, line(("dim", HOW_TO_DECIDE))]


def question_card(question: QuestionAsked) -> list[Line]:
    """The question and its options."""
    options = [line(f"  {place}. {marked(option)}") for place, option in enumerate(question.options, 1)]
    return [*lines(f"? {marked(question.question)}", "warn"), *options, line(("dim", HOW_TO_ANSWER))]


def _argument(name: str, value: object) -> list[Line]:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    if "\n" not in text:
        return [line(f"  {name}: {text}")]
    return [line(f"  {name}:"), *lines(text, "", BLOCK_INDENT)]


def chosen(question: QuestionAsked, typed: str) -> str | None:
    """The answer that was typed; None to decline."""
    if typed == "-":
        return None
    if typed.isdecimal() and 1 <= int(typed) <= len(question.options):
        return question.options[int(typed) - 1]
    return typed
