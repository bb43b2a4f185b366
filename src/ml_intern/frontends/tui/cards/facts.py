"""What a card shows of a call that waits: taken from the event alone, which holds it exactly as it will run."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from ml_intern.frontends.headless.show import headline
from ml_intern.frontends.headless.text import Line, clip_text, line
from ml_intern.frontends.tui.cards.draft import LANGUAGES
from ml_intern.protocol.amounts import usd
from ml_intern.protocol.display import Diff, Text
from ml_intern.protocol.events import PendingTool

MONEY = ("usage_threshold", "yolo_budget")
"""Questions of money that are put as if they were calls."""
TITLE_CELLS = 60
"""Of what a call is about: its price comes after that."""
_RISKS = {
    "leaves the machine": "reaches beyond this machine",
    "writes workspace": "changes files here",
    "writes hub": "changes something on the Hub",
}
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def title(tool: PendingTool) -> str:
    """What it is, in one line."""
    if tool.tool == "usage_threshold":
        return "Go on spending?"
    if tool.tool == "yolo_budget":
        return "The cap is reached"
    about = clip_text(headline(tool.arguments), TITLE_CELLS) if isinstance(tool.arguments.get("operation"), str) else ""
    return f"{tool.tool} {about}".strip()


def price(tool: PendingTool) -> str:
    """Of what waits beside others."""
    return "" if tool.estimated_cost_usd is None else f" · at most {usd(tool.estimated_cost_usd)}"


def facts(tool: PendingTool) -> list[Line]:
    """Why it asks, what it may do, what it costs."""
    rows: list[Line] = []
    shown = "\n".join(item.text for item in tool.display if isinstance(item, Text)).casefold()
    if reason := _news(tool.block_reason or tool.reason, shown):
        rows.append(line(("warn", reason)))
    if tool.tool in MONEY:
        amounts = (f"{name.replace('_usd', '').replace('_', ' ')}: {usd(value)}" for name, value in _amounts(tool))
        return [*rows, line(" · ".join(amounts))]
    told = [_RISKS.get(risk, risk) for risk in tool.risk if risk != "spends"]
    if tool.estimated_cost_usd is not None or "spends" in tool.risk:
        most = "" if tool.estimated_cost_usd is None else f"at most {usd(tool.estimated_cost_usd)}"
        left = "no cap set" if tool.remaining_cap_usd is None else f"{usd(tool.remaining_cap_usd)} left of the cap"
        cost = [f"costs {most or 'an unknown amount'}"] if not most or most not in shown else []
        told = [*cost, left, *told]
    if told:
        rows.append(line(" · ".join(told)))
    if tool.recurring:
        rows.append(line(("warn", "It recurs until the schedule is deleted.")))
    return rows


def together(tools: Sequence[PendingTool]) -> str:
    """What all of them may cost at most, and what is left of the cap; empty where none of them spends."""
    spending = [tool for tool in tools if tool.estimated_cost_usd is not None or "spends" in tool.risk]
    if not spending:
        return ""
    known = [tool.estimated_cost_usd for tool in spending if tool.estimated_cost_usd is not None]
    unknown = f"{len(spending) - len(known)} of unknown cost" if len(spending) > len(known) else ""
    costs = ", ".join(filter(None, (f"at most {usd(sum(known))}" if known else "", unknown)))
    left = [tool.remaining_cap_usd for tool in spending if tool.remaining_cap_usd is not None]
    return f"{costs} together, {f'{usd(min(left))} left of the cap' if left else 'no cap set'}"


def _news(reason: str, shown: str) -> str:
    """The sentences of the reason that the call's own words, shown below it, do not say as well."""
    told = (each for each in _SENTENCE_END.split(reason) if each.removeprefix("It ").rstrip(".").casefold() not in shown)
    return " ".join(told)


def shown_arguments(tool: PendingTool) -> list[tuple[str, str, str]]:
    """The arguments that ``display`` does not show: name, text, language."""
    texts = [item.text for item in tool.display if isinstance(item, Text)]
    changed = {row[1:] for item in tool.display if isinstance(item, Diff) for row in item.unified.splitlines()}
    rows: list[tuple[str, str, str]] = []
    for name, value in tool.arguments.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if text and not _is_shown(text, texts, changed):
            rows.append((name, text, LANGUAGES.get(name, "")))
    return rows


def _is_shown(text: str, texts: list[str], changed: set[str]) -> bool:
    """Whole: as a text of its own or a part of many lines, or each of its lines as a whole line of a diff."""
    if any(text.strip() == shown.strip() or ("\n" in text and text.strip() in shown) for shown in texts):
        return True
    return bool(changed) and all(row in changed for row in text.splitlines())


def _amounts(tool: PendingTool) -> list[tuple[str, float]]:
    return [(name, value) for name, value in tool.arguments.items() if isinstance(value, (int, float))]
