"""``/model``: the picker, and switching."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ml_intern.frontends.commands.model_checks import answer
from ml_intern.frontends.tui.commands.model_list import ModelShelf, probe_words
from ml_intern.frontends.tui.screens.models import ModelPicker
from ml_intern.models.catalog import ModelCatalog
from ml_intern.models.effort import ProbeInconclusive, probe_effort
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op

if TYPE_CHECKING:
    from ml_intern.frontends.tui.app import TuiApp


async def choose_model(app: TuiApp, rest: str) -> None:
    """``/model [id]``. What the catalogue warns of is said before the switch; it forbids nothing."""
    catalog = ModelCatalog(app.loaded.settings, app.loaded.environ, cache_dir=app.loaded.paths.cache_dir)
    try:
        picked = rest or await _picked(app, catalog)
        if not picked:
            return
        if picked == app.status.figures.model:
            app.hint(f"{picked} is in use already")
            return
        await _switch(app, catalog, picked)
    finally:
        await catalog.aclose()


async def _switch(app: TuiApp, catalog: ModelCatalog, model_id: str) -> None:
    catalog.check(model_id)
    report = await catalog.describe(model_id)
    if report.warnings:
        near = f"Did you mean {', '.join(report.suggestions)}?" if report.suggestions else ""
        app.say("\n".join(report.warnings), hint=near, bad=True)
    when = "from the next step on: " if app.status.figures.turn_running else ""
    words = f"asking {model_id} whether it answers …" if app.status.figures.effort else f"switching to {model_id}"
    app.hint(when + words, until=(e.ModelSwitched, e.Ready))
    app.send(op.SwitchModel(model=model_id))


async def _picked(app: TuiApp, catalog: ModelCatalog) -> str | None:
    shelf = ModelShelf(app.loaded)

    async def probe(model_id: str) -> str:
        return await _probe(catalog, model_id, app.status.figures.effort)

    try:
        sources = (shelf.suggested, *shelf.servers(), shelf.router, shelf.makers)
        return await app.push_screen_wait(ModelPicker(app.status.figures.model, sources, probe, app.recall.probed))
    finally:
        await shelf.aclose()


async def _probe(catalog: ModelCatalog, model_id: str, effort: str | None) -> str:
    """Ask it one cheap question, with the effort that is wanted. Raises ``MlInternError``."""
    model = catalog.check(model_id)
    if effort is None or not model.supports_effort:
        check = await answer(model, catalog)
        return f"{check.detail}. {check.fix}".rstrip(" .") + "."
    client = catalog.open_bare(model_id)
    started = time.monotonic()
    try:
        outcome = await probe_effort(client, effort, levels=model.effort_levels)
    except ProbeInconclusive as inconclusive:
        return f"No verdict: {inconclusive}"
    finally:
        await client.aclose()
    return probe_words(model_id, effort, outcome.effective_effort, time.monotonic() - started, outcome.note)
