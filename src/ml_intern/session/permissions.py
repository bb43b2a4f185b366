"""One engine judges every call: from the risk its tool declares, the user's rules, and how much may run unasked.

A rule is ``tool``, ``tool(pattern)`` or ``mcp:server:tool``; ``*`` stands for anything, ``\\*`` for a star, ``...`` at the end for
other operands and harmless options. Deny wins over ask, ask over allow. A deny or ask rule holds when it matches any part of a
call, an allow rule only when allow rules cover every part. Where a deny or ask rule might match what a call does not show, a
person is asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from enum import StrEnum

from msgspec import Struct

from ml_intern.errors import ConfigError
from ml_intern.tools.base import Effect, PermissionSubject, Risk
from ml_intern.tools.bash.families import is_family, operands_wanted

_RULE = re.compile(r"\s*([A-Za-z0-9_*:.-]+)\s*(?:\((.*)\))?\s*", re.DOTALL)
_WITH_FAMILIES = "bash"
HARMLESS = frozenset({Effect.READS, Effect.ASKS_USER})
FAMILY = " ..."
"""Ends a pattern that covers a family of commands: see ``PermissionSubject.families``. In a deny or ask rule it is `` *``."""


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
    """``reason`` is for the user (ask) or the model (deny). ``blocked`` says why auto-approval could not take it. ``rules`` decided."""

    outcome: Outcome
    reason: str = ""
    blocked: str = ""
    rules: tuple[str, ...] = ()


class Rule(Struct, frozen=True):
    """One parsed rule; ``text`` is what the user wrote, ``start`` what its pattern begins with before the first ``*``, ``family`` what
    stands before ``...``."""

    text: str
    tool: re.Pattern[str]
    pattern: re.Pattern[str] | None
    start: str = ""
    family: str = ""

    @classmethod
    def parse(cls, text: str) -> Rule:
        """Raises ``ConfigError`` for text that is no rule."""
        match = _RULE.fullmatch(text)
        if match is None:
            raise ConfigError(f"'{text}' is no permission rule.", hint="Write `tool`, or `tool(pattern)` such as `bash(pytest *)`.")
        tool, pattern = match.groups()
        if pattern is None or pattern.strip() in ("", "*"):
            return cls(text, _glob(tool), None)
        pattern, family = pattern.strip(), ""
        if pattern.endswith(FAMILY):
            family = pattern.removesuffix(FAMILY)
            pattern = f"{family} *"
        start = _pieces(pattern.removesuffix(" *"))[0]
        return cls(text, _glob(tool), _glob(pattern), start, family)

    @classmethod
    def wanted(cls, text: str) -> Rule:
        """One that somebody adds. Raises ``ConfigError`` also for one that could never allow anything, as nothing is of its family."""
        rule = cls.parse(text)
        if why := rule.never:
            hint = f"Write `{text.strip().removesuffix(')').rstrip().removesuffix(FAMILY)} *)` for whatever begins so."
            raise ConfigError(f"The rule '{text}' would never allow anything: {why}.", hint=hint)
        return rule

    @property
    def never(self) -> str:
        """Why it cannot allow anything; empty when it can."""
        if not self.family or (is_family(self.family) and self._names(_WITH_FAMILIES, ())):
            return ""
        if not self._names(_WITH_FAMILIES, ()):
            return f"`...` is for commands of {_WITH_FAMILIES}"
        more = "".join(f" NAME{n or ''}" for n in range(operands_wanted(self.family)))
        form = f": it wants a name there, as in `{self.family}{more} ...`" if more else ""
        return f"`...` is not known to be harmless behind `{self.family}`{form}"

    def covers(self, tool: str, part: str, aliases: tuple[str, ...] = ()) -> bool:
        """Whether it matches this part of a call of that tool, by its name or one of its aliases."""
        return self._names(tool, aliases) and (self.pattern is None or bool(self.pattern.fullmatch(part.strip())))

    def allows(self, tool: str, part: str, family: str, aliases: tuple[str, ...] = ()) -> bool:
        """Whether it covers this part as an allow rule; ``family`` is the part's."""
        return self._names(tool, aliases) and self.family == family if self.family else self.covers(tool, part, aliases)

    def may_cover(self, tool: str, beginning: str, aliases: tuple[str, ...] = ()) -> bool:
        """Whether its pattern could match a part that begins so."""
        if self.pattern is None or not self._names(tool, aliases):
            return False
        return self.start.startswith(beginning) or beginning.startswith(self.start)

    def _names(self, tool: str, aliases: tuple[str, ...]) -> bool:
        return any(self.tool.fullmatch(name) for name in (tool, *aliases))


def _glob(pattern: str) -> re.Pattern[str]:
    """``*`` is anything; a trailing `` *`` also matches nothing, so that ``git status *`` covers ``git status``."""
    pattern = pattern.strip()
    tail = ""
    if pattern.endswith(" *"):
        pattern, tail = pattern[:-2], r"(?:\s.*)?"
    return re.compile(".*".join(re.escape(piece) for piece in _pieces(pattern)) + tail, re.DOTALL)


def _pieces(pattern: str) -> list[str]:
    """What stands between the stars; ``\\*`` is no star, ``\\\\`` one backslash, and a backslash before anything else itself."""
    pieces = [""]
    for token in re.findall(r"\\[*\\]|.", pattern, re.DOTALL):
        if token == "*":
            pieces.append("")
        else:
            pieces[-1] += token[-1]
    return pieces


