"""What a session does about its permission rules: shows them, changes them, and says what would become of a call."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, assert_never

import msgspec

from ml_intern.errors import MlInternError, ToolError
from ml_intern.protocol.events import ErrorRaised
from ml_intern.protocol.permission_events import CallTried, PermissionGranted, RuleChanged, RulesInForce
from ml_intern.protocol.permission_operations import ChangeRule, RuleScope, ShowRules, TryCall
from ml_intern.session.log import EventLog
from ml_intern.session.permissions import Judgement, Mode, Outcome, Permissions
from ml_intern.session.rule_book import RuleBook
from ml_intern.session.toolbox import Toolbox
from ml_intern.tools.base import Tool

_CALL = re.compile(r"\s*(?P<tool>mcp:[^:\s({]+:[^:\s({]+|[^:\s({]+)\s*(?P<rest>[:({]?.*)", re.DOTALL)
HOW = 'Write `tool: what it does`, such as `bash: git push`, or the arguments as JSON: `write: {"path": "a.py", "content": ""}`.'


class _Tried(NamedTuple):
    name: str
    arguments: str


class Rules:
    """The rules of one session."""

    def __init__(self, log: EventLog, book: RuleBook, tools: Toolbox, permissions: Permissions, read_only: bool) -> None:
        self._log = log
        self._book = book
        self._tools = tools
        self._permissions = permissions
        self._read_only = read_only

    async def take(self, operation: ChangeRule | ShowRules | TryCall, mode: Mode) -> None:
        """Do it; events tell what came of it."""
        await self._book.refresh()
        match operation:
            case ChangeRule():
                await self._change(operation)
            case ShowRules():
                self._log.show(RulesInForce(rules=self._book.rules(), mode=mode.value, read_only=self._read_only))
            case TryCall():
                self._log.show(await self._try(operation.call, mode))
            case _:
                assert_never(operation)

    async def grant(self, rule: str, scope: RuleScope, sent_by: str) -> PermissionGranted:
        """Keep what "always" would allow. What cannot be kept for the folder holds for the session, and that is told."""
        if scope != "session":
            try:
                await self._book.change(ChangeRule(outcome="allow", rule=rule, scope=scope))
            except MlInternError as error:
                text = f"The rule {rule} holds for this session only; it could not be kept: {error.message}"
                await self._complain(text, error.hint, sent_by)
                scope = "session"
        return PermissionGranted(rule=rule, scope=scope)

    async def _change(self, change: ChangeRule) -> None:
        try:
            done = await self._book.change(change)
        except MlInternError as error:
            await self._complain(error.message, error.hint, change.sent_by)
            return
        if done:
            changed = RuleChanged(outcome=change.outcome, rule=change.rule, scope=change.scope, removed=change.remove)
            gone = RuleChanged(outcome=change.outcome, rule=change.replaces, scope=change.scope, removed=True)
            await self._log.append(*([gone] if change.replaces else []), changed)
        else:
            missing, what = change.replaces or change.rule, "replace" if change.replaces else "remove"
            text = f"There is no rule `{change.outcome} {missing}` there to {what}."
            await self._complain(text, "/permissions shows those in force.", change.sent_by)

    async def _complain(self, text: str, hint: str, sent_by: str) -> None:
        await self._log.append(ErrorRaised(error=text, hint=hint, kind="BadOperation", ends_turn=False, sent_by=sent_by))

    # ── trying a call ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _try(self, text: str, mode: Mode) -> CallTried:
        try:
            judgement = await self._judged(text, mode)
        except ToolError as error:
            return CallTried(call=text, outcome="", reason=str(error))
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            return CallTried(call=text, outcome="", reason=f"Those arguments do not fit the tool: {error}.")
        deciding = [
            rule
            for rule in self._book.rules()
            if rule.rule in judgement.rules and not rule.idle and (rule.outcome == "allow") == (judgement.outcome is Outcome.ALLOW)
        ]
        reason = judgement.reason or _words(judgement, mode)
        return CallTried(call=text, outcome=judgement.outcome.value, reason=reason, rules=tuple(deciding))

    async def _judged(self, text: str, mode: Mode) -> Judgement:
        tried = _parsed(text)
        tool = self._tool(tried.name)
        args: Any = tool.parse(_arguments(tool, tried.arguments))
        args = await tool.prepare(args)
        return self._permissions.judge(tool.name, tool.subject(args), tool.risk(args), mode)

    def _tool(self, name: str) -> Tool[Any]:
        """By its name, or by that which rules may use for one of an MCP server."""
        own = "__".join(name.split(":")[1:]) if name.startswith("mcp:") else name
        if (tool := self._tools.get(own)) is None:
            names = ", ".join(sorted(tool.name for tool in self._tools.all()))
            raise ToolError(f"There is no tool '{name}'. The tools are: {names}.")
        return tool


def _parsed(text: str) -> _Tried:
    match = _CALL.fullmatch(text)
    if match is None:
        raise ToolError("That names no tool.", hint=HOW)
    rest = match["rest"].strip()
    if rest.startswith("(") and rest.endswith(")"):
        rest = rest[1:-1]
    return _Tried(match["tool"], rest.removeprefix(":").strip())


def _arguments(tool: Tool[Any], text: str) -> str:
    """As JSON. Plain text is the one argument that the tool cannot do without."""
    if text.startswith("{") or not text:
        return text
    parameters = tool.schema.parameters
    properties, required = parameters.get("properties", {}), parameters.get("required", [])
    if len(required) != 1 or properties.get(required[0], {}).get("type") != "string":
        needs = f"'{tool.name}' needs {', '.join(required)}" if required else f"'{tool.name}' takes named arguments"
        raise ToolError(f"{needs}: write them as JSON.", hint=HOW)
    return msgspec.json.encode({required[0]: text}).decode()


def _words(judgement: Judgement, mode: Mode) -> str:
    if judgement.rules:
        return f"Allowed by {', '.join(f'`{rule}`' for rule in judgement.rules)}."
    if mode is Mode.YOLO:
        return "No rule is about it; it is approved automatically."
    return "No rule is about it, and what it does is contained."
