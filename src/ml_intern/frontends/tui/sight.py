"""Pictures that the model does not see: told when one is named in what is being written, and in the message that has it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from ml_intern.frontends.tui.activity import ActivityLine
from ml_intern.frontends.tui.blocks.words import UNSEEN, UserBlock
from ml_intern.protocol import events as e
from ml_intern.protocol.codec import Envelope

if TYPE_CHECKING:
    from ml_intern.frontends.tui.app_parts import AppParts


class Sight:
    """An ``EventReader``. Another model may see what this one does not: then every message says so."""

    def __init__(self, app: AppParts) -> None:
        self._app = app
        self._named: Sequence[str] = ()

    def begin(self, *, keep: bool) -> None:
        """See ``EventReader``."""

    def read(self, envelope: Envelope, *, live: bool) -> None:
        """See ``EventReader``."""
        match envelope.event:
            case e.UserMessageAdded(images=images) if images:
                self._look()
            case e.Ready() | e.ModelSwitched() | e.ResumedFrom() if any(self._pictured()):
                self._look()
            case _:
                pass

    def writing(self, text: str) -> None:
        """This is being written."""
        named: Sequence[str] = ()
        if "@" in text:
            from ml_intern.frontends.tui.composer.images import named_in

            named = named_in(text)
        added = [name for name in named if name not in self._named]
        if self._named and not named:
            self._app.query_one(ActivityLine).unhint(UNSEEN)
        self._named = named
        if added:
            self._app.run_worker(partial(self._warn, added), group="sight-of-draft", exclusive=True)

    def _look(self) -> None:
        self._app.run_worker(self._tell, group="sight", exclusive=True)

    async def _tell(self) -> None:
        sees = await asyncio.to_thread(self._sees, self._app.figures.model)
        for block in self._pictured():
            block.tell_sight(sees=sees)

    async def _warn(self, names: Sequence[str]) -> None:
        if not await asyncio.to_thread(self._are_seen, names, self._app.figures.model) and self._named:
            self._app.hint(UNSEEN, until=(e.UserMessageAdded, e.ModelSwitched))

    def _are_seen(self, names: Sequence[str], model: str) -> bool:
        from ml_intern.frontends.tui.composer.images import is_there

        return self._sees(model) or not any(is_there(name, self._app.loaded.cwd) for name in names)

    def _sees(self, model: str) -> bool:
        """Of a model that is not known nothing is said."""
        from ml_intern.models.sight import sees_images

        loaded = self._app.loaded
        return not model or sees_images(model, loaded.settings, loaded.environ, loaded.paths.cache_dir) is not False

    def _pictured(self) -> Sequence[UserBlock]:
        return [block for block in self._app.conversation.blocks if isinstance(block, UserBlock) and block.pictures]
