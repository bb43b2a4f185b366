"""Choosing a model: all that can be had from here, with prices, windows and tools; Ctrl-T asks one whether it answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import ClassVar, TypeAlias

from textual.binding import Binding, BindingType

from ml_intern.errors import MlInternError
from ml_intern.frontends.headless.text import Line, Span, line, lines, width
from ml_intern.frontends.tui.commands.model_list import ListedModel, ListedOffer, Source
from ml_intern.frontends.tui.screens.columns import Cells, Column
from ml_intern.frontends.tui.screens.picker import Choice, Picker
from ml_intern.frontends.tui.screens.search import best
from ml_intern.protocol.amounts import count_text

Probe: TypeAlias = Callable[[str], Awaitable[str]]
"""Asks a model one cheap question; a sentence about what came of it. Raises ``MlInternError``."""
Probed: TypeAlias = dict[str, tuple[Line, ...]]
"""What came of asking, by model; kept by whoever opens the picker, so that the next one shows it too."""

KEYS = (
    "↑↓ move · Enter use it · Ctrl-T ask whether it answers · Esc leave",
    "Enter use it · Ctrl-T ask it · Esc",
    "⏎ use · ^T ask · Esc",
    "⏎ ^T Esc",
)


class ModelPicker(Picker[str]):
    """The id of the model. ``read`` gives the list: first what is known, then what the network tells."""

    columns = (Column(keep=5, least=24), Column(keep=2, right=True), Column(keep=4), Column(keep=3), Column(keep=1))
    """Id, window, price, tools, provider."""
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+t", "probe", "Ask the model", show=False, priority=True)]

    def __init__(self, current: str, read: Sequence[Source], probe: Probe, probed: Probed) -> None:
        super().__init__("Model", head=f"In use: {current or 'none'}", at=current, empty="Reading …")
        self._current = current
        self._read = read
        self._probe = probe
        self._models: dict[str, ListedModel] = {}
        self._probed = probed

    @property
    def key_lines(self) -> Sequence[str]:
        return KEYS

    def on_mount(self) -> None:
        for place, source in enumerate(self._read):
            self.run_worker(partial(self._take, source), group=f"models-{place}")

    async def _take(self, source: Source) -> None:
        for model in await source():
            self._models.setdefault(model.model_id, model)
        ordered = sorted(self._models.values(), key=lambda model: (model.rank, model.model_id.lower()))
        self.offer([self._choice(model) for model in ordered], empty="No model is known. Write an id such as openai/gpt-5.5.")

    def _choice(self, model: ListedModel) -> Choice[str]:
        about = tuple(self._about(model))
        return Choice(value=model.model_id, cells=self._cells(model), words=f"{model.model_id} {model.provider}", about=about)

    def _cells(self, model: ListedModel) -> Cells:
        current = model.model_id == self._current
        if model.missing and not current:
            return line("  ", ("dim", model.model_id)), line(("dim", "no key · /setup"))
        price: Span = ("warn", f"no {model.missing}") if model.missing else ("dim", model.price)
        return (
            line(("good", "● ") if current else "  ", model.model_id),
            line(("dim", count_text(model.window) if model.window else "")),
            line(price),
            line(("dim", "tools" if model.tools else "")),
            line(("dim", model.short)),
        )

    def _about(self, model: ListedModel) -> list[Line]:
        rows = [line(("bold", model.model_id)), line(("dim", f"from {model.provider}"))]
        if model.missing:
            rows.append(line(("warn", f"{model.missing} is not set: it cannot be used yet.")))
            rows += lines(f"Set {model.missing} in the environment or in .env, or run `ml-intern setup`.", "dim")
        if model.window:
            rows.append(line(f"window {model.window:,} tokens"))
        if model.price:
            rows.append(line(f"{model.price} for a million tokens in and out"))
        able = [*(["calls tools"] if model.tools else []), *(["looks at images"] if model.sees_images else [])]
        rows += lines(", ".join(able)) if able else []
        rows += lines(f"effort: {', '.join(model.effort_levels)}", "dim") if model.effort_levels else []
        if model.tools is False:
            rows.append(line(("bad", "It cannot call tools: the agent would be helpless.")))
        rows += lines(model.note, "dim") if model.note else []
        if model.offers:
            rows += [line(), line(("bold", "Providers")), line(("dim", f"Pin one by writing {model.model_id}:<provider>."))]
            rows += _offers(model.offers)
        return rows

    def order(self, query: str, choices: Sequence[Choice[str]]) -> list[Choice[str]]:
        """What fits; and what was written itself, where it could be an id."""
        found = best(query, choices, key=lambda choice: choice.words)
        if "/" in query and " " not in query and all(choice.value != query for choice in found):
            about = (line("Use this id as it is written: any id of a provider is taken, and <org>/<model>:<provider> pins one."),)
            found.append(Choice(value=query, row=line(("accent", f"use {query}")), words=query, about=about))
        return found

    # ── asking one ───────────────────────────────────────────────────────────────────────────────────────────────────

    def action_probe(self) -> None:
        if (choice := self.chosen) is not None:
            self.tell_about([*choice.about, line(), line(("accent", "asking it …"))])
            self.run_worker(partial(self._ask, choice), group="probe", exclusive=True)

    async def _ask(self, choice: Choice[str]) -> None:
        try:
            told = lines(await self._probe(choice.value), "good")
        except MlInternError as error:
            told = [*lines(error.message, "bad"), *(lines(error.hint, "dim") if error.hint else [])]
        self._probed[choice.value] = tuple(told)
        if self.chosen is not None and self.chosen.value == choice.value:
            self.tell_about([*choice.about, line(), *told])

    def looked_at(self, choice: Choice[str]) -> None:
        """See ``Picker``."""
        if (told := self._probed.get(choice.value)) is not None:
            self.tell_about([*choice.about, line(), *told])


def _offers(offers: Sequence[ListedOffer]) -> list[Line]:
    name, price = (max(map(width, column)) for column in zip(*((offer.provider, offer.price) for offer in offers), strict=True))
    rows: list[Line] = []
    for offer in offers:
        window = count_text(offer.window) if offer.window else "?"
        able = "not now" if not offer.live else "tools" if offer.tools else "no tools"
        rows.append(line(("" if offer.live else "dim", f"{offer.provider:<{name}} {window:>5}  {offer.price:<{price}}  {able}")))
    return rows
