"""What finding out about a reasoning effort costs is told, and what was opened is closed."""

from __future__ import annotations

import pytest

from ml_intern.config.environ import Environ
from ml_intern.config.settings import Prices, ProviderProfile, Settings
from ml_intern.errors import ModelAuthError
from ml_intern.models.catalog import ModelCatalog
from ml_intern.session.opened_models import OpenedModels
from ml_intern.testing.model_server import ModelServer
from ml_intern.testing.replies import Fault, FaultKind, Quirk, ServerReply

PRICES = Prices(input_usd_per_mtok=1000.0, output_usd_per_mtok=10_000.0)


def _models(server: ModelServer) -> OpenedModels:
    far = ProviderProfile(base_url=server.v1, api_key_env="FAR_KEY", prices=PRICES)
    settings = Settings(providers={"far": far, "near": ProviderProfile(base_url=server.v1)})
    return OpenedModels(ModelCatalog(settings, Environ({"FAR_KEY": "k" * 20})))


async def test_a_probe_is_recorded_with_what_it_cost() -> None:
    async with ModelServer([ServerReply(text="pong")]) as server:
        models = _models(server)
        opened = await models.open("far/m", "high")
        await models.aclose()
    assert opened.probe is not None
    assert (opened.probe.kind, opened.probe.model, opened.probe.estimated) == ("effort_probe", "far/m", False)
    assert opened.probe.cost_usd == pytest.approx(100 * 0.001 + 20 * 0.01)


async def test_a_probe_that_tells_no_usage_is_estimated_not_free() -> None:
    async with ModelServer([ServerReply(text="pong", quirks=frozenset({Quirk.NO_USAGE}))]) as server:
        models = _models(server)
        opened = await models.open("far/m", "high")
        await models.aclose()
    assert opened.probe is not None and opened.probe.estimated and (opened.probe.cost_usd or 0) > 0


async def test_refusals_cost_nothing_and_ones_own_model_is_not_asked() -> None:
    async with ModelServer([Fault(kind=FaultKind.THINKING_UNSUPPORTED)]) as server:
        models = _models(server)
        refused = await models.open("far/m", "high")
        own, unasked = await models.open("near/m", "high"), await models.open("far/m", None)
        await models.aclose()
        assert len(server.documents) == 1
    assert (refused.effective_effort, refused.probe) == (None, None)
    assert (own.effective_effort, own.probe, unasked.probe) == ("high", None, None)


async def test_every_model_that_was_opened_is_closed_also_one_that_could_not_be_used() -> None:
    async with ModelServer([Fault(kind=FaultKind.UNAUTHORIZED), ServerReply(text="pong")]) as server:
        models = _models(server)
        with pytest.raises(ModelAuthError):
            await models.open("far/m", "high")
        await models.open("far/other", "high")
        models.first("near/m")
        await models.aclose()
        assert len(models._opened) == 3  # pyright: ignore[reportPrivateUsage]
