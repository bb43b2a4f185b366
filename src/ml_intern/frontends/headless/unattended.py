"""What is answered when nobody is there to answer."""

from __future__ import annotations

import msgspec

from ml_intern.protocol.amounts import clock
from ml_intern.protocol.events import ApprovalRequired, PendingTool
from ml_intern.protocol.operations import ApprovalAnswer, ExecApproval

NOBODY = "nobody could answer"
_NOBODY_HERE = "Refused: this needs an approval, and nobody can answer in a headless run."


def answer_approval(request: ApprovalRequired) -> ExecApproval:
    """Going on after a usage warning is what a headless run is for; everything else that still asks is refused."""
    if request.usage_threshold:
        return ExecApproval(approvals=tuple(ApprovalAnswer(tool_call_id=t.tool_call_id, approved=True) for t in request.tools))
    return ExecApproval(
        approvals=tuple(
            ApprovalAnswer(tool_call_id=tool.tool_call_id, approved=False, feedback=refusal(request, tool), reason="nobody")
            for tool in request.tools
        )
    )


def late_approval(request: ApprovalRequired, keys: set[str], waited_s: float) -> ExecApproval:
    """The refusal of those calls that nobody decided in the time there was."""
    why = f"Refused: this needs an approval, and nobody answered within {clock(waited_s)} (--wait-for-approval)."
    late = [tool for tool in request.tools if tool.tool_call_id in keys]
    return ExecApproval(
        approvals=tuple(
            ApprovalAnswer(tool_call_id=tool.tool_call_id, approved=False, feedback=refusal(request, tool, why), reason="expired")
            for tool in late
        )
    )


def refusal(request: ApprovalRequired, tool: PendingTool, why: str = _NOBODY_HERE) -> str:
    """Why it was refused and what would allow it: read by the model and by the person who reads the log."""
    reason = tool.block_reason or request.block_reason or tool.reason
    return " ".join(
        part
        for part in (
            why,
            _sentence(reason),
            _way_out(request, tool),
            "Do not try to get around this; do what can be done without it, and say in the answer what was left out.",
        )
        if part
    )


def _way_out(request: ApprovalRequired, tool: PendingTool) -> str:
    if tool.recurring:
        return "Recurring jobs always need a person: the user can start this one from an interactive session."
    if request.yolo_budget or tool.remaining_cap_usd is not None or request.remaining_cap_usd is not None:
        return "The user can allow more spending with --max-cost."
    quoted = msgspec.json.encode(tool.remember_rule or tool.tool).decode()
    return f'The user can allow it beforehand, unless a rule of theirs asks: "permissions": {{"allow": [{quoted}]}} in the settings.'


def _sentence(text: str) -> str:
    text = text.strip()
    return text if not text or text[-1] in ".!?" else f"{text}."
