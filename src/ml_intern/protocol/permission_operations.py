"""Operations about permission rules."""

from __future__ import annotations

from typing import Literal, get_args

from ml_intern.protocol.operation_base import Operation

RuleOutcome = Literal["deny", "ask", "allow"]
OUTCOMES: tuple[RuleOutcome, ...] = get_args(RuleOutcome)
"""In the order in which rules are looked at."""
RuleScope = Literal["session", "project", "user"]


class ChangeRule(Operation, tag="change_rule", frozen=True):
    """Add a permission rule, or with ``remove`` take one back (a grant of this session too). It holds from the next call on.

    ``scope``: ``session`` (in this session's log), ``project`` (kept for its folder, with the user's own state) or ``user`` (the
    user's settings file). With ``replaces`` it stands in the place of that rule, of the same outcome and scope: both happen, or neither.
    """

    outcome: RuleOutcome
    rule: str
    scope: RuleScope
    remove: bool = False
    replaces: str = ""


class ShowRules(Operation, tag="show_rules", frozen=True):
    """Tell which rules are in force (``rules_in_force``)."""


class TryCall(Operation, tag="try_call", frozen=True):
    """Tell what would become of a call (``call_tried``), such as ``bash: git push`` or ``write: {"path": …}``. Nothing runs."""

    call: str
