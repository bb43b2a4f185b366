"""What happens around the calls of tools, whichever they are: hooks, and the snapshot that must be there before a file changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from ml_intern.protocol.display import Display, Text
from ml_intern.protocol.events import PendingTool
from ml_intern.protocol.messages import JsonObject, ToolCall
from ml_intern.session.hooks.hooks import NO_HOOKS, Hooks
from ml_intern.session.hooks.verdict import SILENCE, Verdict
from ml_intern.session.permissions import Judgement, Outcome
from ml_intern.session.snapshots import Snapshots
from ml_intern.tools.base import Effect, Risk, ToolOutput

WRITES_FILES = frozenset({Effect.WRITES_WORKSPACE, Effect.RUNS_CODE})


class AroundCalls:
    """Of one session."""

    def __init__(
        self, *, ready: Callable[[], Awaitable[None]] | None = None, hooks: Hooks = NO_HOOKS, snapshots: Snapshots | None = None
    ) -> None:
        """``ready`` is awaited before calls are judged: whether a sandbox holds them must be known by then."""
        self._ready = ready
        self._hooks = hooks
        self._snapshots = snapshots or Snapshots()

    async def before_batch(self) -> None:
        """Before any of a reply's calls is judged."""
        if self._ready is not None:
            await self._ready()

    def after_batch(self) -> None:
        """When all of them have their answers."""
        self._snapshots.after_writes()

    async def before_judging(self, call: ToolCall, arguments: JsonObject) -> Verdict:
        """``PreToolUse``."""
        return await self._hooks.tell(
            "PreToolUse", call.name, call_id=call.id, tool_name=call.name, tool_input=arguments, tool_use_id=call.id
        )

    async def before_asking(self, pending: PendingTool) -> Verdict:
        """``PermissionRequest``."""
        return await self._hooks.tell(
            "PermissionRequest",
            pending.tool,
            call_id=pending.tool_call_id,
            tool_name=pending.tool,
            tool_input=pending.arguments,
            tool_use_id=pending.tool_call_id,
            reason=pending.block_reason or pending.reason,
            estimated_cost_usd=pending.estimated_cost_usd,
        )

    async def before_running(self, call: ToolCall, arguments: JsonObject, risk: Risk, preview: Callable[[], tuple[Display, ...]]) -> str:
        """``PreJob`` and ``PrePublish``, on what was approved; then the snapshot. Returns why it must not run, if so."""
        about = {"tool_name": call.name, "tool_input": arguments, "tool_use_id": call.id}
        if refusal := await self._hooks_refuse(call, risk, about, preview):
            return refusal
        if risk.effects & WRITES_FILES:
            await self._snapshots.before_writes(risk.writes)
        return ""

    async def _hooks_refuse(
        self, call: ToolCall, risk: Risk, about: Mapping[str, object], preview: Callable[[], tuple[Display, ...]]
    ) -> str:
        if not self._hooks.has("PreJob") and not self._hooks.has("PrePublish"):
            return ""
        script = _script(preview()) if risk.starts_job or risk.publishes else ""
        if risk.starts_job:
            job = {"script": script, "estimated_cost_usd": risk.cost_usd, "reason": risk.reason}
            if refusal := (await self._hooks.tell("PreJob", call.name, call_id=call.id, **about, **job)).blocked:
                return refusal
        if Effect.WRITES_HUB not in risk.effects and not risk.publishes:
            return ""
        verdict = await self._hooks.tell("PrePublish", call.name, call_id=call.id, **about, script=script, reason=risk.reason)
        return verdict.blocked

    async def after_running(self, call: ToolCall, arguments: JsonObject, output: ToolOutput) -> ToolOutput:
        """``PostToolUse``: the answer, with what hooks have to say of it."""
        if not self._hooks.has("PostToolUse"):
            return output
        response = {"success": output.success, "output": output.text, "error_kind": output.error_kind}
        verdict = await self._hooks.tell(
            "PostToolUse",
            call.name,
            call_id=call.id,
            tool_name=call.name,
            tool_input=arguments,
            tool_response=response,
            tool_use_id=call.id,
        )
        words = "\n".join(text for text in (verdict.blocked, verdict.context) if text)
        if not words:
            return output
        return msgspec.structs.replace(output, text=f"{output.text}\n\n[From a hook of the user's, after the call:]\n{words}")


def weighed(judgement: Judgement, verdict: Verdict) -> Judgement:
    """The judgement after a hook's word: it may make a call ask, and let one pass that only the mode asks for."""
    if verdict.permission == "ask" and judgement.outcome is Outcome.ALLOW:
        return Judgement(Outcome.ASK, verdict.why, blocked=f"{verdict.why} A person decides.")
    if verdict.permission == "allow" and judgement.outcome is Outcome.ASK and not judgement.blocked:
        return Judgement(Outcome.ALLOW)
    return judgement


def changed(who: str, arguments: JsonObject) -> str:
    """Goes ahead of the answer, which tells whether it ran: the model must know what did."""
    return f"[{who} changed the arguments to: {msgspec.json.encode(arguments).decode()}]\n"


def as_asked(verdict: Verdict) -> Verdict:
    """What a hook said of a call as far as it holds for changed arguments: that somebody decides, not that it may pass."""
    return verdict if verdict.permission == "ask" else SILENCE


def _script(preview: tuple[Display, ...]) -> str:
    return next((item.text for item in preview if isinstance(item, Text) and item.language), "")
