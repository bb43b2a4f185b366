"""Every command and key of the app, read from the code; and an app that remembers which of them were driven."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any, ClassVar

from textual import events
from textual.binding import Binding
from textual.dom import DOMNode
from textual.screen import ModalScreen

from ml_intern.frontends import tui
from ml_intern.frontends.tui.app import TuiApp
from ml_intern.frontends.tui.blocks.base import Block
from ml_intern.frontends.tui.cards.card import Card
from ml_intern.frontends.tui.commands.catalog import COMMANDS
from ml_intern.frontends.tui.composer.composer import Composer
from ml_intern.frontends.tui.composer.popup import Popup
from ml_intern.frontends.tui.screens.picker import Picker

_PACKAGE = f"{tui.__name__}."


def all_commands() -> set[str]:
    """``/name`` of each."""
    return {f"/{command.name}" for command in COMMANDS}


def all_keys() -> set[str]:
    """``Widget: key`` of each that a widget of ours binds, ``Widget.method: key`` of each that a method tells by its name."""
    for module in walk_packages(tui.__path__, _PACKAGE):
        import_module(module.name)
    bound = {f"{kind.__name__}: {key}" for kind in _kinds(DOMNode) for key in _bound_by(kind)}
    told = {name for file in Path(tui.__path__[0]).rglob("*.py") for name in _told_by(ast.parse(file.read_text()))}
    return bound | told


def all_shown() -> set[str]:
    """Each screen over the conversation, card, and block of it, by the name of its class."""
    for module in walk_packages(tui.__path__, _PACKAGE):
        import_module(module.name)
    kinds = {each for base in (ModalScreen, Card, Block) for each in _kinds(base)}
    return {kind.__name__ for kind in kinds if not any(issubclass(other, kind) and other is not kind for other in kinds) or kind is Picker}


def _kinds(kind: type[Any]) -> Iterator[type[Any]]:
    for each in kind.__subclasses__():
        if each.__module__.startswith(_PACKAGE):
            yield each
        yield from _kinds(each)


def _bound_by(kind: type[Any]) -> Iterator[str]:
    """By the class itself, not by what it inherits from."""
    for binding in kind.__dict__.get("BINDINGS", ()):
        given = binding.key if isinstance(binding, Binding) else binding[0]
        yield from (key.strip() for key in given.split(","))


def _told_by(tree: ast.Module) -> Iterator[str]:
    """What no binding can say, for it depends on what is written: the cases of ``match key`` and ``match event.key``."""
    for kind in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        for method in (node for node in kind.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
            for match in (node for node in ast.walk(method) if isinstance(node, ast.Match) and _is_key(node.subject)):
                values = (node.value for node in ast.walk(match) if isinstance(node, ast.MatchValue))
                yield from (f"{kind.name}.{method.name}: {value.value}" for value in values if isinstance(value, ast.Constant))


def _is_key(subject: ast.expr) -> bool:
    return getattr(subject, "id", None) == "key" or getattr(subject, "attr", None) == "key"


class WatchedApp(TuiApp):
    """The app itself; what a test makes it do is noted in ``driven``."""

    driven: ClassVar[set[str]] = set()
    quit_window_s = 600.0  # a machine that tests may stand still for seconds
    _last_key: str = ""

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Key) and not event.is_forwarded:
            self._last_key = event.key
            if teller := self._teller():
                self.driven.add(f"{teller}: {event.key}")
        await super().on_event(event)

    def _teller(self) -> str:
        """The method that is asked before any binding."""
        focused = self.focused
        if isinstance(focused, Composer):
            listed = any(popup.chosen is not None for popup in self.screen.query(Popup))
            return "Composer._key_of_popup" if listed else "Composer._key_of_text"
        return ""

    async def _dispatch_action(self, namespace: DOMNode, action_name: str, params: Any) -> bool:
        for kind in type(namespace).__mro__:
            if kind.__module__.startswith(_PACKAGE) and self._last_key in _bound_by(kind):
                self.driven.add(f"{kind.__name__}: {self._last_key}")
                break
        return await super()._dispatch_action(namespace, action_name, params)

    def run_worker(self, *given: Any, name: str | None = "", group: str = "default", **more: Any) -> Any:
        if group == "commands":
            self.driven.add(f"/{name}")
        return super().run_worker(*given, name=name, group=group, **more)
