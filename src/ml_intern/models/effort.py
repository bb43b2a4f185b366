"""Reasoning effort: the levels, what each falls back to, and the probe that finds what a model accepts."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import dataclass
from types import MappingProxyType

from ml_intern.errors import EffortRejected, RetryableModelError
from ml_intern.models.base import ModelRequest, Reply, Usage
from ml_intern.models.client import ModelClient
from ml_intern.protocol.messages import UserMessage

LEVELS = ("minimal", "low", "medium", "high", "xhigh", "max")
"""Weakest first."""

CASCADES = MappingProxyType(
    {
        "max": ("max", "xhigh", "high", "medium", "low"),
        "xhigh": ("xhigh", "high", "medium", "low"),
        "high": ("high", "medium", "low"),
        "medium": ("medium", "low"),
        "minimal": ("minimal", "low"),
        "low": ("low",),
    }
)
"""For each preference the levels to try, in order."""

PROBE_TIMEOUT_S = 15.0
PROBE_MAX_TOKENS = 64


class ProbeInconclusive(Exception):
    """The probe got no verdict (time-out, rate limit, server down): the model may or may not take the effort."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeOutcome:
    """``effective_effort`` None: send none. ``usage`` is what the successful ping cost, to be recorded as ``effort_probe``."""

    effective_effort: str | None
    attempts: int
    elapsed_ms: int
    note: str = ""
    usage: Usage | None = None
    cost_usd: float | None = None


def offered(preference: str | None, levels: tuple[str, ...]) -> str | None:
    """The level to send: the first of the preference's cascade that is among ``levels``; None when there is none."""
    return next((level for level in CASCADES.get(preference or "", ()) if level in levels), None)


def next_lower(level: str, levels: tuple[str, ...]) -> str | None:
    """What to try after ``level`` was refused; None when nothing weaker is left."""
    return next((other for other in CASCADES.get(level, ())[1:] if other in levels), None)


def lowered_note(preference: str, effective: str | None) -> str:
    """The sentence a user reads when they do not get what they asked for."""
    return f"{preference} not supported, using {effective}" if effective else f"{preference} not supported; no reasoning effort is sent"


async def probe_effort(
    model: ModelClient, preference: str | None, *, levels: tuple[str, ...] = LEVELS, timeout_s: float = PROBE_TIMEOUT_S
) -> ProbeOutcome:
    """Ask the model one cheap question per level until one is accepted.

    ``model`` must be the bare client (``ModelCatalog.open_bare``): one that retries would hide the refusals. ``levels`` are
    those its wire can express; others are skipped without asking. Raises ``ProbeInconclusive`` when the provider cannot be
    asked now, and any other ``ModelError`` as it is: the model cannot be used.
    """
    started = time.monotonic()
    attempts = 0

    def outcome(effective: str | None, note: str = "", reply: Reply | None = None) -> ProbeOutcome:
        return ProbeOutcome(
            effective_effort=effective,
            attempts=attempts,
            elapsed_ms=round((time.monotonic() - started) * 1000),
            note=note,
            usage=reply.usage if reply else None,
            cost_usd=reply.cost_usd if reply else None,
        )

    if preference is None:
        return outcome(None)
    for level in CASCADES[preference]:
        if level not in levels:
            continue
        attempts += 1
        try:
            reply = await _ping(model, level, timeout_s)
        except EffortRejected as refused:
            if refused.thinking_unsupported:
                return outcome(None, f"{model.model_id} does not think; no reasoning effort is sent")
            continue
        return outcome(level, "" if level == preference else lowered_note(preference, level), reply)
    return outcome(None, lowered_note(preference, None))


async def _ping(model: ModelClient, level: str | None, timeout_s: float) -> Reply:
    request = ModelRequest(
        system="",
        tools=(),
        messages=(UserMessage(text="ping"),),
        session_id="effort-probe",
        effort=level,
        max_output_tokens=PROBE_MAX_TOKENS,
    )
    try:
        async with asyncio.timeout(timeout_s), aclosing(model.stream(request)) as deltas:
            async for delta in deltas:
                if isinstance(delta, Reply):
                    return delta
    except TimeoutError as error:
        raise ProbeInconclusive(f"{model.model_id} did not answer the probe within {timeout_s:g} s") from error
    except RetryableModelError as error:
        raise ProbeInconclusive(str(error)) from error
    raise ProbeInconclusive(f"{model.model_id} gave no reply to the probe")
