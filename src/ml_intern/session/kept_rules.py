"""The rules that outlive a session: those of settings and flags, of the user's file, and those kept for the session's folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ml_intern.config.rule_sources import RuleSources, WrittenRule
from ml_intern.protocol.permission_events import RuleInForce
from ml_intern.protocol.permission_operations import RuleOutcome, RuleScope
from ml_intern.session.project_rules import ProjectRules
from ml_intern.session.rule_book import OUTCOMES

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
            RuleInForce(outcome=outcome, rule=rule, scope="project", origin=PROJECT_ORIGIN)
            for outcome in OUTCOMES
            for rule in self._project.load(outcome)
        ]
        return (*kept, *map(_written, self._sources.read()), *self._more)

    def change(self, scope: RuleScope, outcome: RuleOutcome, rule: str, *, wanted: bool) -> bool:
        """In the user's file, or for the folder."""
        if scope == "user":
            return self._sources.change(outcome, rule, wanted=wanted)
        if not wanted:
            return self._project.remove(rule, outcome)
        self._project.add(rule, outcome)
        return True


def _written(rule: WrittenRule) -> RuleInForce:
    return RuleInForce(
        outcome=rule.kind,
        rule=rule.rule,
        scope="user" if rule.is_users else "",
        origin=USER_ORIGIN if rule.is_users else rule.source,
        idle=rule.idle,
    )
