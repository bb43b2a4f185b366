"""What a hook is told on its standard input, and what it may answer.

Names and shapes are those of Claude Code's hooks (https://code.claude.com/docs/en/hooks): JSON on standard input; exit code 0
goes on, with an optional JSON object on standard output; exit code 2 blocks, and standard error says why; any other code is a
failure of the hook, which is told and changes nothing. ``PreJob``, ``PostJob``, ``OnAlert`` and ``PrePublish`` are ours.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Struct, field

from ml_intern.protocol.messages import JsonObject

HookEvent: TypeAlias = Literal[
    "PreToolUse", "PostToolUse", "PermissionRequest", "UserPromptSubmit", "SessionStart", "Stop", "PreCompact", "Notification",
    "PreJob", "PostJob", "OnAlert", "PrePublish",
]  # fmt: skip
BLOCKS = 2
"""The exit code that does."""


class Moment(Struct, frozen=True, kw_only=True):
    """Something that hooks are run for. ``about`` is what matchers look at, ``details`` what the hook is told of it."""

    event: HookEvent
    about: str = ""
    details: JsonObject = field(default_factory=dict[str, Any])
    tool_call_id: str = ""


class _PermissionAnswer(Struct, frozen=True, rename="camel"):
    behavior: str = ""
    message: str = ""
    updated_input: JsonObject | None = None
    interrupt: bool = False


class Specific(Struct, frozen=True, rename="camel"):
    """The part of an answer that belongs to one event."""

    permission_decision: Literal["allow", "deny", "ask", ""] = ""
    permission_decision_reason: str = ""
    updated_input: JsonObject | None = None
    additional_context: str = ""
    decision: _PermissionAnswer | None = None


class Answer(Struct, frozen=True, rename="camel"):
    """What a hook printed. Keys that are not known are left alone, ``suppressOutput`` among them: plain output is never shown."""

    go_on: bool = field(name="continue", default=True)
    stop_reason: str = ""
    system_message: str = ""
    decision: str = ""
    reason: str = ""
    hook_specific_output: Specific = Specific()


_answers = msgspec.json.Decoder(Answer)


def parse_answer(stdout: str) -> Answer | None:
    """The answer in a hook's output; None when it is plain text. Raises ``msgspec.MsgspecError`` for an object that is none."""
    text = stdout.strip()
    return _answers.decode(text) if text.startswith("{") else None
