"""What is answered when nobody is there to answer."""

from __future__ import annotations

import msgspec

from ml_intern.protocol.events import ApprovalRequired, PendingTool
from ml_intern.protocol.operations import ApprovalAnswer, ExecApproval


def answer_approval(request: ApprovalRequired) -> ExecApproval:
    """Going on after a usage warning is what a headless run is for; everything else that still asks is refused."""
    if request.usage_threshold:
        return ExecApproval(approvals=tuple(ApprovalAnswer(tool_call_id=t.tool_call_id, approved=True) for t in request.tools))
    return ExecApproval(
        approvals=tuple(
            ApprovalAnswer(tool_call_id=tool.tool_call_id, approved=False, feedback=refusal(request, tool)) for tool in request.tools
        )
    )


def refusal(request: ApprovalRequired, tool: PendingTool) -> str:
    """Why it was refused and what would allow it: read by the model and by the person who reads the log."""
    reason = tool.block_reason or request.block_reason or tool.reason
    return " ".join(
        part
        for part in (
            "Refused: this needs an approval, and nobody can answer in a headless run.",
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