class RuleTexts(Struct, frozen=True, kw_only=True):
    """Rules as they are written."""

    allow: tuple[str, ...] = ()
    ask: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()


class Permissions:
    """Judges calls by the rules that are given, and by those that ``current`` has at that moment."""

    def __init__(
        self,
        *,
        allow: Iterable[str] = (),
        ask: Iterable[str] = (),
        deny: Iterable[str] = (),
        read_only: bool = False,
        unconfined_ok: bool = False,
        current: Callable[[], RuleTexts] = RuleTexts,
    ) -> None:
        """``unconfined_ok``: the user switched the sandbox off in so many words."""
        self._given = _Rules([*map(Rule.parse, allow)], [*map(Rule.parse, ask)], [*map(Rule.parse, deny)])
        self._read_only = read_only
        self._unconfined_ok = unconfined_ok
        self._current: Callable[[], RuleTexts] = current
        self._texts: RuleTexts = RuleTexts()
        self._rules = self._given

    def judge(self, tool: str, subject: PermissionSubject, risk: Risk, mode: Mode) -> Judgement:
        """Whether this call may run, must be asked for, or must not run."""
        self._refresh()
        if rule := _first(self._rules.deny, tool, subject):
            return Judgement(Outcome.DENY, f"The rule `{rule.text}` forbids it.", rules=(rule.text,))
        if self._read_only and not risk.effects <= HARMLESS:
            return Judgement(Outcome.DENY, f"This session is read-only; {tool} {_verb(risk)}.")
        if Effect.RECURRING in risk.effects:
            return Judgement(Outcome.ASK, "It recurs, so a person decides.", blocked="Recurring work is never approved automatically.")
        if rule := _first(self._rules.ask, tool, subject):
            blocked = f"The rule `{rule.text}` asks for a person."
            return Judgement(Outcome.ASK, f"The rule `{rule.text}` asks.", blocked=blocked, rules=(rule.text,))
        if rule := self._may_apply(tool, subject, risk):
            why = f"The rule `{rule.text}` may apply: what this call runs is only known once it runs."
            return Judgement(Outcome.ASK, why, blocked=f"{why} A person decides.", rules=(rule.text,))
        if rules := self._allowing(tool, subject):
            return Judgement(Outcome.ALLOW, rules=rules)
        return self._by_risk(tool, risk, mode)

    def _refresh(self) -> None:
        """Rules may change between two calls. One that does not parse is none: nothing writes such a rule."""
        texts = self._current()
        if texts != self._texts:
            self._texts = texts
            allow, ask, deny = (_all_parsed(part) for part in (texts.allow, texts.ask, texts.deny))
            given = self._given
            self._rules = _Rules([*given.allow, *allow], [*given.ask, *ask], [*given.deny, *deny])

    def _allowing(self, tool: str, subject: PermissionSubject) -> tuple[str, ...]:
        """The allow rules that cover every part between them; none when a part is left."""
        rules = [rule for rule in self._rules.allow if subject.simple or rule.pattern is None]
        parts = _parts(subject)
        families = subject.families or ("",) * len(parts)
        found = [
            next((rule.text for rule in rules if rule.allows(tool, part, family, subject.aliases)), None)
            for part, family in zip(parts, families, strict=True)
        ]
        covering = tuple(dict.fromkeys(text for text in found if text is not None))
        return () if None in found else covering

    def _may_apply(self, tool: str, subject: PermissionSubject, risk: Risk) -> Rule | None:
        """The deny or ask rule that could match what the call does not show. What is known to be harmless shows all."""
        if risk.effects <= HARMLESS:
            return None
        unknown = subject.unknown if subject.unknown is not None else () if subject.simple else ("",)
        return next(
            (rule for rule in (*self._rules.deny, *self._rules.ask) for start in unknown if rule.may_cover(tool, start, subject.aliases)),
            None,
        )

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
    """The rule that "always" would add; empty when no rule can describe the call.

    A command of a known family is allowed with other operands (``git push origin ...``), any other exactly as it is.
    """
    parts = _parts(subject)
    if not subject.simple or len(parts) != 1:
        return ""
    part = parts[0].strip()
    family = subject.families[0] if subject.families else ""
    exact = re.sub(r"[*\\]", r"\\\g<0>", part)
    text = f"{tool}({family}{FAMILY})" if family else f"{tool}({exact})" if part else tool
    rule = _parsed(text)
    return text if rule is not None and rule.allows(tool, part, family) else ""


class _Rules(Struct, frozen=True):
    allow: list[Rule]
    ask: list[Rule]
    deny: list[Rule]


def _parsed(text: str) -> Rule | None:
    try:
        return Rule.parse(text)
    except ConfigError:
        return None


def _all_parsed(texts: Iterable[str]) -> list[Rule]:
    return [rule for text in texts if (rule := _parsed(text)) is not None]


def _parts(subject: PermissionSubject) -> tuple[str, ...]:
    return subject.parts or ("",)


def _first(rules: list[Rule], tool: str, subject: PermissionSubject) -> Rule | None:
    return next((rule for rule in rules for part in _parts(subject) if rule.covers(tool, part, subject.aliases)), None)


def _verb(risk: Risk) -> str:
    return ", ".join(sorted(effect.value for effect in risk.effects - HARMLESS))
