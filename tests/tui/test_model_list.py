"""The models that /model offers: the router's, local servers', the user's own providers', the makers'."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ml_intern.config.environ import Environ
from ml_intern.config.load import LoadedSettings
from ml_intern.config.settings import Prices, ProviderProfile, Settings
from ml_intern.frontends.first_run.steps import look
from ml_intern.frontends.tui.commands.model_list import ROUTER, ListedModel, ModelShelf, probe_words
from ml_intern.models.routes import SUGGESTED
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.testing.model_server import ModelServer
from tests.tui.picker_world import model_picker
from tests.tui.pilots import command, running_turn, until
from tests.tui.scripted import STARTED, running, screen_text, scripted, settled

NOBODY = dict.fromkeys(("VLLM_BASE_URL", "LMSTUDIO_BASE_URL", "LLAMACPP_BASE_URL"), "http://127.0.0.1:9")

CATALOGUE: list[dict[str, Any]] = [
    {
        "id": "moonshotai/Kimi-K2.6",
        "providers": [
            {
                "provider": "novita",
                "status": "live",
                "context_length": 262_144,
                "supports_tools": True,
                "pricing": {"input": 0.6, "output": 2.4},
            },
            {"provider": "sleepy", "status": "staging", "context_length": 8_192, "supports_tools": False},
        ],
    },
    {"id": "old/model", "providers": [{"provider": "gone", "status": "error"}]},
]


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer(models=CATALOGUE) as running:
        yield running


def shelf(server: ModelServer, home: Path, **environ: str) -> ModelShelf:
    mine = ProviderProfile(base_url=server.v1, context_window=32_000, prices=Prices(input_usd_per_mtok=1, output_usd_per_mtok=2))
    keyed = ProviderProfile(base_url=server.v1, api_key_env="MY_KEY")
    settings = Settings(router_url=server.v1, providers={"mine": mine, "keyed": keyed})
    nobody = dict.fromkeys(("OLLAMA_BASE_URL", "VLLM_BASE_URL", "LMSTUDIO_BASE_URL", "LLAMACPP_BASE_URL"), "http://127.0.0.1:9")
    return ModelShelf(LoadedSettings(settings=settings, environ=Environ({"HOME": str(home), **nobody, **environ}), cwd=home))


async def served(of: ModelShelf) -> dict[str, ListedModel]:
    """What the servers answer with, by id."""
    return by_id([model for source in of.servers() for model in await source()])


def by_id(models: Any) -> dict[str, ListedModel]:
    return {model.model_id: model for model in models}


async def test_the_routers_models_come_with_price_window_tools_and_their_providers(server: ModelServer, tmp_path: Path) -> None:
    of = shelf(server, tmp_path, HF_TOKEN="hf_x")
    found = by_id(await of.router())
    await of.aclose()
    kimi = found["moonshotai/Kimi-K2.6"]
    assert (kimi.window, kimi.price, kimi.tools, kimi.missing, kimi.short) == (262_144, "$0.6 → $2.4", True, "", "router")
    assert [(offer.provider, offer.live) for offer in kimi.offers] == [("novita", True), ("sleepy", False)]
    assert found["old/model"].note == "Nobody serves it right now."
    assert found["moonshotai/Kimi-K2.6:novita"].rank < kimi.rank  # it is among the suggested ones


async def test_without_a_token_the_routers_models_say_what_is_missing(server: ModelServer, tmp_path: Path) -> None:
    of = shelf(server, tmp_path)
    found = by_id(await of.router())
    await of.aclose()
    assert found["moonshotai/Kimi-K2.6"].missing == "HF_TOKEN"


async def test_a_router_that_does_not_answer_leaves_the_suggested_ones(server: ModelServer, tmp_path: Path) -> None:
    server.models_status = 500
    of = shelf(server, tmp_path)
    found = by_id(await of.router())
    await of.aclose()
    assert set(found) == set(SUGGESTED)


async def test_local_servers_and_own_providers_tell_themselves_what_they_have(server: ModelServer, tmp_path: Path) -> None:
    of = shelf(server, tmp_path, OLLAMA_BASE_URL=server.v1)
    found = await served(of)
    assert found["ollama/old/model"].price == "free"
    assert (found["mine/old/model"].window, found["mine/old/model"].price) == (32_000, "$1 → $2")
    assert not any(name.startswith("keyed/") for name in found)  # its key is not set: nobody can be asked
    assert not any(name.startswith("vllm/") for name in found)


async def test_the_window_that_a_local_server_states_is_told(tmp_path: Path) -> None:
    async with ModelServer(models=[{"id": "m", "max_model_len": 32_000}]) as server:
        found = await served(shelf(server, tmp_path, VLLM_BASE_URL=server.v1))
    assert found["vllm/m"].window == 32_000


async def test_a_local_server_that_wants_its_key_is_asked_with_it(tmp_path: Path) -> None:
    async with ModelServer(models=CATALOGUE, api_key="sk-mine") as server:
        assert "vllm/old/model" in await served(shelf(server, tmp_path, VLLM_BASE_URL=server.v1, VLLM_API_KEY="sk-mine"))
        assert "vllm/old/model" not in await served(shelf(server, tmp_path, VLLM_BASE_URL=server.v1, VLLM_API_KEY="sk-other"))
        environ = Environ(
            {
                "HOME": str(tmp_path),
                **NOBODY,
                "OLLAMA_BASE_URL": "http://127.0.0.1:9",
                "VLLM_BASE_URL": server.v1,
                "VLLM_API_KEY": "sk-mine",
            }
        )
        loaded = LoadedSettings(settings=Settings(), environ=environ, cwd=tmp_path)
        assert (await look(loaded)).local_models == ("vllm/moonshotai/Kimi-K2.6",)


async def test_a_slow_server_is_listed_and_a_silent_one_holds_nothing_back(server: ModelServer, tmp_path: Path) -> None:
    deaf = await asyncio.start_server(lambda _, __: asyncio.sleep(60), "127.0.0.1", 0)
    silent = f"http://127.0.0.1:{deaf.sockets[0].getsockname()[1]}"
    server.models_delay_s = 0.8
    of = shelf(server, tmp_path, OLLAMA_BASE_URL=silent, VLLM_BASE_URL=server.v1)
    async with deaf:
        reads = [asyncio.ensure_future(source()) for source in of.servers()]
        while not any("vllm/old/model" in by_id(read.result()) for read in reads if read.done()):
            await asyncio.sleep(0.01)
        assert not reads[0].done()  # ollama's, which is asked still
        for read in reads:
            read.cancel()
        await asyncio.wait(reads)


async def test_makers_without_a_key_stand_at_the_end_and_say_which_they_need(server: ModelServer, tmp_path: Path) -> None:
    found = by_id(await shelf(server, tmp_path, OPENAI_API_KEY="sk-x").makers())
    opus, gpt = found["anthropic/claude-opus-4-8"], next(each for name, each in found.items() if name.startswith("openai/"))
    assert (opus.missing, gpt.missing) == ("ANTHROPIC_API_KEY", "") and opus.rank > ROUTER > gpt.rank
    environ = {"HOME": str(tmp_path), **NOBODY}
    async with running(scripted(), size=(120, 40), environ=environ, settings=Settings(router_url=server.v1)) as (app, pilot):
        app.composer.text = "/model"
        await pilot.press("enter")
        await until(pilot, lambda: "In use" in "\n".join(screen_text(app)))
        await pilot.press(*"opus48")
        listed = re.compile(r"anthropic/claude-opus-4-8 +no key · /setup")
        await until(pilot, lambda: any(listed.search(row) for row in screen_text(app)))


async def test_what_a_model_answered_is_there_when_the_picker_opens_again() -> None:
    async with running(scripted(), size=(120, 40)) as (app, pilot):
        for keys in (("ctrl+t",), ()):
            await app.push_screen(model_picker(probed=app.recall.probed))
            await until(pilot, lambda: "moonshotai/Kimi-K2.6" in "\n".join(screen_text(app)))
            await pilot.press(*keys)
            await until(pilot, lambda: "answered in 0.4 s" in "\n".join(screen_text(app)))
            await pilot.press("escape")
            await pilot.pause()


async def test_a_makers_models_are_offered_where_its_key_is_set(server: ModelServer, tmp_path: Path) -> None:
    found = by_id(await shelf(server, tmp_path, ANTHROPIC_API_KEY="sk-x").makers())
    opus = found["anthropic/claude-opus-4-8"]
    assert opus.window and opus.price.startswith("$") and " → $" in opus.price
    assert opus.sees_images and "high" in opus.effort_levels
    assert not any(each.missing == "" for name, each in found.items() if name.startswith("openai/"))


def test_a_probe_is_told_in_a_sentence() -> None:
    assert probe_words("a/b", "high", "high", 0.42, "") == "a/b answered in 0.4 s and takes effort high."
    assert (
        probe_words("a/b", "max", "high", 1.0, "max not supported, using high") == "a/b answered in 1.0 s; max not supported, using high."
    )


async def test_openrouters_models_are_offered_with_their_prices_where_its_key_is_set(server: ModelServer, tmp_path: Path) -> None:
    found = by_id(await shelf(server, tmp_path, OPENROUTER_API_KEY="sk-x").makers())
    assert {name.partition("/")[0] for name, each in found.items() if not each.missing} == {"openrouter"}
    assert any(model.price for model in found.values())


async def test_the_picker_marks_the_model_in_use_and_says_what_each_can_do(server: ModelServer, tmp_path: Path) -> None:
    host = scripted(past=(STARTED, e.ModelSwitched(model="moonshotai/Kimi-K2.6", previous="x")))
    environ = {"HOME": str(tmp_path), "OLLAMA_BASE_URL": "http://127.0.0.1:9", **NOBODY}
    async with running(host, size=(120, 40), environ=environ, settings=Settings(router_url=server.v1)) as (app, pilot):
        await command(app, pilot, host, "/model")
        await until(pilot, lambda: "● moonshotai/Kimi-K2.6" in "\n".join(screen_text(app)))
        await until(pilot, lambda: "calls tools, looks at images" in "\n".join(screen_text(app)))
        text = "\n".join(screen_text(app))
    assert "effort: low, medium, high" in text
    assert "HF_TOKEN is not set" in text and "ml-intern setup" in text


async def test_the_picker_probes_and_switches_with_what_really_answers(server: ModelServer, tmp_path: Path) -> None:
    host = scripted()
    environ = {"HOME": str(tmp_path), "OLLAMA_BASE_URL": server.v1, **NOBODY}
    async with running(host, size=(120, 40), environ=environ, settings=Settings(router_url=server.v1)) as (app, pilot):
        await command(app, pilot, host, "/model")
        await pilot.press(*"ollama old")
        await until(pilot, lambda: "ollama/old/model" in "\n".join(screen_text(app)))
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "answered in" in "\n".join(screen_text(app)))
        await pilot.press("enter")
        await until(pilot, lambda: bool(host.operations))
    assert host.operations == [op.SwitchModel(model="ollama/old/model")]


async def test_while_a_turn_runs_it_is_said_from_when_on_the_other_model_works(server: ModelServer, tmp_path: Path) -> None:
    host = scripted()
    environ = {"HOME": str(tmp_path), "OLLAMA_BASE_URL": server.v1, **NOBODY}
    async with running(host, size=(120, 40), environ=environ, settings=Settings(router_url=server.v1)) as (app, pilot):
        host.emit(*running_turn())
        await settled(app, pilot, host)
        await command(app, pilot, host, "/model ollama/old/model")
        await until(pilot, lambda: "from the next step on: asking ollama/old/model" in "\n".join(screen_text(app)))


async def test_a_model_that_the_catalogue_warns_of_is_switched_to_all_the_same(server: ModelServer, tmp_path: Path) -> None:
    host = scripted()
    environ = {"HOME": str(tmp_path), "HF_TOKEN": "hf_x"}
    async with running(host, size=(120, 40), environ=environ, settings=Settings(router_url=server.v1)) as (app, pilot):
        await command(app, pilot, host, "/model moonshotai/Kimi-K2.5")
        await until(pilot, lambda: bool(host.operations))
        await settled(app, pilot, host)
        text = "\n".join(screen_text(app))
    assert "is not in the router's catalogue" in text
    assert "Did you mean moonshotai/Kimi-K2.6" in text
    assert host.operations == [op.SwitchModel(model="moonshotai/Kimi-K2.5")]
