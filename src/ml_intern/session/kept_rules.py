"""The rules that outlive a session: those of settings and flags, of the user's file, and those kept for the session's folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ml_intern.config.rule_sources import RuleSources, WrittenRule
from ml_intern.protocol.permission_events import RuleInForce
from ml_intern.protocol.permission_operations import OUTCOMES, RuleOutcome, RuleScope
from ml_intern.session.permissions import Rule
from ml_intern.session.project_rules import ProjectRules

PROJECT_ORIGIN = "this folder"
USER_ORIGIN = "your settings"


class KeptRules:
    """See ``rule_book.Kept``. ``said_otherwise`` are settings that say what a rule would."""

    def __init__(self, sources: RuleSources, project: ProjectRules, said_otherwise: Iterable[RuleInForce] = ()) -> None:
        self._sources = sources
        self._project = project
        self._more = tuple(said_otherwise)

    def read(self) -> Sequence[RuleInForce]:
        """The folder's, the settings', and what settings say otherwise."""
        kept = [
            RuleInForce(outcome=outcome, rule=rule, scope="project", origin=PROJECT_ORIGIN, idle=_idle(outcome, rule))
            for outcome in OUTCOMES
            for rule in self._project.load(outcome)
        ]
        return (*kept, *map(_written, self._sources.read()), *self._more)

    def change(self, scope: RuleScope, outcome: RuleOutcome, rule: str, *, wanted: bool, replaces: str = "") -> bool:
        """In the user's file, or for the folder."""
        place = self._sources if scope == "user" else self._project
        return place.change(outcome, rule, wanted=wanted, replaces=replaces)

    def stamp(self) -> object:
        """Of both files."""
        return tuple(_stamp(path) for path in (self._sources.path, self._project.path))


def _stamp(path: Path) -> object:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _written(rule: WrittenRule) -> RuleInForce:
    return RuleInForce(
        outcome=rule.kind,
        rule=rule.rule,
        scope="user" if rule.is_users else "",
        origin=USER_ORIGIN if rule.is_users else rule.source,
        idle=rule.idle or _idle(rule.kind, rule.rule),
    )


def _idle(outcome: RuleOutcome, rule: str) -> str:
    return Rule.parse(rule).never if outcome == "allow" else ""
