"""Events of sub-agents: one card for each, live, and how it ended."""

from __future__ import annotations

from ml_intern.protocol.event_base import Event

WRITES = "writes"
"""What a sub-agent does while its model answers; while it thinks, nothing is told."""


class SubagentProgress(Event, frozen=True):
    """Where a sub-agent is: one card for an ``agent_id`` (the call that started it). ``activity``: what it does now. Stored at each of its
    model calls and where its tool calls begin and end, so that a crash leaves what it had done; the rest is shown live alone.
    """

    wire = "subagent_progress"
    agent_id: str
    label: str
    steps: int
    tokens: int
    tool_calls: int
    cost_usd: float
    activity: str = ""


class SubagentFinished(Event, frozen=True):
    """A sub-agent is over, whatever became of it. ``outcome``: ``done``, ``stopped`` (a limit), ``failed`` or ``interrupted``.
    ``duration_s``: 0 where nobody knows it, for its process died.
    """

    wire = "subagent_finished"
    agent_id: str
    label: str
    outcome: str
    steps: int
    tokens: int
    tool_calls: int
    cost_usd: float
    duration_s: float
    detail: str = ""
