"""What a rule of the loop sees and may say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct

from ml_intern.models.base import Reply
from ml_intern.protocol.display import PlanItem
from ml_intern.protocol.resource_events import HfJobComplete
from ml_intern.session.state import CallRecord


class StepView(Struct, frozen=True, kw_only=True):
    """The turn at the start of a step. ``guards`` counts nudges since the last tool call, ``calls_since_guard`` calls since each."""

    step: int
    recent_calls: Sequence[CallRecord]
    plan: Sequence[PlanItem]
    guards: Mapping[str, int]
    calls_since_guard: Mapping[str, int]
    context_tokens: int
    compact_at_tokens: int
    spent_usd: float
    cap_usd: float | None
    next_call_usd: float | None
    """What the next model call is likely to cost; None when its price is unknown. Only worked out when there is a cap."""
    next_warning_usd: float
    can_ask: bool
    """Whether a person answers approvals."""
    finished_jobs: Sequence[HfJobComplete] = ()
    """Jobs that ended since the model was last told of any."""
    hook_stop: str = ""
    """Why a hook of the user's wants the turn to end."""


class Proceed(Struct, frozen=True):
    """Nothing to say."""


class Nudge(Struct, frozen=True):
    """Tell the model something and go on; after a reply, instead of ending. ``drop_calls``: the reply's calls never happened."""

    message: str
    guard: str
    drop_calls: bool = False


class Compact(Struct, frozen=True):
    """Make room first."""


class Ask(Struct, frozen=True):
    """Ask the user before going on; a no ends the turn. ``kind`` is ``usage_threshold`` or ``yolo_budget``."""

    kind: str
    arguments: Mapping[str, float]
    reason: str


class Stop(Struct, frozen=True):
    """End the turn; ``reason`` as in ``TurnComplete``, ``detail`` a sentence for the user."""

    reason: str
    detail: str = ""


Verdict: TypeAlias = Proceed | Nudge | Compact | Ask | Stop
PROCEED = Proceed()


class Policy:
    """A rule. Pure: the same view gives the same verdict."""

    name: str = ""

    def before_step(self, view: StepView) -> Verdict:
        """Before the model is asked."""
        return PROCEED

    def after_reply(self, view: StepView, reply: Reply) -> Verdict:
        """Before the reply's calls are run, or the turn ends with it."""
        return PROCEED
