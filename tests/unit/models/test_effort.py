from __future__ import annotations

import pytest

from ml_intern.errors import BadRequest, EffortRejected, ModelAuthError, RateLimited
from ml_intern.models.base import Reply, Usage
from ml_intern.models.effort import CASCADES, LEVELS, ProbeInconclusive, next_lower, offered, probe_effort
from ml_intern.models.http import HttpOptions
from ml_intern.models.openai_compatible import OpenAICompatible
from ml_intern.protocol.messages import AssistantMessage
from ml_intern.testing.model_server import ModelServer
from ml_intern.testing.replies import Fault, FaultKind
from tests.contracts.model_bench import resolved
from tests.unit.models.test_retry import Played

PONG = Reply(AssistantMessage(text="pong"), "stop", Usage(prompt_tokens=9, completion_tokens=1))


def test_every_level_has_a_cascade_that_starts_with_it() -> None:
    assert set(CASCADES) == set(LEVELS)
    assert all(cascade[0] == level for level, cascade in CASCADES.items())


def test_what_a_wire_cannot_express_is_lowered_to_what_it_can() -> None:
    router = ("low", "medium", "high")
    assert [offered(level, router) for level in LEVELS] == ["low", "low", "medium", "high", "high", "high"]
    assert offered("high", ()) is None
    assert offered(None, router) is None
    assert next_lower("minimal", router) == "low"
    assert next_lower("low", router) is None


async def test_without_a_preference_nobody_is_asked() -> None:
    outcome = await probe_effort(Played([]), None)
    assert (outcome.effective_effort, outcome.attempts) == (None, 0)


async def test_the_first_accepted_level_counts() -> None:
    model = Played([[EffortRejected("no")], [EffortRejected("no")], [PONG]])
    outcome = await probe_effort(model, "max")
    assert (outcome.effective_effort, outcome.attempts, outcome.note) == ("high", 3, "max not supported, using high")
    assert outcome.usage == PONG.usage
    asked = model.asked[-1]
    assert (asked.effort, asked.max_output_tokens, [m.text for m in asked.messages]) == ("high", 64, ["ping"])


async def test_levels_that_the_wire_does_not_have_are_skipped_without_asking() -> None:
    model = Played([[PONG]])
    outcome = await probe_effort(model, "max", levels=("low", "medium", "high"))
    assert (outcome.effective_effort, outcome.attempts) == ("high", 1)


async def test_a_model_that_does_not_think_ends_the_search() -> None:
    outcome = await probe_effort(Played([[EffortRejected("no", thinking_unsupported=True)]]), "high")
    assert (outcome.effective_effort, outcome.attempts) == (None, 1)
    assert outcome.note


async def test_when_every_level_is_refused_none_is_sent() -> None:
    outcome = await probe_effort(Played([[EffortRejected("no")], [EffortRejected("no")]]), "medium")
    assert (outcome.effective_effort, outcome.attempts) == (None, 2)
    assert "medium" in outcome.note


async def test_a_busy_provider_gives_no_verdict() -> None:
    with pytest.raises(ProbeInconclusive):
        await probe_effort(Played([[RateLimited("later")]]), "high")


@pytest.mark.parametrize("error", [ModelAuthError("who?"), BadRequest("no")])
async def test_any_other_refusal_is_the_callers(error: Exception) -> None:
    with pytest.raises(type(error)):
        await probe_effort(Played([[error]]), "high")  # type: ignore[list-item]


async def test_a_silent_provider_gives_no_verdict() -> None:
    async with ModelServer(default=Fault(kind=FaultKind.HANG)) as server:
        model = OpenAICompatible(resolved("openai", server.v1, "m"), HttpOptions())
        with pytest.raises(ProbeInconclusive, match="did not answer"):
            await probe_effort(model, "high", timeout_s=0.05)
        await model.aclose()
