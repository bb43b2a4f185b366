"""The settings of hooks: programs of the user's that are run at moments of a session.

The names and the shape are those of Claude Code's settings (https://code.claude.com/docs/en/hooks), so that a hook written for
it works here: an event has a list of rules, a rule a ``matcher`` and its ``hooks``. A rule may also name its ``command`` itself.

A matcher of letters, digits, ``_``, ``-``, spaces, ``,`` and ``|`` is a list of whole names; any other is a regular expression that is
searched for. Case does not matter: those of Claude Code say ``Bash`` where our tool is ``bash``, and no guard may be passed by that.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from msgspec import Meta, field

from ml_intern.config.section import Section, SettingError

Seconds = Annotated[float, Meta(gt=0)]
USUAL_TIMEOUT_S = 60.0
MCP = "mcp__"
"""Begins the names of MCP servers' tools in Claude Code; ours are ``<server>__<tool>``."""
_NAMES = re.compile(r"[\w\s,|-]*", re.ASCII)
_BETWEEN = re.compile(r"[,|]")


class HookCommand(Section, frozen=True):
    """A program to run."""

    command: Annotated[str, Meta(min_length=1)]
    """The line for the shell. It gets JSON on its standard input."""
    type: Literal["command"] = "command"
    """The only kind there is."""
    timeout: Seconds = USUAL_TIMEOUT_S
    """Seconds that it may take."""
    in_background: bool = field(name="async", default=False)
    """Nothing waits for it, and it can block and change nothing. What it says to the model comes with the next message."""


class HookRule(Section, frozen=True):
    """Which programs are run for what."""

    matcher: str = ""
    """Names, such as ``bash|write``, or a regular expression, such as ``github__.*``; empty or ``*``: all."""
    command: str = ""
    """The program, in place of ``hooks``."""
    timeout: Seconds = USUAL_TIMEOUT_S
    """Seconds that ``command`` may take."""
    in_background: bool = field(name="async", default=False)
    """Whether nothing waits for ``command``."""
    hooks: tuple[HookCommand, ...] = ()
    """The programs."""

    def __post_init__(self) -> None:
        if bool(self.command.strip()) == bool(self.hooks):
            raise SettingError("command", "or hooks: give exactly one of the two")
        try:
            re.compile(self.matcher if self.matcher != "*" else "")
        except re.error as error:
            raise SettingError("matcher", f"is no regular expression: {error}") from error

    @property
    def commands(self) -> tuple[HookCommand, ...]:
        """Either way of writing it."""
        return self.hooks or (HookCommand(command=self.command, timeout=self.timeout, in_background=self.in_background),)

    def covers(self, name: str) -> bool:
        """Whether it is for this tool, or whatever the event is about."""
        return self.matcher in ("", "*") or any(self._matches(one) for one in _names_of(name))

    def _matches(self, name: str) -> bool:
        if _NAMES.fullmatch(self.matcher):
            return name.lower() in {one.strip().lower() for one in _BETWEEN.split(self.matcher)}
        return re.search(self.matcher, name, re.IGNORECASE) is not None


def _names_of(name: str) -> tuple[str, ...]:
    """What a tool is called here, and in the field."""
    return (name, f"{MCP}{name}") if "__" in name else (name,)


Rules = tuple[HookRule, ...]


class HookSettings(Section, frozen=True):
    """Your own programs at moments of a session. Each is a list of ``{"matcher": …, "hooks": [{"type": "command", "command": …}]}``."""

    pre_tool_use: Rules = field(name="PreToolUse", default=())
    """Before a call is judged: may block it, approve it, make it ask, or change its arguments. Matched by the tool's name."""
    post_tool_use: Rules = field(name="PostToolUse", default=())
    """After a call has run: may tell the model something. Matched by the tool's name."""
    permission_request: Rules = field(name="PermissionRequest", default=())
    """Before you are asked to approve a call: may answer in your place. Matched by the tool's name."""
    user_prompt_submit: Rules = field(name="UserPromptSubmit", default=())
    """Before your message reaches the model: may block it, or add to it."""
    session_start: Rules = field(name="SessionStart", default=())
    """When a session starts (matched by ``startup`` or ``resume``): may tell the model something."""
    stop: Rules = field(name="Stop", default=())
    """When the model has finished: may make it go on."""
    pre_compact: Rules = field(name="PreCompact", default=())
    """Before older history is summarised (matched by ``manual`` or ``auto``): may prevent it."""
    notification: Rules = field(name="Notification", default=())
    """When something waits for you (matched by ``permission_prompt`` or ``elicitation_dialog``)."""
    pre_job: Rules = field(name="PreJob", default=())
    """Before a job is submitted, with its script and price: may block it. Matched by the tool's name."""
    post_job: Rules = field(name="PostJob", default=())
    """After a job is over. Matched by how it ended, such as ``completed`` or ``error``."""
    on_alert: Rules = field(name="OnAlert", default=())
    """When a training run raised an alert. Matched by its level."""
    pre_publish: Rules = field(name="PrePublish", default=())
    """Before something on the Hub is changed, or a job is submitted that pushes to it: may block it. Matched by the tool's name."""

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__struct_fields__)
