"""What an edit of a call has come to so far."""

from __future__ import annotations

import json
from typing import cast

from ml_intern.protocol.invisible import seen
from ml_intern.protocol.messages import JsonObject

MAIN = ("script", "content", "new_str", "command", "message", "task")
"""The one argument that people edit as a text of its own: the first of these that the call has."""
LANGUAGES = {"script": "python", "command": "bash"}


class Draft:
    """Two texts, of which one is shown: the main argument, and the others as JSON. Without what cannot be seen, for what stands there is
    what will run.
    """

    def __init__(self, arguments: JsonObject) -> None:
        self._arguments = arguments
        self.main = next((name for name in MAIN if isinstance(arguments.get(name), str) and arguments[name]), "")
        self.shown = self.main
        """The argument that is shown; empty for the others."""
        others = {name: value for name, value in arguments.items() if name != self.main}
        self._texts = {name: seen(str(arguments[name])) for name in (self.main,) if name}
        self._texts[""] = seen(json.dumps(others, indent=2, ensure_ascii=False))
        self._looked_at = {self.shown}

    @property
    def text(self) -> str:
        """Of what is shown."""
        return self._texts[self.shown]

    @property
    def language(self) -> str:
        """Of what is shown."""
        return LANGUAGES.get(self.shown, "") if self.shown else "json"

    @property
    def words(self) -> str:
        """What is shown, and what the other text is."""
        return self.shown or (f"all but {self.main}" if self.main else "the arguments")

    def write(self, text: str) -> None:
        """What stands there now."""
        self._texts[self.shown] = text

    def switch(self) -> None:
        """Show the other text."""
        self.shown = "" if self.shown else self.main
        self._looked_at.add(self.shown)

    def arguments(self) -> JsonObject:
        """Of the call as it is edited. Raises ``ValueError`` for a text that is no JSON object, which is shown then."""
        others = self._arguments
        if "" in self._looked_at:
            try:
                others = self._others()
            except ValueError:
                self.shown = ""
                raise
        every = {**others, self.main: self._texts[self.main]} if self.main else others
        return {**{name: every[name] for name in self._arguments if name in every}, **every}

    def _others(self) -> JsonObject:
        value: object = json.loads(self._texts[""])
        if not isinstance(value, dict):
            raise ValueError("it must be a JSON object")
        if self.main and self.main in value:
            raise ValueError(f"{self.main} is the other text")
        return cast("JsonObject", value)
