"""A reply that was cut at the output limit: its calls are not to be trusted, and its text is not the end."""

from __future__ import annotations

from ml_intern.models.base import Reply
from ml_intern.session.policies.base import PROCEED, Nudge, Policy, StepView, Stop, Verdict

MAX_CONTINUATIONS = 3


class TruncatedReply(Policy):
    """Drops the calls of a cut reply, asks a cut or empty text to go on, and gives up after three in a row."""

    name = "truncated_reply"

    def after_reply(self, view: StepView, reply: Reply) -> Verdict:
        empty = not reply.message.text.strip() and not reply.message.tool_calls
        if reply.finish_reason == "content_filter" and empty:
            return Stop("model_refused", "The provider's content filter held the reply back.")
        if reply.finish_reason != "length" and not empty:
            return PROCEED
        if view.guards.get(self.name, 0) >= MAX_CONTINUATIONS:
            what = "empty" if empty else "cut at the output limit"
            return Stop("model_refused", f"The reply was {what} {MAX_CONTINUATIONS + 1} times in a row.")
        return Nudge(_message(reply), guard=self.name, drop_calls=True)


def _message(reply: Reply) -> str:
    if reply.message.tool_calls:
        names = ", ".join(call.name for call in reply.message.tool_calls)
        return (
            f"[SYSTEM: Your reply was cut at the output limit, so these calls were not run: {names}.] Make them smaller: write a long file "
            "in parts (first part with write, the rest with edit), and keep commands short."
        )
    if reply.message.text.strip():
        return "[SYSTEM: Your reply was cut at the output limit.] Go on exactly where it stopped, without repeating it."
    return "[SYSTEM: Your reply was empty.] Go on with the task, or say that it is done and what came out."
