"""One engine judges every call: from the risk its tool declares, the user's rules, and how much may run unasked.

A rule is ``tool``, ``tool(pattern)`` or ``mcp:server:tool``; ``*`` stands for anything. Deny wins over ask, ask over allow. A
deny or ask rule holds when it matches any part of a call, an allow rule only when allow rules cover every part.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from enum import StrEnum

from msgspec import Struct

from ml_intern.errors import ConfigError
from ml_intern.tools.base import Effect, PermissionSubject, Risk

_RULE = re.compile(r"\s*([A-Za-z0-9_*:.-]+)\s*(?:\((.*)\))?\s*", re.DOTALL)
HARMLESS = frozenset({Effect.READS, Effect.ASKS_USER})


class Mode(StrEnum):
    """How much runs unasked: ``ASK`` the user, what sandbox and budget ``CONTAIN``, or all within the cap (``YOLO``)."""

    ASK = "ask"
    CONTAINED = "contained"
    YOLO = "yolo"


class Outcome(StrEnum):
    """What a judgement says."""

    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


class Judgement(Struct, frozen=True):
    """``reason`` is for the user (ask) or the model (deny). ``blocked`` says why auto-approval could not take it."""

    outcome: Outcome
    reason: str = ""
    blocked: str = ""


class Rule(Struct, frozen=True):
    """One parsed rule; ``text`` is what the user wrote."""

    text: str
    tool: re.Pattern[str]
    pattern: re.Pattern[str] | None

    @classmethod
    def parse(cls, text: str) -> Rule:
        """Raises ``ConfigError`` for text that is no rule."""
        match = _RULE.fullmatch(text)
        if match is None:
            raise ConfigError(f"'{text}' is no permission rule.", hint="Write `tool`, or `tool(pattern)` such as `bash(pytest *)`.")
        tool, pattern = match.groups()
        return cls(text, _glob(tool), _glob(pattern) if pattern not in (None, "", "*") else None)

    def covers(self, tool: str, part: str) -> bool:
        """Whether it matches this part of a call of that tool."""
        return bool(self.tool.fullmatch(tool)) and (self.pattern is None or bool(self.pattern.fullmatch(part.strip())))


def _glob(pattern: str) -> re.Pattern[str]:
    """``*`` is anything; a trailing `` *`` also matches nothing, so that ``git status *`` covers ``git status``."""
    pattern = pattern.strip()
    tail = ""
    if pattern.endswith(" *"):
        pattern, tail = pattern[:-2], r"(?:\s.*)?"
    return re.compile(".*".join(re.escape(piece) for piece in pattern.split("*")) + tail, re.DOTALL)


class Permissions:
    """The rules of the settings plus what the user has granted since."""

    def __init__(
        self,
        *,
        allow: Iterable[str] = (),
        ask: Iterable[str] = (),
        deny: Iterable[str] = (),
        read_only: bool = False,
        unconfined_ok: bool = False,
        granted: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        """``unconfined_ok``: the user switched the sandbox off in so many words. ``granted``: rules of this session."""
        self._allow = [Rule.parse(text) for text in allow]
        self._ask = [Rule.parse(text) for text in ask]
        self._deny = [Rule.parse(text) for text in deny]
        self._read_only = read_only
        self._unconfined_ok = unconfined_ok
        self._granted = granted

    def judge(self, tool: str, subject: PermissionSubject, risk: Risk, mode: Mode) -> Judgement:
        """Whether this call may run, must be asked for, or must not run."""
        if rule := _first(self._deny, tool, subject):
            return Judgement(Outcome.DENY, f"The rule `{rule.text}` forbids it.")
        if self._read_only and not risk.effects <= HARMLESS:
            return Judgement(Outcome.DENY, f"This session is read-only; {tool} {_verb(risk)}.")
        if Effect.RECURRING in risk.effects:
            return Judgement(Outcome.ASK, "It recurs, so a person decides.", blocked="Recurring work is never approved automatically.")
        if rule := _first(self._ask, tool, subject):
            return Judgement(Outcome.ASK, f"The rule `{rule.text}` asks.", blocked=f"The rule `{rule.text}` asks for a person.")
        if self._is_allowed(tool, subject):
            return Judgement(Outcome.ALLOW)
        return self._by_risk(tool, risk, mode)

    def _is_allowed(self, tool: str, subject: PermissionSubject) -> bool:
        rules = [*self._allow, *(Rule.parse(text) for text in self._granted())]
        if not subject.simple:
            rules = [rule for rule in rules if rule.pattern is None]
        return bool(subject.parts) and all(any(rule.covers(tool, part) for rule in rules) for part in subject.parts)

    def _by_risk(self, tool: str, risk: Risk, mode: Mode) -> Judgement:
        why = self._uncontained(risk)
        if not why or mode is Mode.YOLO:
            return Judgement(Outcome.ALLOW)
        if mode is Mode.CONTAINED and risk.effects <= {Effect.SPENDS, Effect.LEAVES_MACHINE, *HARMLESS}:
            return Judgement(Outcome.ALLOW)  # the budget judges it before it starts
        reason = risk.reason or f"{tool} {why}."
        return Judgement(Outcome.ASK, reason, blocked=f"Nothing contains it: {tool} {why}." if mode is Mode.CONTAINED else "")

    def _uncontained(self, risk: Risk) -> str:
        """What the call does that nothing holds, as a verb phrase; empty when it may run unasked."""
        if Effect.RUNS_CODE in risk.effects and not risk.confined and not self._unconfined_ok:
            return "runs code outside a sandbox"
        for effect in (Effect.WRITES_OUTSIDE, Effect.WRITES_HUB, Effect.SPENDS):
            if effect in risk.effects:
                return {
                    Effect.WRITES_OUTSIDE: "writes outside the workspace",
                    Effect.WRITES_HUB: "changes something on the Hub",
                    Effect.SPENDS: "costs money",
                }[effect]
        return ""


def rule_for(tool: str, subject: PermissionSubject) -> str:
    """The rule that "always" would add: this program with these first words; empty when no rule can describe the call."""
    if not subject.simple or len(subject.parts) != 1:
        return ""
    part = subject.parts[0].strip()
    if not part:
        return tool
    words = part.split()
    plain = [word for word in words[:2] if re.fullmatch(r"[A-Za-z0-9_./-]+", word) and not word.startswith("-")]
    if len(words) <= 2 or not plain or "(" in part or ")" in part:
        return f"{tool}({part})"
    return f"{tool}({' '.join(plain)} *)"


def _first(rules: list[Rule], tool: str, subject: PermissionSubject) -> Rule | None:
    return next((rule for rule in rules for part in subject.parts if rule.covers(tool, part)), None)


def _verb(risk: Risk) -> str:
    return ", ".join(sorted(effect.value for effect in risk.effects - HARMLESS))
