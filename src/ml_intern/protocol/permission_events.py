"""Events about permission rules."""

from __future__ import annotations

from msgspec import Struct

from ml_intern.protocol.event_base import Event


class PermissionGranted(Event, frozen=True):
    """The user said "always": ``rule`` holds for ``scope`` ``session`` or ``project``."""

    wire = "permission_granted"
    rule: str
    scope: str


class RuleChanged(Event, frozen=True):
    """The user added a rule, or took one back (``removed``). ``scope``: ``session``, ``project`` or ``user``."""

    wire = "permission_rule_changed"
    outcome: str
    rule: str
    scope: str
    removed: bool = False


class RuleInForce(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One rule. ``scope`` is empty for one that ``change_rule`` cannot take back; ``origin`` says in words where it stands.

    ``idle`` says why it has no effect, such as that the folder is not trusted; empty for a rule that is in force.
    """

    outcome: str
    rule: str
    scope: str = ""
    origin: str = ""
    idle: str = ""


class RulesInForce(Event, frozen=True):
    """The answer to ``show_rules``: in the order in which they are looked at. ``mode``: ``ask``, ``contained`` or ``yolo``."""

    wire = "rules_in_force"
    transient = True
    rules: tuple[RuleInForce, ...]
    mode: str
    read_only: bool = False


class CallTried(Event, frozen=True):
    """The answer to ``try_call``. ``outcome``: ``allow``, ``ask``, ``deny``, or empty when it is no call. ``rules`` decided it, if any did.

    ``reason`` is a sentence for the user.
    """

    wire = "call_tried"
    transient = True
    call: str
    outcome: str
    reason: str
    rules: tuple[RuleInForce, ...] = ()
