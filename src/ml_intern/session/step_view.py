"""The policies' view of a turn, made from the state."""

from __future__ import annotations

from ml_intern.session.model_port import ModelPort, compact_at_tokens
from ml_intern.session.policies.base import StepView
from ml_intern.session.state import SessionState


def step_view(state: SessionState, model: ModelPort, context_tokens: int, next_call_usd: float | None, *, attended: bool) -> StepView:
    """A view that costs the same however long the session is."""
    return StepView(
        step=state.steps,
        recent_calls=state.recent_calls,
        plan=state.plan,
        guards=state.guards,
        calls_since_guard=state.calls_since_guard,
        context_tokens=context_tokens,
        compact_at_tokens=compact_at_tokens(model),
        spent_usd=state.spending.committed_usd,
        cap_usd=state.spending.cap_usd,
        next_call_usd=next_call_usd,
        next_warning_usd=state.spending.next_warning_usd,
        can_ask=attended,
        finished_jobs=tuple(state.finished_jobs.values()),
        hook_stop=state.hook_stop,
    )
