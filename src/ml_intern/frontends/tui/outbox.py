"""Operations on their way to the session: kept until it is open, then handed over in the order in which they were made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ml_intern.errors import MlInternError
from ml_intern.frontends.tui.backend import Backend
from ml_intern.protocol import operations as op

_MOVES = (op.New, op.Resume, op.Fork)


class Outbox:
    """``refused`` is told what a session did not take; all else comes back as events."""

    def __init__(self, refused: Callable[[op.AnyOperation, MlInternError], None]) -> None:
        self._refused = refused
        self._backend: Backend | None = None
        self._waiting: list[op.AnyOperation] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._move: asyncio.Task[None] | None = None

    def open(self, backend: Backend) -> None:
        """The session is there: hand over what waits."""
        self._backend = backend
        self._send_waiting()

    def send(self, operation: op.AnyOperation) -> None:
        """Hand over, now or as soon as it can be. Operations start in order; a slow one (a probe of a model) holds up no other."""
        if self._backend is None or (self._move is not None and not isinstance(operation, op.Interrupt)):
            self._waiting.append(operation)
        else:
            self._start(self._backend, operation)

    def take_back(self) -> list[op.AnyOperation]:
        """There is no session for what waits."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def _start(self, backend: Backend, operation: op.AnyOperation) -> None:
        task = asyncio.create_task(self._submit(backend, operation))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if isinstance(operation, _MOVES):  # what follows is meant for the session that comes
            self._move = task
            task.add_done_callback(self._moved)

    def _moved(self, task: asyncio.Task[None]) -> None:
        self._move = None
        if not task.cancelled():
            self._send_waiting()

    def _send_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for operation in waiting:
            self.send(operation)

    async def _submit(self, backend: Backend, operation: op.AnyOperation) -> None:
        try:
            await backend.submit(operation)
        except MlInternError as error:
            self._refused(operation, error)

    async def aclose(self) -> None:
        """Nothing more is sent."""
        self._waiting.clear()
        self._backend = None
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
