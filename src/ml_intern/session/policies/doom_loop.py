"""A model that repeats itself is told so, once a loop, and left alone when it has moved on."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ml_intern.session.policies.base import PROCEED, Nudge, Policy, StepView, Verdict
from ml_intern.session.state import CallRecord

MIN_REPEATS = 3
LONGEST_CYCLE = 5


class DoomLoop(Policy):
    """The last calls are the same call three times, or a cycle of 2–5 calls twice — with the same results each time."""

    name = "doom_loop"

    def before_step(self, view: StepView) -> Verdict:
        if view.calls_since_guard.get(self.name, MIN_REPEATS) < MIN_REPEATS:
            return PROCEED
        repeat = find_repeat(view.recent_calls)
        if not repeat:
            return PROCEED
        what = f"`{repeat[0]}`" if len(repeat) == 1 else " → ".join(f"`{name}`" for name in repeat)
        return Nudge(
            f"[SYSTEM: REPETITION GUARD] You are repeating {what} with the same arguments and getting the same result. "
            "Doing it again will change nothing. Say what you expected, find out why it differs, and take another way; "
            "if you are blocked, tell the user what blocks you.",
            guard=self.name,
        )


def find_repeat(calls: Sequence[CallRecord]) -> tuple[str, ...]:
    """The names of the cycle that the calls end with, or nothing. Looks at the tail alone."""
    calls = list(calls)[-2 * LONGEST_CYCLE :]
    if len(calls) < MIN_REPEATS or not _may_repeat(calls):
        return ()
    signatures = [_signature(call) for call in calls]
    if len(set(signatures[-MIN_REPEATS:])) == 1:
        return (calls[-1].name,)
    for length in range(2, LONGEST_CYCLE + 1):
        tail = signatures[-length:]
        if len(signatures) >= 2 * length and signatures[-2 * length : -length] == tail:
            return tuple(call.name for call in calls[-length:])
    return ()


def _may_repeat(calls: Sequence[CallRecord]) -> bool:
    """Whether the last call was made before at all: most steps end here, and decode nothing."""
    last = calls[-1]
    return any(call.name == last.name and call.result == last.result for call in calls[:-1])


def _signature(call: CallRecord) -> tuple[str, str, int]:
    """Key order and white space of the arguments do not count; the result does, so that polling is no loop."""
    try:
        arguments = msgspec.json.encode(msgspec.json.decode(call.arguments or "{}"), order="deterministic").decode()
    except msgspec.DecodeError:
        arguments = call.arguments
    return call.name, arguments, hash(call.result)
